"""Which part of a HealthCheck's status is worth a write at once: in steady state there is none."""

from typing import Any

from homeostat.api.health_check import HealthCheckStatus, HealthState, Streak, StreakResult
from homeostat.core.significance import Significance

_HEALTHY, _DEGRADED, _UNHEALTHY = HealthState.HEALTHY, HealthState.DEGRADED, HealthState.UNHEALTHY


def significance(old: HealthCheckStatus, new: HealthCheckStatus) -> Significance:
    """Compare two statuses: what thresholds and others' decisions depend on, then all the rest."""
    if _essence(old) != _essence(new):
        return Significance.CHANGE
    return Significance.NOTHING if old == new else Significance.REFRESH


def _essence(status: HealthCheckStatus) -> tuple[Any, ...]:
    conditions = [(entry.type, entry.status, entry.reason, entry.observed_generation) for entry in status.conditions]
    return (
        status.observed_generation,
        status.state,
        status.since,
        conditions,
        status.suppressed_by,
        status.certificate_expiry,
        _endpoints(status),
        _streak(status.state, status.streak),
    )


def _endpoints(status: HealthCheckStatus) -> tuple[Any, ...]:
    """Who passes and who does not. Why may alternate, and while the state is unknown nobody acts on it."""
    if status.state not in {_HEALTHY, _DEGRADED, _UNHEALTHY}:
        return ()
    return status.passing, {endpoint.name for endpoint in status.failing}


def _streak(state: HealthState, streak: Streak | None) -> tuple[Any, ...]:
    """What of a streak may still move the state, and must therefore survive a restart (H6).

    Passes that first make a state known are left out: that costs every new check a write, and losing them
    costs an interval.
    """
    if streak is None:
        return ()
    if streak.result is StreakResult.FAIL:
        return (streak.result,) if state is _UNHEALTHY else (streak.result, streak.count)
    if state is _UNHEALTHY:
        return streak.result, streak.count, streak.clean
    if state is _DEGRADED:
        return streak.result, streak.clean
    return (streak.result,) if state is _HEALTHY else ()
