"""The reasons of a HealthCheck's conditions, and what they tell the next decision: status is all that it remembers."""

from enum import StrEnum

from homeostat.api.health_check import HealthCheckStatus, HealthState
from homeostat.core.condition import condition

READY, HEALTHY, FLAPPING, DEPENDENCIES_HEALTHY = "Ready", "Healthy", "Flapping", "DependenciesHealthy"


class HealthReason(StrEnum):
    """Reasons of the conditions; besides them those of a problem or of a probe that cannot run as written."""

    # Ready
    EVALUATED = "Evaluated"  # the state is known
    NO_RESULT_YET = "NoResultYet"  # too few runs to know the state
    STALE = "Stale"  # no run passed or failed for longer than failureThreshold intervals
    SUSPENDED = "Suspended"
    MAINTENANCE = "Maintenance"
    DEPENDENCY_CYCLE = "DependencyCycle"  # it depends on itself, so dependsOn has no effect
    # Healthy
    PASSING = "Passing"
    DEGRADED = "Degraded"
    FAILING = "Failing"
    PASSING_BEFORE = "PassingBefore"  # and in maintenance now
    DEGRADED_BEFORE = "DegradedBefore"
    FAILING_BEFORE = "FailingBefore"
    # Flapping
    FLAPS = "Flapping"
    STEADY = "Steady"
    # DependenciesHealthy
    NONE_UNHEALTHY = "NoneUnhealthy"
    DEPENDENCY_UNHEALTHY = "DependencyUnhealthy"
    SUPPRESSING = "Suppressing"  # and something is wrong here too, of which nobody was told
    DEPENDENCY_UNKNOWN = "DependencyUnknown"


HEALTHY_REASON = {
    HealthState.HEALTHY: HealthReason.PASSING,
    HealthState.DEGRADED: HealthReason.DEGRADED,
    HealthState.UNHEALTHY: HealthReason.FAILING,
}
BEFORE = {
    HealthState.HEALTHY: HealthReason.PASSING_BEFORE,
    HealthState.DEGRADED: HealthReason.DEGRADED_BEFORE,
    HealthState.UNHEALTHY: HealthReason.FAILING_BEFORE,
}
_STATES = {str(reason): state for state, reason in BEFORE.items()}


def has_reason(status: HealthCheckStatus, type: str, reason: str) -> bool:  # noqa: A002 - the API's word
    """Say whether the condition of a type is there for this reason."""
    known = condition(status.conditions, type)
    return known is not None and known.reason == reason


def is_in_maintenance(status: HealthCheckStatus) -> bool:
    """Say whether status was written in maintenance."""
    return status.state is HealthState.SUSPENDED and has_reason(status, READY, HealthReason.MAINTENANCE)


def state_before(status: HealthCheckStatus) -> HealthState:
    """Give the state without regard to maintenance: what it was when that began."""
    if status.state is not HealthState.SUSPENDED:
        return status.state
    known = condition(status.conditions, HEALTHY)
    return _STATES.get(known.reason, HealthState.UNKNOWN) if known else HealthState.UNKNOWN
