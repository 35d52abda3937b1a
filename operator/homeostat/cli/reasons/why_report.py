"""Why an object is as it is, from what the operator wrote into its status. Pure: a body in, an answer out.

`homeostat why` tells all of it; `homeostat explain` of a check, an objective or an experiment tells the same findings
without the past.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from homeostat.cli.reasons.why_findings import ANSWERS, BLOCKED, GATES, Body, Gate, evaluated, when
from homeostat.cli.streams import in_one_line

DOCS = {
    "RecoveryPolicy": "docs/recovery.md#why-nothing-is-done",
    "ChaosExperiment": "docs/chaos.md",
    "GameDay": "docs/gameday.md",
    "ServiceLevelObjective": "docs/slo.md",
    "HealthCheck": "docs/probes.md",
}
"""Where the reasons of a kind are explained."""
_GIVE = (
    "give the operator the right (docs/rights.md): helm upgrade with recovery.enabled=true or chaos.enabled=true, "
    "or apply a file of dist/rights"
)
_CHANGES = {
    "Suspended": ("set spec.suspend: false", ""),
    "Paused": ("end the pause", "homeostat resume {object} -n {namespace}"),
    "OutsideWindow": ("change spec.windows, or wait for the next one", ""),
    "CoolingDown": ("wait, or shorten spec.limits.cooldown", ""),
    "BudgetSpent": ("wait until the budget of actions is new, or raise spec.limits.budget", ""),
    "ClusterBudgetSpent": (
        "wait: the operator's own budget of actions is spent",
        "kubectl -n homeostat-system exec deploy/homeostat -- homeostat settings",
    ),
    "TooManyUnhealthy": ("look at what all of it shares; or raise spec.limits.maxUnhealthy", ""),
    "Frozen": ("end the freeze", "homeostat freeze list"),
    "NotPermitted": (_GIVE, ""),
    "RightsMissing": (_GIVE, ""),
    "BudgetHeld": (
        "let the error budget recover, or change spec.budgetPolicy of the objective",
        "homeostat budget -n {namespace}",
    ),
    "NotApproved": ("approve the plan", "homeostat approve {object} -n {namespace}"),
    "AwaitingApproval": ("approve the plan", "homeostat approve {object} -n {namespace}"),
    "Rejected": ("wait until the trigger was quiet: a rejected plan is not asked for again before", ""),
    "NotRequested": ("ask for a run", "homeostat chaos run {object} -n {namespace}"),
    "NotDue": ("wait for the schedule, or ask for a run", "homeostat chaos run {object} -n {namespace}"),
    "TargetLocked": ("wait until the policy or experiment that writes the target is done with it", ""),
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


def why(kind: str, short: str, body: Body, now: datetime, past: Sequence[tuple[str, str]] = ()) -> Why:
    """Answer for an object of one of our kinds as it is read `now`.

    `past`: what is known of it besides: (time, what happened).
    """
    metadata, status = body["metadata"], body.get("status") or {}
    name, namespace = f"{short}/{metadata['name']}", metadata.get("namespace", "")
    gates = (*evaluated(metadata, status), *GATES[kind](body.get("spec") or {}, status, now))
    blocked = [gate for gate in gates if gate.state == BLOCKED]
    told = sorted({*past, *_past(status)}, reverse=True)
    return Why(
        object=name,
        namespace=namespace,
        answer=ANSWERS[kind](body.get("spec") or {}, status, blocked),
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
    """Write the answer for a terminal: the answer first. A message of several lines is one."""
    return map(in_one_line, _lines(told))


def _lines(told: Why) -> Iterator[str]:
    yield f"{told.object} in {told.namespace}: {told.answer}"
    yield ""
    width = max((len(gate.name) for gate in told.gates), default=4)
    for gate in told.gates:
        why_ = ": ".join(part for part in (gate.reason, gate.message) if part)
        since = f" (since {gate.since})" if gate.since else ""
        yield f"  {gate.state:8} {gate.name:{width}}  {why_}{since}".rstrip()
    if told.changes:
        yield ""
        yield "what would change it:"
        for what, command in told.changes:
            yield f"  {what}" + (f": {command}" if command else "")
    if told.past:
        yield ""
        yield "what happened, newest first:"
        yield from (f"  {at}  {what}" for at, what in told.past)
    yield ""
    yield f"more: {told.docs}"


# --- what would change it, and what happened -------------------------------------------------------------


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
        yield when(decision.get("at")), f"decided: {decision.get('verdict')}{by}{does}{why_}"
    for one in status.get("last") or ():
        why_ = f" ({one['reason']})" if one.get("reason") else ""
        yield when(one.get("startedAt")), f"attempt {one.get('name')}: {one.get('outcome')}{why_}"
    for one in status.get("runs") or ():
        at = one.get("endedAt") or one.get("startedAt")
        yield (
            when(at),
            f"run {one.get('number', one.get('run', ''))}: "
            + " ".join(filter(None, (one.get("verdict"), one.get("reason")))),
        )
