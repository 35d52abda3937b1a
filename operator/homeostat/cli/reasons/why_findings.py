"""What stands for and against each kind of object, and the answer in one sentence, from its spec and status. Pure.

Read leniently: what a newer release wrote, or somebody by hand, is told as far as it can be read.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

Body = Mapping[str, Any]
PASSED, BLOCKED, UNKNOWN = "passed", "blocked", "unknown"


@dataclass(frozen=True, slots=True)
class Gate:
    """One thing that stands for or against: `state` is passed, blocked or unknown."""

    name: str
    state: str
    since: str = ""
    reason: str = ""
    message: str = ""


# --- findings of each kind ------------------------------------------------------------------------------


def evaluated(metadata: Body, status: Body) -> Iterator[Gate]:
    """Say whether an operator has looked at the object as it is now, and can work with it."""
    seen = status.get("observedGeneration", -1)
    if seen < 0:
        yield Gate("evaluated", BLOCKED, reason="NeverEvaluated", message="no operator has looked at it yet")
    elif seen != metadata.get("generation", seen):
        yield Gate("evaluated", BLOCKED, reason="EarlierSpec", message="its status is about an earlier spec")
    else:
        yield Gate("evaluated", PASSED)
    ready = _condition(status, "Ready")
    if ready and ready.get("status") == "False":
        yield Gate("ready", BLOCKED, str(ready.get("lastTransitionTime") or ""), *_reason(ready))


def _of_policy(spec: Body, status: Body, now: datetime) -> Iterator[Gate]:
    yield (
        Gate("suspend", BLOCKED, reason="Suspended", message="spec.suspend is true")
        if spec.get("suspend")
        else Gate("suspend", PASSED)
    )
    yield from _of_signals(status)
    blocked = status.get("blocked")
    if blocked:
        until = f" Until {when(blocked['until'])}." if blocked.get("until") else ""
        yield Gate(
            _gate_of(blocked, status), BLOCKED, when(blocked.get("since")), str(blocked.get("reason")),
            f"{blocked.get('message', '')}{until}",
        )  # fmt: skip
    permitted = _condition(status, "Permitted") or {}
    if permitted.get("status") == "False" and _acts(spec) and not blocked:
        yield Gate("rights", BLOCKED, str(permitted.get("lastTransitionTime") or ""), *_reason(permitted))
    if status.get("cooldownUntil") and not _is_past(status["cooldownUntil"], now):
        yield Gate("cooldown", BLOCKED, "", "CoolingDown", f"until {when(status['cooldownUntil'])}")
    plan = status.get("plan")
    if plan and plan.get("state") == "AwaitingApproval":
        yield Gate("approval", BLOCKED, when(plan.get("createdAt")), "NotApproved", f"plan {plan.get('hash')}")
    escalated = status.get("escalated")
    if escalated:
        yield Gate("escalation", BLOCKED, when(escalated.get("since")), "Escalated", str(escalated.get("summary", "")))
    if spec.get("mode", "Observe") != "Auto":
        yield Gate("mode", UNKNOWN, message=f"mode {spec.get('mode', 'Observe')}: it does not act by itself")


def _acts(spec: Body) -> bool:
    """Whether a policy's mode lets it act, so that it takes rights of the operator."""
    return spec.get("mode") in {"Auto", "Approve"}


def _of_signals(status: Body) -> Iterator[Gate]:
    """Any trigger that fires is enough: a quiet one stands against acting only where none does."""
    signals = status.get("signals") or ()
    is_one_firing = any(one.get("state") == "Firing" for one in signals)
    for signal in signals:
        word = str(signal.get("state") or "")
        is_against = word == "Quiet" and not is_one_firing
        state = BLOCKED if is_against else PASSED if word in {"Firing", "Quiet"} else UNKNOWN
        told = "it is Quiet, and another fires" if word == "Quiet" and is_one_firing else f"it is {word or 'not known'}"
        reason = "NotFiring" if is_against else ""
        yield Gate(f"trigger {signal.get('trigger')}", state, when(signal.get("since")), reason, told)


def _gate_of(blocked: Body, status: Body) -> str:
    """Name the gate that refuses now: the decision on record may be an earlier one, of another gate."""
    decision = status.get("decision") or {}
    is_of_it = decision.get("reason") == blocked.get("reason")
    return str(decision.get("gate") or "") if is_of_it and decision.get("gate") else "gates"


def _answer_of_policy(spec: Body, status: Body, blocked: Sequence[Gate]) -> str:
    phase, decision = status.get("phase", "Idle"), status.get("decision") or {}
    if status.get("attempt"):
        return f"it acts: {phase}, step {status['attempt'].get('name')}."
    states = {one.get("state") for one in status.get("signals") or ()}
    if states == {"Quiet"} and not status.get("blocked"):
        also = next((f" It could not act: {_said(gate)}" for gate in blocked if gate.name == "rights"), "")
        return f"it does nothing because no trigger fires.{also}"
    if blocked:
        return f"it does not act: {_said(_weightiest(blocked))}"
    if spec.get("mode", "Observe") == "Observe" and decision.get("verdict"):
        return f"it only observes: {decision.get('does') or decision['verdict']}."
    if states and "Firing" not in states:
        return f"it is not known whether a trigger fires; its phase is {phase}."
    return f"nothing stands against acting; its phase is {phase}."


def _of_experiment(spec: Body, status: Body, _now: datetime) -> Iterator[Gate]:
    if spec.get("suspend"):
        yield Gate("suspend", BLOCKED, reason="Suspended", message="spec.suspend is true")
    for entry in status.get("conditions") or ():
        if entry.get("type") in {"Permitted", "Accepted", "SteadyState"}:
            state = {"True": PASSED, "False": BLOCKED}.get(entry.get("status", ""), UNKNOWN)
            yield Gate(str(entry["type"]), state, str(entry.get("lastTransitionTime") or ""), *_reason(entry))
    approval = status.get("approval") or {}
    if status.get("phase") == "AwaitingApproval":
        yield Gate(
            "approval", BLOCKED, when(approval.get("createdAt")), "AwaitingApproval", "its plan waits for a human"
        )
    if status.get("reason") and status.get("phase") in {"Pending", "", None}:
        yield Gate("start", BLOCKED, "", str(status["reason"]), str(status.get("message", "")))
    elif status.get("phase"):
        yield Gate("start", PASSED, when(status.get("startedAt")), "", f"run {status.get('runNumber', 0)} began")
    if status.get("verdict") in {"Failed", "Aborted", "Inconclusive"}:
        yield Gate(
            "verdict",
            BLOCKED,
            when(status.get("endedAt")),
            str(status.get("reason")),
            str(status.get("message", "")),
        )


def _answer_of_run(_spec: Body, status: Body, blocked: Sequence[Gate]) -> str:
    phase, verdict = status.get("phase") or "Pending", status.get("verdict")
    if verdict:
        told = f" {status['message']}" if status.get("message") else ""
        return f"its run {status.get('runNumber', 0)} ended as {verdict}: {status.get('reason', '')}.{told}"
    if blocked:
        return f"it does not run: {_said(_weightiest(blocked))}"
    return f"it is {phase}{': ' + str(status['message']) if status.get('message') else '.'}"


def _of_objective(_spec: Body, status: Body, _now: datetime) -> Iterator[Gate]:
    data = _condition(status, "DataPresent")
    if data:
        state = {"True": PASSED, "False": BLOCKED}.get(data.get("status", ""), UNKNOWN)
        yield Gate("data", state, str(data.get("lastTransitionTime") or ""), *_reason(data))
    for alert in status.get("alerts") or ():
        windows = f" {alert['long']}/{alert['short']}" if alert.get("long") and alert.get("short") else ""
        of = f" of {alert['group']}" if alert.get("group") else ""
        drill = f", expected: experiment {alert['expectedBy']}" if alert.get("expectedBy") else ""
        name = f"alert {alert.get('type', 'BurnRate')}{windows}"
        yield Gate(name, BLOCKED, when(alert.get("since")), str(alert.get("severity", "")), f"it fires{of}{drill}")
    bad_groups = [one for one in status.get("groups") or () if one.get("state") not in {None, "Met", "Unknown"}]
    for group in sorted(bad_groups, key=lambda one: -(one.get("bad") or 0)):
        left = f", {group['remaining']} % of its budget left" if group.get("remaining") is not None else ""
        yield Gate(
            f"group {group.get('name')}", BLOCKED, "", str(group["state"]), f"{group.get('bad', 0)} bad events{left}"
        )
    remaining = (status.get("budget") or {}).get("remaining")
    if remaining is not None:
        yield Gate("budget", PASSED if _number(remaining) > 0 else BLOCKED, message=f"{remaining} % of it is left")
    yield from _of_burn_rates(status)
    if status.get("holds"):
        yield Gate("holds", BLOCKED, "", "BudgetHeld", f"its low budget holds {', '.join(status['holds'])}")


def _of_burn_rates(status: Body) -> Iterator[Gate]:
    """A burn rate stands against an objective with its alert only: an hour above 1 is little of a budget of days."""
    alerts = [one for one in status.get("alerts") or () if not one.get("group")]
    alerting = {one.get(window) for one in alerts for window in ("long", "short")}
    for rate in status.get("burnRates") or ():
        window = rate.get("window")
        is_fast = _number(rate.get("rate")) > 1
        is_against = is_fast and window in alerting
        calm = "; no alert of this window fires" if is_fast and not is_against else ""
        told = f"burns {rate.get('rate')} times as fast as it may{calm}"
        yield Gate(f"burn {window}", BLOCKED if is_against else PASSED, message=told)


def _answer_of_objective(spec: Body, status: Body, _blocked: Sequence[Gate]) -> str:
    state = status.get("state") or "Unknown"
    source = next(iter(spec.get("indicator") or {"nothing": None}))
    check = (spec.get("indicator") or {}).get("healthCheck") or {}
    what = f"HealthCheck {check['name']}" if check.get("name") else source
    good, bad = status.get("good") or 0, status.get("bad")
    counted = f"{bad} bad of {bad + good} events" if bad is not None else ""
    left = (status.get("budget") or {}).get("remaining")
    spent = f"; {left} % of the budget is left" if left is not None else ""
    gone = f", gone at {status['exhaustionAt']} at this rate" if status.get("exhaustionAt") else ""
    word = {"Met": "it is met", "Burning": "it burns", "Exhausted": "its budget is gone"}.get(state, "it is not known")
    return f"{word}: {what} counted {counted or 'nothing'} in the window{spent}{gone}."


def _of_check(spec: Body, status: Body, _now: datetime) -> Iterator[Gate]:
    for name in status.get("suppressedBy") or ():
        yield Gate(f"depends on {name}", BLOCKED, "", "DependencyUnhealthy", "it is Unhealthy, so this one is not told")
    for endpoint in status.get("failing") or ():
        told = endpoint.get("message") or endpoint.get("reason") or ""
        phase = f" in phase {endpoint['phase']}" if endpoint.get("phase") else ""
        yield Gate(
            f"endpoint {endpoint.get('name') or endpoint.get('address')}", BLOCKED, "", "", f"it fails{phase}: {told}"
        )
    healthy = _condition(status, "Healthy")
    if healthy:
        state = {"True": PASSED, "False": BLOCKED}.get(healthy.get("status", ""), UNKNOWN)
        yield Gate("healthy", state, str(healthy.get("lastTransitionTime") or ""), *_reason(healthy))
    streak = status.get("streak") or {}
    if streak:
        need = spec.get("failureThreshold"), spec.get("successThreshold")
        told = f"{streak.get('count')} in a row: {streak.get('result')}"
        yield Gate("streak", PASSED, message=f"{told}; thresholds: {need[0]} failures, {need[1]} successes")


def _answer_of_check(_spec: Body, status: Body, _blocked: Sequence[Gate]) -> str:
    state = status.get("state") or "Unknown"
    since = f" since {when(status['since'])}" if status.get("since") else ""
    told = f": {status['message']}" if status.get("message") else "."
    passing = f" ({status['passing']} endpoints pass)" if status.get("passing") else ""
    return f"it is {state}{since}{passing}{told}"


Gates = Callable[[Body, Body, datetime], Iterator[Gate]]
Answers = Callable[[Body, Body, Sequence[Gate]], str]
GATES: dict[str, Gates] = {
    "RecoveryPolicy": _of_policy,
    "ChaosExperiment": _of_experiment,
    "GameDay": _of_experiment,
    "ServiceLevelObjective": _of_objective,
    "HealthCheck": _of_check,
}
ANSWERS: dict[str, Answers] = {
    "RecoveryPolicy": _answer_of_policy,
    "ChaosExperiment": _answer_of_run,
    "GameDay": _answer_of_run,
    "ServiceLevelObjective": _answer_of_objective,
    "HealthCheck": _answer_of_check,
}


# --- what they share ------------------------------------------------------------------------------------


def _weightiest(blocked: Sequence[Gate]) -> Gate:
    """Give what to tell first: a quiet trigger says least."""
    return next((gate for gate in blocked if gate.reason != "NotFiring"), blocked[0])


def _said(gate: Gate) -> str:
    since = f" since {gate.since}" if gate.since else ""
    return f"{gate.reason or gate.name}{since}: {gate.message.rstrip('.')}."


def _condition(status: Body, kind: str) -> Body | None:
    return next((one for one in status.get("conditions") or () if one.get("type") == kind), None)


def _reason(entry: Body) -> tuple[str, str]:
    return str(entry.get("reason") or ""), str(entry.get("message") or "")


def _number(text: object) -> float:
    try:
        return float(str(text or 0))
    except ValueError:
        return 0.0


def _is_past(text: object, now: datetime) -> bool:
    try:
        return datetime.fromisoformat(str(text)) <= now
    except (ValueError, TypeError):
        return False


def when(text: object) -> str:
    """Give a time to the second."""
    told = str(text or "")
    return f"{told.partition('.')[0]}Z" if "." in told else told
