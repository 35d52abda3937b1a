"""Why an object is as it is, from what the operator wrote into its status. Pure: a body in, an answer out.

`homeostat why` tells all of it; `homeostat explain` of a check, an objective or an experiment tells the same findings
without the past.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Body = Mapping[str, Any]
PASSED, BLOCKED, UNKNOWN = "passed", "blocked", "unknown"
DOCS = {
    "RecoveryPolicy": "docs/recovery.md#why-nothing-is-done",
    "ChaosExperiment": "docs/chaos.md",
    "GameDay": "docs/gameday.md",
    "ServiceLevelObjective": "docs/slo.md",
    "HealthCheck": "docs/probes.md",
}
"""Where the reasons of a kind are explained."""
_CHANGES = {
    "Suspended": ("set spec.suspend: false", ""),
    "Paused": ("end the pause", "homeostat resume {object} -n {namespace}"),
    "OutsideWindow": ("change spec.windows, or wait for the next one", ""),
    "CoolingDown": ("wait, or shorten spec.limits.cooldown", ""),
    "BudgetSpent": ("wait until the budget of actions is new, or raise spec.limits.budget", ""),
    "ClusterBudgetSpent": ("wait: the operator's own budget of actions is spent", "homeostat settings"),
    "TooManyUnhealthy": ("look at what all of it shares; or raise spec.limits.maxUnhealthy", ""),
    "Frozen": ("end the freeze", "homeostat freeze list"),
    "NotPermitted": ("give the operator the right", "homeostat doctor"),
    "BudgetHeld": ("let the error budget recover, or change spec.budgetPolicy of the objective", "homeostat budget"),
    "NotApproved": ("approve the plan", "homeostat approve {object} -n {namespace}"),
    "AwaitingApproval": ("approve the plan", "homeostat approve {object} -n {namespace}"),
    "Rejected": ("wait until the trigger was quiet: a rejected plan is not asked for again before", ""),
    "NotRequested": ("ask for a run", "homeostat chaos run {object} -n {namespace}"),
    "NotDue": ("wait for the schedule, or ask for a run", "homeostat chaos run {object} -n {namespace}"),
    "Locked": ("wait until the other policy or experiment is done with the target", ""),
    "DependencyUnhealthy": ("heal what it depends on first", "homeostat status -n {namespace}"),
    "SignalMissing": ("see that the trigger has data", "homeostat explain {object} -n {namespace}"),
    "SignalStale": ("see that the trigger has fresh data", "homeostat explain {object} -n {namespace}"),
    "TargetNotFound": ("correct spec.target, or make the target", ""),
    "Escalated": ("look at it: a human was told, and nothing more is done until the trigger was quiet", ""),
    "NamespaceNotAllowed": (
        "let experiments into the namespace",
        "kubectl label namespace {namespace} homeostat.dev/chaos=allowed",
    ),
    "NeverEvaluated": ("see that the operator runs and watches this namespace", "homeostat doctor"),
    "EarlierSpec": ("see that the operator runs", "homeostat doctor"),
}
"""By reason: what would have to change, and the command for it."""


@dataclass(frozen=True, slots=True)
class Gate:
    """One thing that stands for or against: `state` is passed, blocked or unknown."""

    name: str
    state: str
    since: str = ""
    reason: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True)
class Why:
    """The whole answer. `changes`: what would have to change, each with a command or ""."""

    object: str
    namespace: str
    answer: str
    gates: tuple[Gate, ...]
    changes: tuple[tuple[str, str], ...]
    past: tuple[tuple[str, str], ...]
    docs: str

    @property
    def is_blocked(self) -> bool:
        """Whether something stands against it."""
        return any(gate.state == BLOCKED for gate in self.gates)


def why(kind: str, short: str, body: Body, past: Sequence[tuple[str, str]] = ()) -> Why:
    """Answer for an object of one of our kinds. `past`: what is known of it besides: (time, what happened)."""
    metadata, status = body["metadata"], body.get("status") or {}
    name, namespace = f"{short}/{metadata['name']}", metadata.get("namespace", "")
    gates = (*_evaluated(metadata, status), *_GATES[kind](body.get("spec") or {}, status))
    blocked = [gate for gate in gates if gate.state == BLOCKED]
    told = sorted({*past, *_past(status)}, reverse=True)
    return Why(
        object=name,
        namespace=namespace,
        answer=_ANSWERS[kind](body.get("spec") or {}, status, blocked),
        gates=gates,
        changes=tuple(_changes(blocked, name, namespace)),
        past=tuple(told[:12]),
        docs=DOCS[kind],
    )


def as_data(told: Why) -> dict[str, object]:
    """Give the answer for programs."""
    return {
        "object": told.object,
        "namespace": told.namespace,
        "answer": told.answer,
        "gates": [
            {"name": one.name, "state": one.state, "since": one.since or None, "reason": one.reason,
             "message": one.message}
            for one in told.gates
        ],
        "toChange": [{"what": what, "command": command or None} for what, command in told.changes],
        "past": [{"at": at, "what": what} for at, what in told.past],
        "docs": told.docs,
    }  # fmt: skip


def lines(told: Why) -> Iterator[str]:
    """Write the answer for a terminal: the answer first."""
    yield f"{told.object} in {told.namespace}: {told.answer}"
    yield ""
    width = max((len(gate.name) for gate in told.gates), default=4)
    for gate in told.gates:
        why_ = ": ".join(part for part in (gate.reason, gate.message) if part)
        since = f" (since {gate.since})" if gate.since else ""
        yield f"  {gate.state:8} {gate.name:{width}}  {why_}{since}".rstrip()
    if told.changes:
        yield "\nwhat would change it:"
        for what, command in told.changes:
            yield f"  {what}" + (f": {command}" if command else "")
    if told.past:
        yield "\nwhat happened, newest first:"
        yield from (f"  {at}  {what}" for at, what in told.past)
    yield f"\nmore: {told.docs}"


# --- findings of each kind ------------------------------------------------------------------------------


def _evaluated(metadata: Body, status: Body) -> Iterator[Gate]:
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


def _of_policy(spec: Body, status: Body) -> Iterator[Gate]:
    yield (
        Gate("suspend", BLOCKED, reason="Suspended", message="spec.suspend is true")
        if spec.get("suspend")
        else Gate("suspend", PASSED)
    )
    for signal in status.get("signals") or ():
        trigger = f"trigger {signal.get('trigger')}"
        state = {"Firing": PASSED, "Quiet": BLOCKED}.get(signal.get("state", ""), UNKNOWN)
        word = {"Quiet": "NotFiring"}.get(signal.get("state", ""), "")
        yield Gate(trigger, state, _time(signal.get("since")), word, f"it is {signal.get('state')}")
    blocked, decision = status.get("blocked"), status.get("decision") or {}
    if blocked:
        until = f" Until {_time(blocked['until'])}." if blocked.get("until") else ""
        yield Gate(
            decision.get("gate") or "gates", BLOCKED, _time(blocked.get("since")), str(blocked.get("reason")),
            f"{blocked.get('message', '')}{until}",
        )  # fmt: skip
    if status.get("cooldownUntil"):
        yield Gate("cooldown", BLOCKED, "", "CoolingDown", f"until {_time(status['cooldownUntil'])}")
    plan = status.get("plan")
    if plan and plan.get("state") == "AwaitingApproval":
        yield Gate("approval", BLOCKED, _time(plan.get("createdAt")), "NotApproved", f"plan {plan.get('hash')}")
    escalated = status.get("escalated")
    if escalated:
        yield Gate("escalation", BLOCKED, _time(escalated.get("since")), "Escalated", str(escalated.get("summary", "")))
    if spec.get("mode", "Observe") != "Auto":
        yield Gate("mode", UNKNOWN, message=f"mode {spec.get('mode', 'Observe')}: it does not act by itself")


def _answer_of_policy(spec: Body, status: Body, blocked: Sequence[Gate]) -> str:
    phase, decision = status.get("phase", "Idle"), status.get("decision") or {}
    if status.get("attempt"):
        return f"it acts: {phase}, step {status['attempt'].get('name')}."
    if (
        status.get("signals")
        and all(one.get("state") == "Quiet" for one in status["signals"])
        and not status.get("blocked")
    ):
        return "it does nothing because no trigger fires."
    if blocked:
        return f"it does not act: {_said(_weightiest(blocked))}"
    if spec.get("mode", "Observe") == "Observe" and decision.get("verdict"):
        return f"it only observes: {decision.get('does') or decision['verdict']}."
    return f"nothing stands against acting; its phase is {phase}."


def _of_experiment(spec: Body, status: Body) -> Iterator[Gate]:
    if spec.get("suspend"):
        yield Gate("suspend", BLOCKED, reason="Suspended", message="spec.suspend is true")
    for entry in status.get("conditions") or ():
        if entry.get("type") in {"Permitted", "Accepted", "SteadyState"}:
            state = {"True": PASSED, "False": BLOCKED}.get(entry.get("status", ""), UNKNOWN)
            yield Gate(str(entry["type"]), state, str(entry.get("lastTransitionTime") or ""), *_reason(entry))
    approval = status.get("approval") or {}
    if status.get("phase") == "AwaitingApproval":
        yield Gate(
            "approval", BLOCKED, _time(approval.get("createdAt")), "AwaitingApproval", "its plan waits for a human"
        )
    if status.get("reason") and status.get("phase") in {"Pending", "", None}:
        yield Gate("start", BLOCKED, "", str(status["reason"]), str(status.get("message", "")))
    elif status.get("phase"):
        yield Gate("start", PASSED, _time(status.get("startedAt")), "", f"run {status.get('runNumber', 0)} began")
    if status.get("verdict") in {"Failed", "Aborted", "Inconclusive"}:
        yield Gate(
            "verdict", BLOCKED, _time(status.get("endedAt")), str(status.get("reason")), str(status.get("message", ""))
        )


def _answer_of_run(_spec: Body, status: Body, blocked: Sequence[Gate]) -> str:
    phase, verdict = status.get("phase") or "Pending", status.get("verdict")
    if verdict:
        told = f" {status['message']}" if status.get("message") else ""
        return f"its run {status.get('runNumber', 0)} ended as {verdict}: {status.get('reason', '')}.{told}"
    if blocked:
        return f"it does not run: {_said(_weightiest(blocked))}"
    return f"it is {phase}{': ' + str(status['message']) if status.get('message') else '.'}"


def _of_objective(_spec: Body, status: Body) -> Iterator[Gate]:
    data = _condition(status, "DataPresent")
    if data:
        state = {"True": PASSED, "False": BLOCKED}.get(data.get("status", ""), UNKNOWN)
        yield Gate("data", state, str(data.get("lastTransitionTime") or ""), *_reason(data))
    for alert in status.get("alerts") or ():
        windows = f" {alert['long']}/{alert['short']}" if alert.get("long") and alert.get("short") else ""
        of = f" of {alert['group']}" if alert.get("group") else ""
        drill = f", expected: experiment {alert['expectedBy']}" if alert.get("expectedBy") else ""
        name = f"alert {alert.get('type', 'BurnRate')}{windows}"
        yield Gate(name, BLOCKED, _time(alert.get("since")), str(alert.get("severity", "")), f"it fires{of}{drill}")
    bad_groups = [one for one in status.get("groups") or () if one.get("state") not in {None, "Met", "Unknown"}]
    for group in sorted(bad_groups, key=lambda one: -(one.get("bad") or 0)):
        left = f", {group['remaining']} % of its budget left" if group.get("remaining") is not None else ""
        yield Gate(
            f"group {group['name']}", BLOCKED, "", str(group["state"]), f"{group.get('bad', 0)} bad events{left}"
        )
    for rate in status.get("burnRates") or ():
        is_fast = float(rate.get("rate") or 0) > 1
        told = f"burns {rate.get('rate')} times as fast as it may"
        yield Gate(f"burn {rate.get('window')}", BLOCKED if is_fast else PASSED, message=told)
    if status.get("holds"):
        yield Gate("holds", BLOCKED, "", "BudgetHeld", f"its low budget holds {', '.join(status['holds'])}")


def _answer_of_objective(spec: Body, status: Body, _blocked: Sequence[Gate]) -> str:
    state = status.get("state") or "Unknown"
    source = next(iter(spec.get("indicator") or {"nothing": None}))
    check = (spec.get("indicator") or {}).get("healthCheck") or {}
    what = f"HealthCheck {check['name']}" if check.get("name") else source
    counted = f"{status['bad']} bad of {status['bad'] + status['good']} events" if status.get("bad") is not None else ""
    left = (status.get("budget") or {}).get("remaining")
    spent = f"; {left} % of the budget is left" if left is not None else ""
    gone = f", gone at {status['exhaustionAt']} at this rate" if status.get("exhaustionAt") else ""
    word = {"Met": "it is met", "Burning": "it burns", "Exhausted": "its budget is gone"}.get(state, "it is not known")
    return f"{word}: {what} counted {counted or 'nothing'} in the window{spent}{gone}."


def _of_check(spec: Body, status: Body) -> Iterator[Gate]:
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
    since = f" since {_time(status['since'])}" if status.get("since") else ""
    told = f": {status['message']}" if status.get("message") else "."
    passing = f" ({status['passing']} endpoints pass)" if status.get("passing") else ""
    return f"it is {state}{since}{passing}{told}"


Gates = Callable[[Body, Body], Iterator[Gate]]
Answers = Callable[[Body, Body, Sequence[Gate]], str]
_GATES: dict[str, Gates] = {
    "RecoveryPolicy": _of_policy,
    "ChaosExperiment": _of_experiment,
    "GameDay": _of_experiment,
    "ServiceLevelObjective": _of_objective,
    "HealthCheck": _of_check,
}
_ANSWERS: dict[str, Answers] = {
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


def _changes(blocked: Sequence[Gate], name: str, namespace: str) -> Iterator[tuple[str, str]]:
    for reason in dict.fromkeys(gate.reason for gate in blocked):
        if reason in _CHANGES:
            what, command = _CHANGES[reason]
            yield what, command.format(object=name, namespace=namespace)


def _past(status: Body) -> Iterator[tuple[str, str]]:
    """Tell what the status itself remembers: the last decision and the last attempts or runs."""
    decision = status.get("decision")
    if decision:
        by = f" by {decision['gate']}" if decision.get("gate") else ""
        does = f" {decision['does']}" if decision.get("does") else ""
        why_ = f": {decision['reason']}" if decision.get("reason") else ""
        yield _time(decision.get("at")), f"decided: {decision.get('verdict')}{by}{does}{why_}"
    for one in status.get("last") or ():
        why_ = f" ({one['reason']})" if one.get("reason") else ""
        yield _time(one.get("startedAt")), f"attempt {one.get('name')}: {one.get('outcome')}{why_}"
    for one in status.get("runs") or ():
        at = one.get("endedAt") or one.get("startedAt")
        yield (
            _time(at),
            f"run {one.get('number', one.get('run', ''))}: {one.get('verdict', '')} {one.get('reason', '')}",
        )


def _condition(status: Body, kind: str) -> Body | None:
    return next((one for one in status.get("conditions") or () if one.get("type") == kind), None)


def _reason(entry: Body) -> tuple[str, str]:
    return str(entry.get("reason") or ""), str(entry.get("message") or "")


def _time(text: object) -> str:
    """Give a time to the second."""
    told = str(text or "")
    return f"{told.partition('.')[0]}Z" if "." in told else told
