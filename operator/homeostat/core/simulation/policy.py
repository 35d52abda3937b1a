"""What a policy would have done about the past, had it been in mode Observe: the same gates, limits and rests.

In that mode nothing is touched, and each attempt that would have begun goes on record, takes its budget and is
followed by its cooldown. What an action would have changed is not in the past, so it is not in a replay.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Protocol

from homeostat.api.meta import format_time
from homeostat.api.objective import ServiceLevelObjectiveSpec
from homeostat.api.recovery import Mode, RecoveryPolicySpec
from homeostat.api.recovery_attempt import Outcome
from homeostat.api.recovery_decision import Escalation
from homeostat.api.recovery_status import Phase, RecoveryPolicyStatus, SignalState
from homeostat.core.cluster import Pod, TokenBudget, Workload
from homeostat.core.objective.burning import burning_now
from homeostat.core.recovery.policy import decide
from homeostat.core.recovery.seen import RecoverySeen, SignalSeen
from homeostat.core.ref import Ref
from homeostat.core.simulation.composed import is_missing_bad
from homeostat.core.simulation.recorded import Recorded, Replayable

STEP = timedelta(minutes=1)
"""How often a policy is decided on: minutes are the finest that history keeps for long."""
UNHEALTHY_SHARE = 0.5
"""A check is taken for Unhealthy in a bucket in which at least this share of its runs failed."""
_GENERATION = 1
_STALE = timedelta(hours=2)
_PODS = 3


class Watched(Protocol):
    """The past of what a trigger looks at."""

    def verdict(self, now: datetime) -> bool | None:
        """Say whether the trigger fires; None where nothing is known."""
        ...

    def next_look(self, now: datetime) -> datetime | None:
        """Give the next time at which it may fire; None when there is none."""
        ...


@dataclass(frozen=True, slots=True)
class Checked:
    """The runs of a check."""

    series: Recorded

    def verdict(self, now: datetime) -> bool | None:
        """Say whether it was Unhealthy, as far as its runs tell."""
        bucket = self.series.bucket_at(now)
        return None if bucket is None or not bucket.total else bucket.bad >= UNHEALTHY_SHARE * bucket.total

    def next_look(self, now: datetime) -> datetime | None:
        """Give when the next run failed."""
        return self.series.next_bad(now)


@dataclass(frozen=True, slots=True)
class Burning:
    """What an objective counts, and above which burn rate a trigger fires."""

    series: Replayable
    objective: ServiceLevelObjectiveSpec
    above: Decimal
    interval: timedelta = timedelta(0)

    def verdict(self, now: datetime) -> bool | None:
        """Say whether both of the shortest windows burned faster."""
        burning = burning_now(self.objective, self.series.at(now - timedelta(seconds=1)), self.interval, now)
        if burning is None or burning.long is None or burning.short is None:
            return None
        return min(burning.long, burning.short) > self.above

    def next_look(self, now: datetime) -> datetime | None:
        """Give when something bad was counted next; at once where what is missing counts as bad."""
        return now if is_missing_bad(self.objective) else self.series.next_bad(now)


@dataclass(frozen=True, slots=True)
class WouldAct:
    """An attempt that would have begun."""

    at: datetime
    step: str
    does: str
    cause: str


@dataclass(frozen=True, slots=True)
class Held:
    """A time in which a trigger fired, and something stood against acting."""

    reason: str
    since: datetime
    until: datetime
    message: str = ""


@dataclass(frozen=True, slots=True)
class Episode:
    """A time in which a trigger fired."""

    trigger: int
    since: datetime
    until: datetime | None


@dataclass(slots=True)
class Outcomes:
    """What a replay came to."""

    triggered: list[Episode] = field(default_factory=list)
    acts: list[WouldAct] = field(default_factory=list)
    held: list[Held] = field(default_factory=list)
    escalated: list[Escalation] = field(default_factory=list)
    silent: tuple[int, ...] = ()


def replay(
    spec: RecoveryPolicySpec, pasts: Mapping[int, Watched], since: datetime, until: datetime, name: str = "replayed"
) -> Outcomes:
    """Decide minute by minute. `pasts`: by index of trigger; of one that is not there nothing is known."""
    observing = spec.model_copy(update={"mode": Mode.OBSERVE, "suspend": False})
    came = Outcomes(silent=tuple(index for index in range(len(spec.triggers)) if index not in pasts))
    status = RecoveryPolicyStatus(observed_generation=_GENERATION)
    now = _next_minute(since)
    while now <= until:
        signals = tuple(_signal(index, pasts.get(index), now) for index in range(len(spec.triggers)))
        firing = any(one.verdict is SignalState.FIRING for one in signals)
        new = decide(observing, status, _seen(spec, name, signals, now, is_failing=firing), now).status
        _take_in(came, status, new, now)
        status = new
        now = _next_look(pasts.values(), status, now)
    return came


def _next_minute(moment: datetime) -> datetime:
    return datetime.fromtimestamp((int(moment.timestamp()) // 60 + 1) * 60, UTC)


def _next_look(pasts: Iterable[Watched], status: RecoveryPolicyStatus, now: datetime) -> datetime:
    """Say when to look again: the next minute, or where nothing is under way, when a trigger may fire next."""
    is_at_rest = status.phase is Phase.IDLE and not status.cooldown_until and not status.blocked
    if not is_at_rest:
        return now + STEP
    looks = [one.next_look(now) for one in pasts]
    known = [moment for moment in looks if moment is not None]
    if not known:
        return datetime.max.replace(tzinfo=UTC)
    return max(now + STEP, min(known))


# --- the world ------------------------------------------------------------------------------------------


def _signal(index: int, watched: Watched | None, now: datetime) -> SignalSeen:
    verdict = watched.verdict(now) if watched else None
    if verdict is None:
        return SignalSeen(index, SignalState.UNKNOWN, None, _STALE, is_idle=True)
    return SignalSeen(index, SignalState.FIRING if verdict else SignalState.QUIET, now, _STALE)


def _seen(
    spec: RecoveryPolicySpec, name: str, signals: tuple[SignalSeen, ...], now: datetime, *, is_failing: bool
) -> RecoverySeen:
    """Give a world in which nothing but the policy's own limits stands against acting: history knows no more."""
    target = _target(spec, now, is_failing=is_failing)
    failing = tuple(pod.ref for pod in target.pods if not pod.is_ready)
    return RecoverySeen(
        ref=Ref("RecoveryPolicy", "", name, "replayed"),
        generation=_GENERATION,
        target=target,
        candidates=(target,),
        signals=tuple(
            SignalSeen(one.index, one.verdict, one.observed_at, one.stale_after, failing=failing, is_idle=one.is_idle)
            for one in signals
        ),
        attempt_seed=f"at-{int(now.timestamp())}",
        cluster_budget=TokenBudget(used=0, of=1000),
        missing_rights=(),
    )


def _target(spec: RecoveryPolicySpec, now: datetime, *, is_failing: bool) -> Workload:
    """Make up a target: three pods, of which one fails while a trigger fires."""
    name = spec.target.name or "target"
    ref = Ref(spec.target.kind.value, "", name, "uid-target")
    long_ago = now - timedelta(days=1)
    pods = tuple(
        Pod(
            Ref("Pod", "", f"{name}-{number}", f"uid-{number}"), "1", "", "node", "Running",
            is_ready=not (is_failing and number == 0), is_terminating=False, restarts=0, created_at=long_ago,
            ready_since=long_ago,
        )
        for number in range(_PODS)
    )  # fmt: skip
    ready = sum(pod.is_ready for pod in pods)
    return Workload(ref, "1", 1, 1, _PODS, _PODS, ready, ready, f"app={name}", pods=pods)


# --- what came of it ------------------------------------------------------------------------------------


def _take_in(came: Outcomes, old: RecoveryPolicyStatus, new: RecoveryPolicyStatus, now: datetime) -> None:
    known = {record.id for record in old.last}
    came.acts += [
        WouldAct(one.started_at, one.name, "; ".join(one.targets), one.cause)
        for one in reversed(new.last)
        if one.id not in known and one.outcome is Outcome.WOULD_DO
    ]
    if new.escalated and (old.escalated is None or old.escalated.since != new.escalated.since):
        came.escalated.append(new.escalated)
    _take_in_signals(came, new, now)
    _take_in_holds(came, new, now)


def _take_in_signals(came: Outcomes, new: RecoveryPolicyStatus, now: datetime) -> None:
    open_ones = {one.trigger: place for place, one in enumerate(came.triggered) if one.until is None}
    for signal in new.signals:
        place = open_ones.get(signal.trigger)
        if signal.state is SignalState.FIRING and place is None:
            came.triggered.append(Episode(signal.trigger, now, None))
        elif signal.state is not SignalState.FIRING and place is not None:
            came.triggered[place] = Episode(signal.trigger, came.triggered[place].since, now)


def _take_in_holds(came: Outcomes, new: RecoveryPolicyStatus, now: datetime) -> None:
    block = new.blocked
    is_firing = any(signal.state is SignalState.FIRING for signal in new.signals)
    reason, message = (block.reason, block.message) if block else ("", "")
    if not reason and is_firing and new.cooldown_until and new.cooldown_until > now:
        reason, message = "CoolingDown", f"It rests until {format_time(new.cooldown_until)}."
    if not reason or not is_firing:
        return
    last = came.held[-1] if came.held else None
    if last and last.reason == reason and now - last.until <= 2 * STEP:
        came.held[-1] = Held(reason, last.since, now, message or last.message)
    else:
        came.held.append(Held(reason, now, now, message))
