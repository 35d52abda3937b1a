"""How one check fares: a plain record that a run's outcome updates. The hot path: no model is built here.

States move by thresholds, whatever the state before (H2):

    any ──failureThreshold fails in a row──▶ Unhealthy
    Unknown, Unhealthy ──successThreshold passes in a row──▶ Healthy, or Degraded when one of them was blemished
    Healthy ──one blemished pass──▶ Degraded ──successThreshold clean passes in a row──▶ Healthy

A blemished pass took a retry, was slower than `degraded.latency`, or left endpoints failing. A run that neither
passed nor failed moves nothing (H1); when only such runs come, or none, the last result goes stale.
"""

from array import array
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from math import ceil

from homeostat.api.health_check import HealthCheckStatus, HealthState, StreakResult
from homeostat.core.plan import Plan
from homeostat.core.probing import Reason, Verdict
from homeostat.core.run import Failing, Run

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
    `fresh_at` is the last pass or fail, or when watching began; `at` is None before the first. `passing`, `total`
    (-1 before the first) and `failing` are of the last run that passed or failed.
    """

    since: datetime
    fresh_at: datetime
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
    missed: int = 0
    recorded: int = 0
    latencies: "array[float]" = field(default_factory=_no_latencies)
    counts: "array[int]" = field(default_factory=_no_counts)


def record(track: Track, plan: Plan, run: Run, now: datetime) -> bool:
    """Take in one run. Say whether anything changed that a decision cares for: state, streak, endpoints, verdict."""
    track.counts[_SLOT[run.verdict]] += 1
    is_other = track.verdict is not run.verdict
    track.verdict = run.verdict
    track.reason = run.reason
    if run.verdict is not _PASS and run.verdict is not _FAIL:
        return is_other
    before = track.state
    if now - track.fresh_at >= plan.stale_after:
        _forget(track, now)
    track.at = track.fresh_at = now
    is_progress = _pass(track, plan, run, now) if run.verdict is _PASS else _fail(track, plan, now)
    return _see_endpoints(track, run) or is_progress or is_other or track.state is not before


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


def _see_endpoints(track: Track, run: Run) -> bool:
    is_other = track.passing != run.passing or track.total != run.total or track.failing != run.failing
    track.passing = run.passing
    track.total = run.total
    track.failing = run.failing
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


def watch_anew(track: Track, generation: int, now: datetime) -> None:
    """Take note of an edited spec: state and streaks stay, and silence counts from now."""
    track.generation = generation
    track.fresh_at = now


def percentiles(track: Track) -> tuple[float, float, float] | None:
    """Give p50, p95 and p99 (nearest rank) of the last passed runs in seconds; None before the first."""
    count = min(track.recorded, RING)
    if not count:
        return None
    ordered = sorted(track.latencies[:count])
    p50, p95, p99 = (ordered[ceil(count * share) - 1] for share in (0.5, 0.95, 0.99))
    return p50, p95, p99


def restore(status: HealthCheckStatus, generation: int, now: datetime) -> Track:
    """Begin to watch a check where its status left off, so that no threshold starts anew (H6).

    Silence counts from now: that nobody looked while we were down says nothing about the target.
    """
    if status.state is HealthState.SUSPENDED:
        return Track(since=now, fresh_at=now, generation=generation, missed=status.missed)
    track = Track(since=status.since or now, fresh_at=now, generation=generation, missed=status.missed)
    track.state = status.state
    track.at = status.last_probe
    if status.streak:
        track.is_pass = status.streak.result is StreakResult.PASS
        track.streak = status.streak.count
        track.clean = status.streak.clean
        track.verdict = _PASS if track.is_pass else _FAIL
    if status.passing:
        passing, total = status.passing.split("/")
        track.passing, track.total = int(passing), int(total)
    track.failing = tuple((None, endpoint.name, endpoint.reason) for endpoint in status.failing)
    return track


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A track as it was at one moment, for a decision. `percentiles` are p50, p95, p99 in seconds."""

    since: datetime
    fresh_at: datetime
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
    missed: int
    percentiles: tuple[float, float, float] | None


def snapshot(track: Track) -> Snapshot:
    """Freeze what a decision looks at."""
    return Snapshot(
        since=track.since,
        fresh_at=track.fresh_at,
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
        missed=track.missed,
        percentiles=percentiles(track),
    )
