"""What the triggers say, and since when: no data and old data are states of their own (R12)."""

from datetime import UTC, datetime

from homeostat.api.recovery import RecoveryPolicySpec
from homeostat.api.recovery_status import Signal, SignalState
from homeostat.core.decision import Ref
from homeostat.core.recovery.seen import Case, DependencySeen, SignalSeen

NEVER = datetime.min.replace(tzinfo=UTC)
BLIND = frozenset({SignalState.UNKNOWN, SignalState.STALE})


def assess(case: Case) -> tuple[Signal, ...]:
    """Give the state of every trigger, in their order, timed by the check's word and the policy's record."""
    seen = {signal.index: signal for signal in case.seen.signals}
    known = {signal.trigger: signal for signal in case.status.signals}
    return tuple(
        _assessed(index, seen.get(index), known.get(index), case.now) for index in range(len(case.spec.triggers))
    )


def due(case: Case) -> Signal | None:
    """Find the first trigger that has fired for as long as it must."""
    return next((signal for signal in firing(case) if due_at(case.spec, signal) <= case.now), None)


def due_at(spec: RecoveryPolicySpec, signal: Signal) -> datetime:
    """Say when a firing trigger is to be acted on."""
    return signal.since + spec.triggers[signal.trigger].for_


def firing(case: Case) -> tuple[Signal, ...]:
    """Give the triggers that fire."""
    return tuple(signal for signal in case.status.signals if signal.state is SignalState.FIRING)


def blind(case: Case) -> Signal | None:
    """Find the first trigger of which nothing is known."""
    return next((signal for signal in case.status.signals if signal.state in BLIND), None)


def of_attempt(case: Case, trigger: int) -> Signal:
    """Give the trigger that an attempt was made for; a trigger that is no longer in the spec is Unknown."""
    missing = Signal(trigger=trigger, state=SignalState.UNKNOWN, since=case.now)
    return next((signal for signal in case.status.signals if signal.trigger == trigger), missing)


def failing(case: Case, trigger: int) -> tuple[Ref, ...]:
    """Give the pods that make a trigger fire."""
    return next((signal.failing for signal in case.seen.signals if signal.index == trigger), ())


def dependencies(case: Case, trigger: int) -> tuple[DependencySeen, ...]:
    """Give what the check of a trigger itself depends on."""
    return next((signal.dependencies for signal in case.seen.signals if signal.index == trigger), ())


def observed_at(case: Case, trigger: int) -> datetime:
    """Say up to when a trigger is known, at the latest until now; long ago when it is not."""
    times = [signal.observed_at for signal in case.seen.signals if signal.index == trigger and signal.observed_at]
    return min(case.now, *times) if times else NEVER


def title(case: Case, trigger: int) -> str:
    """Name a trigger for a human: `healthCheck checkout`."""
    known = case.spec.triggers[trigger] if trigger < len(case.spec.triggers) else None
    if known and known.health_check:
        return f"healthCheck {known.health_check.name}"
    if known and known.pods:
        return f"pods {known.pods.reason.value}"
    return f"trigger {trigger}"


def ground(case: Case, trigger: int) -> str:
    """Say what makes a trigger fire, in the words of what was seen: `HealthCheck checkout is Unhealthy`."""
    detail = next((signal.detail for signal in case.seen.signals if signal.index == trigger), "")
    return detail[:128] or f"{title(case, trigger)} fires"


def _assessed(index: int, seen: SignalSeen | None, known: Signal | None, now: datetime) -> Signal:
    state = _state(seen, now)
    told = min(seen.since, now) if seen and seen.since and state not in BLIND else None
    return Signal(trigger=index, state=state, since=_since(state, told, known, now))


def _state(seen: SignalSeen | None, now: datetime) -> SignalState:
    if seen is None or seen.observed_at is None:
        return SignalState.UNKNOWN
    if seen.verdict is not SignalState.UNKNOWN and abs(now - seen.observed_at) > seen.stale_after:
        return SignalState.STALE
    return seen.verdict


def _since(state: SignalState, told: datetime | None, known: Signal | None, now: datetime) -> datetime:
    """Time a state. A gap in the data is a break: what was before it does not count as unbroken."""
    if known is None:
        return told or now
    if known.state is state:
        return max(known.since, told) if told else known.since
    return now if known.state in BLIND else told or now
