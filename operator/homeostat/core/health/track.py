"""How one check fares: a plain record that a run's outcome updates. The hot path: no model is built here.

States move by thresholds, whatever the state before (H2):

    any ──failureThreshold fails in a row──▶ Unhealthy
    Unknown, Unhealthy ──successThreshold passes in a row──▶ Healthy, or Degraded when one of them was blemished
    Healthy ──one blemished pass──▶ Degraded ──successThreshold clean passes in a row──▶ Healthy

A blemished pass took a retry, was slower than `degraded.latency`, or left endpoints failing. A run that neither
passed nor failed moves nothing (H1); when only such runs come, or none, the last result goes stale. Silence is
measured by a clock that never jumps. Maintenance is no silence: the check goes on where it left.
"""

from array import array
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from math import ceil

from homeostat.api.health_check import HealthCheckStatus, HealthState, StreakResult
from homeostat.core.health.flapping import with_turn
from homeostat.core.health.plan import Plan
from homeostat.core.health.reasons import FLAPPING, HealthReason, has_reason, is_in_maintenance, state_before
from homeostat.core.health.run import Failing, Run
from homeostat.core.probing.result import Reason, Verdict

RING = 100
"""How many passed runs the latency percentiles look back on."""

VERDICTS = tuple(Verdict)
"""The order of a track's counters."""

_PASS, _FAIL = Verdict.PASS, Verdict.FAIL
_HEALTHY, _DEGRADED = HealthState.HEALTHY, HealthState.DEGRADED
_UNHEALTHY, _UNKNOWN = HealthState.UNHEALTHY, HealthState.UNKNOWN
_SLOT = {verdict: slot for slot, verdict in enumerate(VERDICTS)}


class Blemish(StrEnum):
    """What was wrong with a run that passed."""

    RETRIED = "Retried"
    PARTIAL = "Partial"
    SLOW = "Slow"


_RETRIED, _PARTIAL, _SLOW = Blemish.RETRIED, Blemish.PARTIAL, Blemish.SLOW


def _no_latencies() -> "array[float]":
    return array("f", bytes(4 * RING))


def _no_counts() -> "array[int]":
    return array("Q", bytes(8 * len(VERDICTS)))


@dataclass(slots=True, eq=False)
class Track:
    """One check since it is watched.

    `counts` go by `VERDICTS`. `streak` counts passes or fails in a row, `clean` the unblemished passes at its end.
    `fresh` (monotonic seconds) is the last pass or fail, or when watching began or maintenance held last; `at` is
    None before the first. `passing`, `total` (-1 before the first) and `failing` are of the last run that passed or
    failed. `faltered_at` is the first of the last fails in a row, or the blemish that ended a healthy time. `turns` are
    between Unhealthy and not, oldest first; `is_flapping` is what was last decided of them. `not_after` is when the
    first of the certificates seen last expires (epoch seconds), 0.0 without any.
    """

    since: datetime
    fresh: float
    generation: int = 0
    state: HealthState = _UNKNOWN
    is_pass: bool = True
    streak: int = 0
    clean: int = 0
    blemish: Blemish | None = None
    verdict: Verdict | None = None
    reason: Reason | None = None
    at: datetime | None = None
    passing: int = -1
    total: int = -1
    failing: tuple[Failing, ...] = ()
    turns: tuple[datetime, ...] = ()
    is_flapping: bool = False
    not_after: float = 0.0
    faltered_at: datetime | None = None
    missed: int = 0
    recorded: int = 0
    latencies: "array[float]" = field(default_factory=_no_latencies)
    counts: "array[int]" = field(default_factory=_no_counts)


def record(track: Track, plan: Plan, run: Run, now: datetime, monotonic: float) -> bool:
    """Take in one run. Say whether anything changed that a decision cares for: state, streak, endpoints, verdict."""
    track.counts[_SLOT[run.verdict]] += 1
    is_other = track.verdict is not run.verdict
    if run.reason is Reason.MAINTENANCE:
        _rest(track, plan, now, monotonic)
    track.verdict = run.verdict
    track.reason = run.reason
    if run.verdict is not _PASS and run.verdict is not _FAIL:
        return is_other
    before = track.state
    if is_silent(track, plan, monotonic):
        _forget(track, now)
    track.at = now
    track.fresh = monotonic
    is_progress = _pass(track, plan, run, now) if run.verdict is _PASS else _fail(track, plan, now)
    if track.state is not before and _UNHEALTHY in {track.state, before}:
        track.turns = with_turn(track.turns, now)
    return _see(track, run) or is_progress or is_other or track.state is not before


def is_silent(track: Track, plan: Plan, monotonic: float) -> bool:
    """Say whether the last pass or fail is too long ago to hold."""
    return monotonic - track.fresh >= plan.stale_after.total_seconds()


def _pass(track: Track, plan: Plan, run: Run, now: datetime) -> bool:
    """Lengthen the streak of passes; say whether that brought another state nearer."""
    track.latencies[track.recorded % RING] = run.seconds
    track.recorded += 1
    track.streak = track.streak + 1 if track.is_pass else 1
    track.is_pass = True
    blemish, was_clean = blemish_of(run, plan), track.clean
    track.clean = 0 if blemish else was_clean + 1
    if blemish:
        track.blemish = blemish
    if track.state is _HEALTHY:
        if blemish:
            _enter(track, _DEGRADED, now)
            track.faltered_at = now
        return False
    if track.state is _DEGRADED:
        if track.clean >= plan.success_threshold:
            _enter(track, _HEALTHY, now)
        return track.clean != was_clean
    if track.streak >= plan.success_threshold:
        _enter(track, _HEALTHY if track.clean >= plan.success_threshold else _DEGRADED, now)
    return True


def _fail(track: Track, plan: Plan, now: datetime) -> bool:
    """Lengthen the streak of fails; say whether that brought another state nearer."""
    if track.is_pass or not track.streak:
        track.faltered_at = now
    track.streak = 1 if track.is_pass else track.streak + 1
    track.is_pass = False
    track.clean = 0
    if track.state is _UNHEALTHY:
        return False
    if track.streak >= plan.failure_threshold:
        _enter(track, _UNHEALTHY, now)
    return True


def _enter(track: Track, state: HealthState, now: datetime) -> None:
    track.state = state
    track.since = now
    if state is not _DEGRADED:
        track.blemish = None


def _forget(track: Track, now: datetime) -> None:
    """Start over after a silence: what was in a row before it is not in a row with what comes."""
    if track.state is not _UNKNOWN:
        _enter(track, _UNKNOWN, now)
    track.streak = track.clean = 0


def _rest(track: Track, plan: Plan, now: datetime, monotonic: float) -> None:
    """Let maintenance be no silence; one that was there before it is."""
    if track.reason is not Reason.MAINTENANCE and is_silent(track, plan, monotonic):
        _forget(track, now)
    track.fresh = monotonic


def _see(track: Track, run: Run) -> bool:
    """Take in who passed and what was seen of certificates; say whether that is other than before."""
    is_other = track.passing != run.passing or track.total != run.total or track.failing != run.failing
    track.passing = run.passing
    track.total = run.total
    track.failing = run.failing
    if run.not_after and run.not_after != track.not_after:
        track.not_after = run.not_after
        return True
    return is_other


def blemish_of(run: Run, plan: Plan) -> Blemish | None:
    """Give what keeps a pass from being clean; the gravest when there are several."""
    if run.failing:
        return _PARTIAL
    if run.is_retried:
        return _RETRIED
    if plan.degraded_latency is not None and run.seconds > plan.degraded_latency:
        return _SLOW
    return None


def watch_anew(track: Track, generation: int, monotonic: float) -> None:
    """Take note of an edited spec: state and streaks stay, and silence counts from now."""
    track.generation = generation
    track.fresh = monotonic
    track.not_after = 0.0


def percentiles(track: Track) -> tuple[float, float, float] | None:
    """Give p50, p95 and p99 (nearest rank) of the last passed runs in seconds; None before the first."""
    count = min(track.recorded, RING)
    if not count:
        return None
    ordered = sorted(track.latencies[:count])
    p50, p95, p99 = (ordered[ceil(count * share) - 1] for share in (0.5, 0.95, 0.99))
    return p50, p95, p99


def restore(status: HealthCheckStatus, generation: int, now: datetime, monotonic: float) -> Track:
    """Begin to watch a check where its status left off, so that no threshold starts anew (H6).

    Silence counts from now: that nobody looked while we were down says nothing about the target. A check that was
    suspended starts anew, one in maintenance does not.
    """
    track = Track(since=now, fresh=monotonic, generation=generation, missed=status.missed)
    is_resting = is_in_maintenance(status)
    if status.state is HealthState.SUSPENDED and not is_resting:
        return track
    _recall(track, status)
    if is_resting:
        track.verdict, track.reason = Verdict.SKIPPED, Reason.MAINTENANCE
    return track


def _recall(track: Track, status: HealthCheckStatus) -> None:
    track.since = status.since or track.since
    track.state = state_before(status)
    track.at = status.last_probe
    track.turns = status.transitions
    track.is_flapping = has_reason(status, FLAPPING, HealthReason.FLAPS)
    track.not_after = status.certificate_expiry.timestamp() if status.certificate_expiry else 0.0
    if status.streak:
        track.is_pass = status.streak.result is StreakResult.PASS
        track.streak = status.streak.count
        track.clean = status.streak.clean
        track.verdict = _PASS if track.is_pass else _FAIL
    if status.passing:
        passing, total = status.passing.split("/")
        track.passing, track.total = int(passing), int(total)
    track.failing = tuple((None, endpoint.name, endpoint.reason) for endpoint in status.failing)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A track as it was at one moment, for a decision. `percentiles` are p50, p95, p99 in seconds.

    `silence` is the time since the last pass or fail, or since watching began or maintenance held last.
    """

    since: datetime
    silence: timedelta
    state: HealthState
    is_pass: bool
    streak: int
    clean: int
    blemish: Blemish | None
    verdict: Verdict | None
    reason: Reason | None
    at: datetime | None
    passing: int
    total: int
    failing: tuple[Failing, ...]
    turns: tuple[datetime, ...]
    not_after: float
    missed: int
    percentiles: tuple[float, float, float] | None


def snapshot(track: Track, monotonic: float) -> Snapshot:
    """Freeze what a decision looks at."""
    return Snapshot(
        since=track.since,
        silence=timedelta(seconds=monotonic - track.fresh),
        state=track.state,
        is_pass=track.is_pass,
        streak=track.streak,
        clean=track.clean,
        blemish=track.blemish,
        verdict=track.verdict,
        reason=track.reason,
        at=track.at,
        passing=track.passing,
        total=track.total,
        failing=track.failing,
        turns=track.turns,
        not_after=track.not_after,
        missed=track.missed,
        percentiles=percentiles(track),
    )
