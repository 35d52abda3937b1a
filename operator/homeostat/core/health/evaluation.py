"""What a HealthCheck's status says, from how its runs fared (H1, H2, H6), how long ago, and what it depends on (H5).

Ready means that the spec was accepted and the state of the target is known, whichever it is.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
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
from homeostat.api.meta import format_decimal
from homeostat.core.decision import Decision
from homeostat.core.health.conditions import conditions, unhealthy_note
from homeostat.core.health.dependencies import unhealthy
from homeostat.core.health.events import Outlook, tell
from homeostat.core.health.finding import Counts, Finding, HealthSeen, find
from homeostat.core.health.flapping import Turns, is_flapping, steady_at
from homeostat.core.health.plan import stale_after
from homeostat.core.health.reasons import FLAPPING, HealthReason, has_reason
from homeostat.core.health.score import check_score
from homeostat.core.health.significance import significance
from homeostat.core.health.track import Snapshot
from homeostat.core.probing.target import probe_type, target

__all__ = ["HealthSeen", "decide", "significance", "steady_from"]

MOST_FAILING = 10  # endpoints named in status
LONGEST_MESSAGE = 1024
LAST_EXPIRY = 253_402_300_799  # epoch seconds: the year 9999 ends, and with it what a date can say


def decide(
    spec: HealthCheckSpec, status: HealthCheckStatus, seen: HealthSeen, now: datetime
) -> Decision[HealthCheckStatus]:
    """Say how healthy the target is. Acts on nothing; looks again when that would change without another run."""
    turns = _turns(spec, status, seen.track)
    outlook = _outlook(spec, status, seen, turns, now)
    finding = outlook.finding
    events, is_kept_back = tell(spec, status, outlook)
    fresh: dict[str, Any] = {
        "observed_generation": seen.generation,
        "type": probe_type(spec.probe),
        "target": target(spec.probe),
        "state": finding.state,
        "since": finding.since,
        "score": _score(finding),
        "trend": seen.trend,
        "message": finding.message,
        "uptime": _uptime(seen.uptime) if seen.uptime else status.uptime,
        "transitions": turns,
        "suppressed_by": outlook.suppressed_by,
        "conditions": conditions(spec, status, seen, replace(outlook, is_kept_back=is_kept_back), now),
    }
    fresh |= _run_figures(finding.track) | _lasting_figures(status, seen.track)
    shown = status.model_copy(update=fresh)
    again = (*_stale_at(spec, finding, now), *_steady_at(spec, shown, now))
    return Decision(status=shown, events=events, check_again_at=min(again, default=None))


def steady_from(spec: HealthCheckSpec, status: HealthCheckStatus, now: datetime) -> datetime | None:
    """Say when a check that flaps will have been steady for long enough; None when it does not flap."""
    return min(_steady_at(spec, status, now), default=None)


def _turns(spec: HealthCheckSpec, status: HealthCheckStatus, track: Snapshot | None) -> Turns:
    if track is not None:
        return track.turns
    return () if spec.suspend else status.transitions


def _outlook(
    spec: HealthCheckSpec, status: HealthCheckStatus, seen: HealthSeen, turns: Turns, now: datetime
) -> Outlook:
    finding, suppressed_by = find(spec, status, seen, now), unhealthy(seen.dependencies)
    if suppressed_by and finding.is_wrong:
        message = f"{finding.message}; {unhealthy_note(suppressed_by)}"
        finding = replace(finding, message=message[:LONGEST_MESSAGE])
    was_flapping = has_reason(status, FLAPPING, HealthReason.FLAPS)
    return Outlook(finding, is_flapping(spec.flapping, turns, now, was=was_flapping), suppressed_by)


def _stale_at(spec: HealthCheckSpec, finding: Finding, now: datetime) -> Iterator[datetime]:
    if finding.track and finding.state is not HealthState.SUSPENDED:
        yield now + stale_after(spec) - finding.track.silence


def _steady_at(spec: HealthCheckSpec, status: HealthCheckStatus, now: datetime) -> Iterator[datetime]:
    at = steady_at(spec.flapping, status.transitions, now) if has_reason(status, FLAPPING, HealthReason.FLAPS) else None
    if at is not None:
        yield at


# --- figures --------------------------------------------------------------------------------------------


def _score(finding: Finding) -> int | None:
    track = finding.track
    return check_score(finding.state, track.passing, track.total) if track else check_score(finding.state, 0, -1)


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
        "certificate_expiry": _expiry(track.not_after) if track.not_after else None,
        "latency": _latency(track.percentiles) if track.percentiles else status.latency,
    }


def _latency(percentiles: tuple[float, float, float]) -> Latency:
    """Round up to whole milliseconds, so that nothing is said to take no time."""
    p50, p95, p99 = (timedelta(milliseconds=ceil(round(seconds * 1000, 3))) for seconds in percentiles)
    return Latency(p50=p50, p95=p95, p99=p99)


def _expiry(epoch: float) -> datetime:
    """Give the second; what a certificate claims may be any date at all."""
    return datetime.fromtimestamp(min(round(epoch), LAST_EXPIRY), UTC)
