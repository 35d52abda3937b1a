"""What is told of a check, and what is kept back: alarms while a dependency is Unhealthy (H5), turns while it flaps.

Only the beginning of an alarm is ever kept back, never its end. What was kept back is told once nothing stands against
it any more and it still is so; that something is, the condition DependenciesHealthy remembers (`Suppressing`).
"""

from dataclasses import dataclass

from homeostat.api.health_check import HealthCheckSpec, HealthCheckStatus, HealthState
from homeostat.api.meta import format_duration
from homeostat.core.condition import READY
from homeostat.core.decision import Event, EventType
from homeostat.core.health.finding import Finding
from homeostat.core.health.reasons import (
    DEPENDENCIES_HEALTHY,
    FLAPPING,
    HEALTHY,
    HealthReason,
    has_reason,
    state_before,
)

Events = tuple[Event, ...]

_GOOD = frozenset({HealthState.HEALTHY, HealthState.DEGRADED})


@dataclass(frozen=True, slots=True)
class Outlook:
    """What is found now of the check itself and of those without which it cannot be healthy."""

    finding: Finding
    is_flapping: bool
    suppressed_by: tuple[str, ...] = ()
    is_kept_back: bool = False
    """Whether an alarm is kept back: known once it was decided what to tell."""


def tell(spec: HealthCheckSpec, status: HealthCheckStatus, outlook: Outlook) -> tuple[Events, bool]:
    """Give what to tell, and whether an alarm is kept back now."""
    news = _news(spec, status, outlook)
    was_kept_back = has_reason(status, DEPENDENCIES_HEALTHY, HealthReason.SUPPRESSING)
    alarm = _flapping(spec) if outlook.is_flapping and not outlook.finding.is_stale else _alarm(outlook.finding)
    if not outlook.suppressed_by:
        is_owed = was_kept_back and not any(map(_is_alarm, news))
        return (*news, *(alarm if is_owed else ())), False
    told = tuple(event for event in news if not _is_alarm(event))
    return told, len(told) < len(news) or (was_kept_back and bool(alarm))


def flapping_note(spec: HealthCheckSpec) -> str:
    """Say what flapping means for this check."""
    rule = spec.flapping
    return f"turned between Unhealthy and not {rule.transitions} times within {format_duration(rule.window)}"


def _news(spec: HealthCheckSpec, status: HealthCheckStatus, outlook: Outlook) -> Events:
    """Give all that is new. While the check flaps single turns are no news, only that it does, or a silence."""
    finding, was_flapping = outlook.finding, has_reason(status, FLAPPING, HealthReason.FLAPS)
    if finding.cannot_run:
        return () if has_reason(status, READY, finding.cannot_run) else _refusal(finding)
    if outlook.is_flapping and not was_flapping:
        return _flapping(spec)
    if outlook.is_flapping:
        return _alarm(finding) if finding.is_stale and status.state is not HealthState.UNKNOWN else ()
    if not was_flapping:
        return _of_state(status, finding)
    if spec.suspend:
        return ()
    note = f"steady for {format_duration(spec.flapping.window)}: {finding.message}"
    return (Event("FlappingEnded", note), *_alarm(finding))


def _of_state(status: HealthCheckStatus, finding: Finding) -> Events:
    """Tell when the state turns for the worse, for the better again, or is lost."""
    if status.state is finding.state:
        return ()
    before = state_before(status)
    was_lost = before is HealthState.UNHEALTHY or has_reason(status, HEALTHY, HealthReason.STALE)
    if finding.state in _GOOD and was_lost:
        return (Event("Recovered", finding.message),)
    if finding.state is HealthState.HEALTHY and before is HealthState.DEGRADED:
        return (Event("Recovered", finding.message),)
    return () if finding.state is before and _is_mending(finding) else _alarm(finding)


def _is_mending(finding: Finding) -> bool:
    """Say whether the last run was good: after maintenance that is no reason to tell again what was wrong before."""
    track = finding.track
    return track is not None and track.is_pass and (track.clean > 0 or finding.state is HealthState.UNHEALTHY)


def _alarm(finding: Finding) -> Events:
    """Give the event of what is wrong now; none when nothing is."""
    if finding.is_stale:
        return (Event("Stale", finding.message, EventType.WARNING),)
    return (Event(finding.state.value, finding.message, EventType.WARNING),) if finding.is_wrong else ()


def _refusal(finding: Finding) -> Events:
    return (Event("CannotRun", finding.message, EventType.WARNING),)


def _flapping(spec: HealthCheckSpec) -> Events:
    return (Event("Flapping", flapping_note(spec), EventType.WARNING),)


def _is_alarm(event: Event) -> bool:
    return event.type is EventType.WARNING
