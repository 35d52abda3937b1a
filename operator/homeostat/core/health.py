"""What a HealthCheck's status says, from how its runs fared (H1, H2, H6) and how long ago the last one was.

Score: 100 while Healthy; while Degraded half of the share of endpoints that passed last (degraded counts half);
0 while Unhealthy; absent while nothing is known.
Ready means that the spec was accepted and the state of the target is known, whichever it is.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from math import ceil
from typing import Any

from homeostat.api.health_check import (
    FailingEndpoint,
    HealthCheckSpec,
    HealthCheckStatus,
    HealthState,
    Latency,
    Streak,
    StreakResult,
)
from homeostat.api.meta import Conditions, ConditionStatus, format_decimal
from homeostat.core.condition import condition, set_condition
from homeostat.core.decision import Decision, Event, EventType, Ref
from homeostat.core.health_message import describe
from homeostat.core.health_significance import significance
from homeostat.core.plan import probe_type, stale_after, target
from homeostat.core.probing import Verdict
from homeostat.core.track import Snapshot

__all__ = ["Counts", "HealthReason", "HealthSeen", "decide", "significance"]

READY, HEALTHY = "Ready", "Healthy"
MOST_FAILING = 10  # endpoints named in status

_SCORES = {HealthState.HEALTHY: 100, HealthState.DEGRADED: 50, HealthState.UNHEALTHY: 0}
_HEALTHY_STATUS = {
    HealthState.HEALTHY: ConditionStatus.TRUE,
    HealthState.DEGRADED: ConditionStatus.TRUE,
    HealthState.UNHEALTHY: ConditionStatus.FALSE,
}


class HealthReason(StrEnum):
    """Reasons of the conditions; besides them those of a problem or of a probe that cannot run as written."""

    EVALUATED = "Evaluated"  # Ready: the state is known
    NO_RESULT_YET = "NoResultYet"  # too few runs to know the state
    STALE = "Stale"  # no run passed or failed for longer than failureThreshold intervals
    SUSPENDED = "Suspended"
    PASSING = "Passing"
    DEGRADED = "Degraded"
    FAILING = "Failing"


_HEALTHY_REASON = {
    HealthState.HEALTHY: HealthReason.PASSING,
    HealthState.DEGRADED: HealthReason.DEGRADED,
    HealthState.UNHEALTHY: HealthReason.FAILING,
}

Counts = tuple[int, int, float]
"""Good runs, all runs (pass and fail only, H1), and the seconds of the window that were observed."""


@dataclass(frozen=True, slots=True)
class HealthSeen:
    """What is known of a check: how it fares (None: it does not run), and its counts by window ("1h", "24h", …)."""

    ref: Ref
    generation: int
    track: Snapshot | None = None
    uptime: Mapping[str, Counts] = field(default_factory=dict)
    problem: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class _Finding:
    """The state, since when, and whether the check does its work. `track` only when what it says still holds."""

    state: HealthState
    since: datetime
    ready: ConditionStatus
    reason: str
    message: str
    track: Snapshot | None = None


def decide(
    spec: HealthCheckSpec, status: HealthCheckStatus, seen: HealthSeen, now: datetime
) -> Decision[HealthCheckStatus]:
    """Say how healthy the target is. Acts on nothing; looks again when what is known would go stale."""
    finding = _find(spec, status, seen, now)
    fresh: dict[str, Any] = {
        "observed_generation": seen.generation,
        "type": probe_type(spec.probe),
        "target": target(spec.probe),
        "state": finding.state,
        "since": finding.since,
        "score": _score(finding),
        "message": finding.message,
        "uptime": _uptime(seen.uptime) if seen.uptime else status.uptime,
        "conditions": _conditions(status, finding, seen.generation, now),
    }
    fresh |= _run_figures(finding.track) | _lasting_figures(status, seen.track)
    return Decision(
        status=status.model_copy(update=fresh),
        events=_events(status, finding),
        check_again_at=_check_again_at(spec, finding),
    )


def _find(spec: HealthCheckSpec, status: HealthCheckStatus, seen: HealthSeen, now: datetime) -> _Finding:
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
    if now >= track.fresh_at + stale_after(spec):
        return _stale(spec, track)
    message = describe(track, spec)
    if track.verdict is Verdict.INVALID and track.reason:
        return _Finding(track.state, track.since, ConditionStatus.FALSE, track.reason, message, track)
    if track.state is HealthState.UNKNOWN:
        return _pending(status, track, message)
    return _Finding(track.state, track.since, ConditionStatus.TRUE, HealthReason.EVALUATED, message, track)


def _untracked(
    state: HealthState, status: HealthCheckStatus, ready: ConditionStatus, why: tuple[str, str], now: datetime
) -> _Finding:
    since = status.since if status.since and status.state is state else now
    return _Finding(state, since, ready, why[0], why[1][:1024])


def _pending(status: HealthCheckStatus, track: Snapshot, message: str) -> _Finding:
    """Wait for enough runs. A silence ends only when they are there, so that conditions do not flap."""
    ready, reason = ConditionStatus.UNKNOWN, HealthReason.NO_RESULT_YET
    if _was_stale(status):
        ready, reason = ConditionStatus.FALSE, HealthReason.STALE
    return _Finding(track.state, track.since, ready, reason, message, track)


def _stale(spec: HealthCheckSpec, track: Snapshot) -> _Finding:
    since = track.since if track.state is HealthState.UNKNOWN else track.fresh_at + stale_after(spec)
    is_silent = track.verdict in {None, Verdict.PASS, Verdict.FAIL}
    message = "no run has passed or failed for too long" + ("" if is_silent else f": {track.reason}")
    return _Finding(HealthState.UNKNOWN, since, ConditionStatus.FALSE, HealthReason.STALE, message)


def _check_again_at(spec: HealthCheckSpec, finding: _Finding) -> datetime | None:
    return finding.track.fresh_at + stale_after(spec) if finding.track else None


# --- figures --------------------------------------------------------------------------------------------


def _score(finding: _Finding) -> int | None:
    full = _SCORES.get(finding.state)
    if finding.state is not HealthState.DEGRADED or finding.track is None:
        return full
    return 50 * max(finding.track.passing, 0) // max(finding.track.total, 1)


def _uptime(counts: Mapping[str, Counts]) -> dict[str, str]:
    """Give percents with two decimals, rounded down: 100 only when nothing failed."""
    return {
        window: format_decimal(Decimal(good * 10_000 // total) / 100)
        for window, (good, total, _) in counts.items()
        if total > 0
    }


def _run_figures(track: Snapshot | None) -> dict[str, Any]:
    """Give what the last runs tell; nothing when that no longer holds."""
    if track is None:
        return {"passing": "", "failing": (), "streak": None}
    result = StreakResult.PASS if track.is_pass else StreakResult.FAIL
    return {
        "passing": "" if track.total < 0 else f"{track.passing}/{track.total}",
        "failing": tuple(FailingEndpoint(name=name, reason=reason) for _, name, reason in track.failing[:MOST_FAILING]),
        "streak": Streak(result=result, count=track.streak, clean=track.clean) if track.streak else None,
    }


def _lasting_figures(status: HealthCheckStatus, track: Snapshot | None) -> dict[str, Any]:
    """Give what stays true of the past, also after a restart, a suspension or a silence."""
    if track is None:
        return {}
    return {
        "last_probe": track.at,
        "missed": track.missed,
        "latency": _latency(track.percentiles) if track.percentiles else status.latency,
    }


def _latency(percentiles: tuple[float, float, float]) -> Latency:
    """Round up to whole milliseconds, so that nothing is said to take no time."""
    p50, p95, p99 = (timedelta(milliseconds=ceil(round(seconds * 1000, 3))) for seconds in percentiles)
    return Latency(p50=p50, p95=p95, p99=p99)


# --- what is told ---------------------------------------------------------------------------------------


def _conditions(status: HealthCheckStatus, finding: _Finding, generation: int, now: datetime) -> Conditions:
    ready_message = "" if finding.ready is ConditionStatus.TRUE else finding.message
    conditions = set_condition(status.conditions, READY, finding.ready, finding.reason, ready_message, generation, now)
    healthy = _HEALTHY_STATUS.get(finding.state, ConditionStatus.UNKNOWN)
    reason = _HEALTHY_REASON.get(finding.state, finding.reason)
    return set_condition(conditions, HEALTHY, healthy, reason, finding.message, generation, now)


def _events(status: HealthCheckStatus, finding: _Finding) -> tuple[Event, ...]:
    """Tell when the state turns for the worse, for the better again, or is lost."""
    old, new = status.state, finding.state
    if old is new:
        return ()
    if new is HealthState.UNHEALTHY:
        return (Event("Unhealthy", finding.message, EventType.WARNING),)
    if finding.reason == HealthReason.STALE:
        return (Event("Stale", finding.message, EventType.WARNING),)
    if new in _SCORES and (old is HealthState.UNHEALTHY or _was_stale(status)):
        return (Event("Recovered", finding.message),)
    if new is HealthState.DEGRADED:
        return (Event("Degraded", finding.message, EventType.WARNING),)
    if new is HealthState.HEALTHY and old is HealthState.DEGRADED:
        return (Event("Recovered", finding.message),)
    return ()


def _was_stale(status: HealthCheckStatus) -> bool:
    known = condition(status.conditions, HEALTHY)
    return known is not None and known.reason == HealthReason.STALE
