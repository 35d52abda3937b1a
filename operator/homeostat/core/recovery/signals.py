"""What the triggers say, and since when: no data and old data are states of their own (R12).

An alert is told, not asked: while it is quiet nobody says anything. So of alerts

    never told of, or long ago           Unknown   silence: no ground to act, no obstacle, and no proof of anything
    told that it fires, within maxAge    Firing
    not repeated for longer              Stale     Alertmanager fell silent about an alert that had fired
    not repeated for twice as long       Unknown   as if it had never been told
    told that it is over, within maxAge  Quiet     Alertmanager would tell if it fired again

The last word is in `status.signals`, because a restarted operator is told of nothing until Alertmanager repeats itself.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from homeostat.api.recovery import RecoveryPolicySpec
from homeostat.api.recovery_status import Signal, SignalState
from homeostat.api.recovery_trigger import Trigger
from homeostat.core.recovery.limits import flapping
from homeostat.core.recovery.seen import Case, DependencySeen, SignalSeen
from homeostat.core.ref import Ref

NEVER = datetime.min.replace(tzinfo=UTC)
BLIND = frozenset({SignalState.UNKNOWN, SignalState.STALE})
SILENT_AFTER = 2
"""So many times `maxDataAge` after the last word an alert counts as never told of."""
JUST_AFTER = timedelta(milliseconds=50)


def assess(case: Case) -> tuple[Signal, ...]:
    """Give the state of every trigger, in their order, timed by the source's word and the policy's record."""
    seen = {signal.index: signal for signal in case.seen.signals}
    known = {signal.trigger: signal for signal in case.status.signals}
    return tuple(_assessed(case, index, seen.get(index), known.get(index)) for index in range(len(case.spec.triggers)))


def is_calm(case: Case) -> bool:
    """Whether no trigger fires and none is blind, as of what is seen now: acting is not even thought of."""
    now = case.with_status(signals=assess(case))
    return not firing(now) and not blind(now)


def due(case: Case) -> Signal | None:
    """Find the first trigger that has fired for as long as it must."""
    return next((signal for signal in firing(case) if due_at(case.spec, signal) <= case.now), None)


def urgent(case: Case) -> Signal | None:
    """Find the trigger to answer: one that is due, else one that fires, else one of which nothing is known."""
    return due(case) or next(iter(firing(case)), None) or blind(case)


def due_at(spec: RecoveryPolicySpec, signal: Signal) -> datetime:
    """Say when a firing trigger is to be acted on."""
    return signal.since + spec.triggers[signal.trigger].for_


def firing(case: Case) -> tuple[Signal, ...]:
    """Give the triggers that fire."""
    return tuple(signal for signal in case.status.signals if signal.state is SignalState.FIRING)


def blind(case: Case) -> Signal | None:
    """Find the first trigger of which nothing is known although something should be."""
    lacking = (signal for signal in case.status.signals if signal.state in BLIND)
    return next((signal for signal in lacking if not _is_silence(case, signal)), None)


def of_attempt(case: Case, trigger: int) -> Signal:
    """Give the trigger that an attempt was made for; a trigger that is no longer in the spec is Unknown."""
    missing = Signal(trigger=trigger, state=SignalState.UNKNOWN, since=case.now)
    return next((signal for signal in case.status.signals if signal.trigger == trigger), missing)


def failing(case: Case, trigger: int) -> tuple[Ref, ...]:
    """Give the pods that make a trigger fire."""
    seen = _seen(case, trigger)
    return seen.failing if seen else ()


def accused(case: Case, trigger: int) -> frozenset[str]:
    """Name the workloads or Nodes that the source itself accuses."""
    seen = _seen(case, trigger)
    return seen.accused if seen else frozenset()


def began_at(case: Case, trigger: int) -> datetime | None:
    """Say when the first sign was seen, before the trigger fired, where its source tells; never later than now."""
    seen = _seen(case, trigger)
    return min(seen.began_at, case.now) if seen and seen.began_at else None


def dependencies(case: Case, trigger: int) -> tuple[DependencySeen, ...]:
    """Give what the check of a trigger itself depends on."""
    seen = _seen(case, trigger)
    return seen.dependencies if seen else ()


def observed_at(case: Case, trigger: int) -> datetime:
    """Say up to when a trigger is known, at the latest until now; long ago when it is not.

    An alert that was told to be over is known until now: Alertmanager would tell if it fired again.
    """
    if _is_alert(case, trigger):
        is_over = of_attempt(case, trigger).state is SignalState.QUIET
        return case.now if is_over else NEVER
    seen = _seen(case, trigger)
    return min(case.now, seen.observed_at) if seen and seen.observed_at else NEVER


def aging(case: Case) -> Iterator[datetime]:
    """Give the times at which data grows too old, so that the policy looks again by itself."""
    for seen in case.seen.signals:
        told = of_attempt(case, seen.index).observed_at if _is_alert(case, seen.index) else seen.observed_at
        if told is not None:
            yield told + seen.stale_after + JUST_AFTER
        if told is not None and _is_alert(case, seen.index):
            yield told + SILENT_AFTER * seen.stale_after + JUST_AFTER


def title(case: Case, trigger: int) -> str:
    """Name a trigger for a human: `healthCheck checkout`. A query is not shown: it may say more than is ours."""
    known = case.spec.triggers[trigger] if trigger < len(case.spec.triggers) else None
    subject = _subject(known) if known else ""
    return f"{known.name} {subject}" if known and subject else f"trigger {trigger}"


def ground(case: Case, trigger: int) -> str:
    """Say what makes a trigger fire, in the words of what was seen: `HealthCheck checkout is Unhealthy`."""
    return detail(case, trigger) or f"{title(case, trigger)} fires"


def detail(case: Case, trigger: int) -> str:
    """Say what was seen of a trigger, or why nothing was; "" when the source has no words for it."""
    seen = _seen(case, trigger)
    return seen.detail[:128] if seen else ""


def lack(case: Case, trigger: int) -> str:
    """Say why nothing is known of a trigger, where more can be said than that."""
    named = case.spec.triggers[trigger].name if trigger < len(case.spec.triggers) else ""
    return detail(case, trigger) if named in _EXPLAINED else ""


_EXPLAINED = frozenset({"slo", "promql"})


def _subject(trigger: Trigger) -> str:
    """Give what a trigger looks at, in a word."""
    named = trigger.health_check or trigger.slo or trigger.alert
    if named:
        return named.name
    if trigger.pods or trigger.node:
        return trigger.pods.reason.value if trigger.pods else trigger.node.condition.value if trigger.node else ""
    if trigger.rollout:
        return trigger.rollout.state.value
    return trigger.promql.condition if trigger.promql else ""


def _seen(case: Case, trigger: int) -> SignalSeen | None:
    return next((signal for signal in case.seen.signals if signal.index == trigger), None)


def _is_alert(case: Case, trigger: int) -> bool:
    return trigger < len(case.spec.triggers) and case.spec.triggers[trigger].alert is not None


def _is_silence(case: Case, signal: Signal) -> bool:
    """Whether it is in order that nothing is known: nobody speaks of an alert that does not fire."""
    seen = _seen(case, signal.trigger)
    is_idle = seen is not None and seen.is_idle
    return signal.state is SignalState.UNKNOWN and (is_idle or _is_alert(case, signal.trigger))


# --- the state of a trigger -----------------------------------------------------------------------------


def _assessed(case: Case, index: int, seen: SignalSeen | None, known: Signal | None) -> Signal:
    told_at: datetime | None = None
    if _is_alert(case, index):
        verdict, told_at = _last_word(case, seen, known)
        state = _state_of_alert(verdict, told_at, seen, case.now)
        told_at = told_at if state is not SignalState.UNKNOWN else None
    else:
        state = _state(seen, case.now)
    told = min(seen.since, case.now) if seen and seen.since and state not in BLIND else None
    return Signal(
        trigger=index,
        state=state,
        since=_since(state, told, known, case.now),
        observed_at=told_at,
        turns=flapping.turns(known, state, case.now),
    )


def _state(seen: SignalSeen | None, now: datetime) -> SignalState:
    if seen is None or seen.observed_at is None:
        return SignalState.UNKNOWN
    if seen.verdict is not SignalState.UNKNOWN and abs(now - seen.observed_at) > seen.stale_after:
        return SignalState.STALE
    return seen.verdict


def _last_word(case: Case, seen: SignalSeen | None, known: Signal | None) -> tuple[SignalState, datetime | None]:
    """Give what was last told of an alert, and when: to this process, else what is on record of the same spec."""
    if seen is not None and seen.observed_at is not None:
        return seen.verdict, seen.observed_at
    is_edited = case.status.observed_generation != case.seen.generation
    if known is None or known.observed_at is None or is_edited:
        return SignalState.UNKNOWN, None
    is_over = known.state is SignalState.QUIET
    return SignalState.QUIET if is_over else SignalState.FIRING, known.observed_at


def _state_of_alert(
    verdict: SignalState, told_at: datetime | None, seen: SignalSeen | None, now: datetime
) -> SignalState:
    """Give what the last word on an alert is worth now."""
    if told_at is None or seen is None:
        return SignalState.UNKNOWN
    age = abs(now - told_at)
    if age <= seen.stale_after:
        return verdict
    is_missed = verdict is SignalState.FIRING and age <= SILENT_AFTER * seen.stale_after
    return SignalState.STALE if is_missed else SignalState.UNKNOWN


def _since(state: SignalState, told: datetime | None, known: Signal | None, now: datetime) -> datetime:
    """Time a state. A gap in the data is a break: what was before it does not count as unbroken."""
    if known is None:
        return told or now
    if known.state is state:  # a clock set back cannot put off what began before
        return min(now, max(known.since, told) if told else known.since)
    return now if known.state in BLIND else told or now
