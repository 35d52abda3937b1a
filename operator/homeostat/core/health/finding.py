"""What a check's runs amount to: its state, since when, whether it does its work, and why (H1, H2)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from homeostat.api.health_check import HealthCheckSpec, HealthCheckStatus, HealthState, Trend
from homeostat.api.meta import ConditionStatus, format_time
from homeostat.core.health.maintenance import rests_until
from homeostat.core.health.message import describe, describe_other
from homeostat.core.health.plan import stale_after
from homeostat.core.health.reasons import HEALTHY, HealthReason, has_reason, state_before
from homeostat.core.health.track import Snapshot
from homeostat.core.probing.result import Reason, Verdict
from homeostat.core.ref import Ref

Counts = tuple[int, int, float]
"""Good runs, all runs (pass and fail only, H1), and the seconds of the window that were observed."""


_SILENCE = "no run has passed or failed for too long"


@dataclass(frozen=True, slots=True)
class HealthSeen:
    """What is known of a check: how it fares (None: it does not run), and its counts by window ("1h", "24h", …).

    `dependencies` has the state of each check of `dependsOn`, Unknown when there is none of that name or it does not
    run. `cycle` is the way from the check over its dependencies back to itself, () when there is none.
    """

    ref: Ref
    generation: int
    track: Snapshot | None = None
    uptime: Mapping[str, Counts] = field(default_factory=dict)
    problem: tuple[str, str] | None = None
    dependencies: Mapping[str, HealthState] = field(default_factory=dict)
    cycle: tuple[str, ...] = ()
    trend: Trend | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """The state, since when, and whether the check does its work. `track` only when what it says still holds.

    `refusal` is why the probe cannot run as written, where that is also why nothing is known.
    """

    state: HealthState
    since: datetime
    ready: ConditionStatus
    reason: str
    message: str
    track: Snapshot | None = None
    refusal: str = ""

    @property
    def is_stale(self) -> bool:
        """Whether nothing is known because nothing passed or failed for too long."""
        return self.state is HealthState.UNKNOWN and self.reason == HealthReason.STALE

    @property
    def cannot_run(self) -> str:
        """Why the check cannot run as written, as a word; "" when it can."""
        is_refused = self.ready is ConditionStatus.FALSE and self.reason != HealthReason.STALE
        return self.refusal or (self.reason if is_refused else "")

    @property
    def is_wrong(self) -> bool:
        """Whether the target itself is known to be not as it should."""
        return self.state in {HealthState.UNHEALTHY, HealthState.DEGRADED}


def find(spec: HealthCheckSpec, status: HealthCheckStatus, seen: HealthSeen, now: datetime) -> Finding:
    """Judge by the first rule that applies."""
    track = seen.track
    if seen.problem:
        return _untracked(HealthState.UNKNOWN, status, ConditionStatus.FALSE, seen.problem, now)
    if spec.suspend:
        why = HealthReason.SUSPENDED, "suspended"
        return _untracked(HealthState.SUSPENDED, status, ConditionStatus.TRUE, why, now)
    if track is None:
        why = HealthReason.NO_RESULT_YET, "not running yet"
        return _untracked(HealthState.UNKNOWN, status, ConditionStatus.UNKNOWN, why, now)
    return _at_rest(spec, status, track, now) or _at_work(spec, status, track, now)


def _untracked(
    state: HealthState, status: HealthCheckStatus, ready: ConditionStatus, why: tuple[str, str], now: datetime
) -> Finding:
    return Finding(state, _since(state, status, now), ready, why[0], why[1][:1024])


def _since(state: HealthState, status: HealthCheckStatus, now: datetime) -> datetime:
    return status.since if status.since and status.state is state else now


def _at_rest(spec: HealthCheckSpec, status: HealthCheckStatus, track: Snapshot, now: datetime) -> Finding | None:
    """Rest while maintenance holds, and then until the next run, for until then nothing new is known."""
    until = rests_until(((one.start, one.end) for one in spec.maintenance), now)
    if until is None and track.reason is not Reason.MAINTENANCE:
        return None
    message = "maintenance is over, and the next run is still to come"
    if until is not None:
        why = next((one.reason for one in spec.maintenance if one.reason and one.start <= now < one.end), "")
        message = f"in maintenance until {format_time(until)}" + (f": {why}" if why else "")
    since = _since(HealthState.SUSPENDED, status, now)
    return Finding(HealthState.SUSPENDED, since, ConditionStatus.TRUE, HealthReason.MAINTENANCE, message, track)


def _at_work(spec: HealthCheckSpec, status: HealthCheckStatus, track: Snapshot, now: datetime) -> Finding:
    overdue = track.silence - stale_after(spec)
    if overdue >= timedelta(0):
        return _stale(status, track, now - overdue)
    message = describe(track, spec)
    if track.verdict is Verdict.INVALID and track.reason:
        return Finding(track.state, track.since, ConditionStatus.FALSE, track.reason, message, track)
    if track.state is HealthState.UNKNOWN:
        return _pending(status, track, message)
    return Finding(track.state, track.since, ConditionStatus.TRUE, HealthReason.EVALUATED, message, track)


def _pending(status: HealthCheckStatus, track: Snapshot, message: str) -> Finding:
    """Wait for enough runs. A silence ends only when they are there, so that conditions do not flap.

    It also was one when a state was known and is not any more: so short a silence that a run was faster to see it.
    """
    ready, reason = ConditionStatus.UNKNOWN, HealthReason.NO_RESULT_YET
    if has_reason(status, HEALTHY, HealthReason.STALE) or state_before(status) is not HealthState.UNKNOWN:
        ready, reason = ConditionStatus.FALSE, HealthReason.STALE
    return Finding(track.state, track.since, ready, reason, message, track)


def _stale(status: HealthCheckStatus, track: Snapshot, began: datetime) -> Finding:
    """Say that what is known is too old; since when is found once, for it is measured by another clock."""
    since = track.since if track.state is HealthState.UNKNOWN else began
    if has_reason(status, HEALTHY, HealthReason.STALE):
        since = _since(HealthState.UNKNOWN, status, since)
    refusal = track.reason if track.verdict is Verdict.INVALID and track.reason else ""
    other = describe_other(track)
    message = other if refusal else "; ".join(part for part in (_SILENCE, other) if part)
    return Finding(HealthState.UNKNOWN, since, ConditionStatus.FALSE, HealthReason.STALE, message, refusal=refusal)
