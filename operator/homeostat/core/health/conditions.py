"""The conditions of a HealthCheck: Ready, Healthy, Flapping and, where they have something to say, two more.

These are DependenciesHealthy, with `dependsOn`, and Stalled, where only an edit of the check helps.
"""

from collections.abc import Sequence
from datetime import datetime

from homeostat.api.health_check import HealthCheckSpec, HealthCheckStatus, HealthState
from homeostat.api.meta import Conditions, ConditionStatus
from homeostat.core.condition import READY, set_condition, stalled
from homeostat.core.health.dependencies import unclear
from homeostat.core.health.events import Outlook, flapping_note
from homeostat.core.health.finding import Finding, HealthSeen
from homeostat.core.health.reasons import (
    BEFORE,
    DEPENDENCIES_HEALTHY,
    FLAPPING,
    HEALTHY,
    HEALTHY_REASON,
    STALLING,
    HealthReason,
    has_reason,
    state_before,
)
from homeostat.core.health.track import Snapshot

Said = tuple[ConditionStatus, str, str]
"""A condition: its status, the reason, and a sentence."""

_TRUE, _FALSE, _UNKNOWN = ConditionStatus.TRUE, ConditionStatus.FALSE, ConditionStatus.UNKNOWN
_HEALTHY_STATUS = {HealthState.HEALTHY: _TRUE, HealthState.DEGRADED: _TRUE, HealthState.UNHEALTHY: _FALSE}


def conditions(
    spec: HealthCheckSpec, status: HealthCheckStatus, seen: HealthSeen, outlook: Outlook, now: datetime
) -> Conditions:
    """Give the conditions as they are now."""
    said: dict[str, Said] = {
        READY: _ready(seen, outlook.finding),
        HEALTHY: _healthy(status, outlook.finding),
        FLAPPING: (_TRUE, HealthReason.FLAPS, flapping_note(spec))
        if outlook.is_flapping
        else (_FALSE, HealthReason.STEADY, ""),
    }
    if spec.depends_on:
        said[DEPENDENCIES_HEALTHY] = _dependencies(seen, outlook)
    kept = tuple(one for one in status.conditions if one.type != DEPENDENCIES_HEALTHY or spec.depends_on)
    for type_, (is_so, reason, message) in said.items():
        kept = set_condition(kept, type_, is_so, reason, message, seen.generation, now)
    return stalled(kept, STALLING, now)


def unhealthy_note(names: Sequence[str]) -> str:
    """Say which dependencies are Unhealthy."""
    return (
        f"HealthCheck {names[0]} is Unhealthy" if len(names) == 1 else f"HealthChecks {', '.join(names)} are Unhealthy"
    )


def _ready(seen: HealthSeen, finding: Finding) -> Said:
    if seen.cycle and not seen.problem:
        return _FALSE, HealthReason.DEPENDENCY_CYCLE, _cycle_note(seen)
    return finding.ready, finding.refusal or finding.reason, "" if finding.ready is _TRUE else finding.message


def _healthy(status: HealthCheckStatus, finding: Finding) -> Said:
    """Say how the target is; in maintenance how it was, so that its end is told as over what was told before."""
    is_so = _HEALTHY_STATUS.get(finding.state, _UNKNOWN)
    if finding.reason == HealthReason.MAINTENANCE and finding.track is not None:
        return is_so, _reason_before(status, finding.track), finding.message
    return is_so, HEALTHY_REASON.get(finding.state, finding.reason), finding.message


def _reason_before(status: HealthCheckStatus, track: Snapshot) -> str:
    """Give why, as it stood when maintenance began. A silence that was told outlasts it: only a run ends that."""
    if has_reason(status, HEALTHY, HealthReason.STALE):
        return HealthReason.STALE
    before = track.state if track.state in BEFORE else state_before(status)
    return BEFORE.get(before, HealthReason.MAINTENANCE)


def _dependencies(seen: HealthSeen, outlook: Outlook) -> Said:
    if seen.cycle:
        return _UNKNOWN, HealthReason.DEPENDENCY_CYCLE, _cycle_note(seen)
    if outlook.suppressed_by:
        reason = HealthReason.SUPPRESSING if outlook.is_kept_back else HealthReason.DEPENDENCY_UNHEALTHY
        return _FALSE, reason, unhealthy_note(outlook.suppressed_by)
    unknown = unclear(seen.dependencies)
    if unknown:
        return _UNKNOWN, HealthReason.DEPENDENCY_UNKNOWN, f"not known how it is: HealthCheck {', '.join(unknown)}"
    return _TRUE, HealthReason.NONE_UNHEALTHY, ""


def _cycle_note(seen: HealthSeen) -> str:
    return f"dependsOn has no effect, for it leads back: {' -> '.join(seen.cycle)}"
