"""The reasons of a HealthCheck's conditions, and what they tell the next decision: status is all that it remembers."""

from enum import StrEnum
from typing import Final

from homeostat.api.health_check import HealthCheckStatus, HealthState
from homeostat.core.acceptance import UNACCEPTED
from homeostat.core.condition import READY, condition
from homeostat.core.probing.asking import Refusal
from homeostat.core.probing.result import Reason

HEALTHY, FLAPPING, DEPENDENCIES_HEALTHY = "Healthy", "Flapping", "DependenciesHealthy"


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


STALLING: Final = frozenset(
    {
        *UNACCEPTED,
        *Refusal,
        Reason.INVALID_REQUEST,
        Reason.INVALID_EXPRESSION,
        Reason.INVALID_QUERY,  # also several values where one is expected: the query does not sum them up
    }
)
"""Reasons of Ready=False that only an edit of the check ends.

Not among them, as others or time may end them:
- DependencyCycle: any check of the circle may let go, and an edit of several passes through one;
- AddressNotAllowed, NoPrometheus: settings of the operator, or what a name resolves to;
- UnknownPort: the Service may still get the port;
- InvalidJob: the API server refuses a Job for a quota or a policy in the same words as for its template;
- SecretNotFound, SecretUnusable: the Secret may come, or be mended;
- Stale, NotPermitted: data and rights.
"""
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
