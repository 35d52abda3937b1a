"""What we must know before we act: the cluster as it is now, the trigger, and where the cause lies (R12, R14)."""

from datetime import timedelta

from homeostat.api.health_check import HealthState
from homeostat.api.recovery_status import SignalState
from homeostat.core.recovery.gates.wish import Wish
from homeostat.core.recovery.reasons import Block, BlockReason
from homeostat.core.recovery.signals import dependencies, lack

OLDEST_VIEW = timedelta(seconds=30)
"""Beyond this age our own view of the API server is no ground to act on (R12)."""


def stale_view(wish: Wish) -> Block | None:
    """R12: no act on an old picture of the cluster."""
    if wish.case.seen.view_age <= OLDEST_VIEW:
        return None
    return Block(BlockReason.STALE_VIEW, "The view of the API server is too old to act on.")


def signal_stale(wish: Wish) -> Block | None:
    """R12: no act on old data."""
    if wish.signal.state is not SignalState.STALE:
        return None
    return Block(BlockReason.SIGNAL_STALE, f"The data of {wish.trigger} is too old to act on.")


def signal_missing(wish: Wish) -> Block | None:
    """R12: no act without data."""
    if wish.signal.state is not SignalState.UNKNOWN:
        return None
    why = lack(wish.case, wish.signal.trigger)
    return Block(BlockReason.SIGNAL_MISSING, f"There is no data of {wish.trigger}{': ' if why else ''}{why}.")


def expected_fault(wish: Wish) -> Block | None:
    """C12: an experiment that asks us to look on."""
    by = wish.case.seen.expected_by
    if by is None:
        return None
    return Block(BlockReason.EXPECTED_FAULT, f"{by.kind} {by.name} broke the target and wants no reaction.")


def dependency(wish: Wish) -> Block | None:
    """R14, H5: what is wrong here is likely wrong there, or we cannot tell.

    What the trigger's check depends on counts like what the policy itself names.
    """
    wanted = [entry.health_check.name for entry in wish.case.spec.depends_on]
    states = {entry.name: entry.state for entry in wish.case.seen.dependencies}
    of_trigger = dependencies(wish.case, wish.signal.trigger)
    named = [(name, states.get(name, HealthState.UNKNOWN), "") for name in wanted]
    named += [(one.name, one.state, f" (on which {wish.trigger} depends)") for one in of_trigger]
    for name, state, why in named:
        if state is HealthState.UNHEALTHY:
            return Block(BlockReason.DEPENDENCY_UNHEALTHY, f"HealthCheck {name}{why} is Unhealthy.")
        if state not in {HealthState.HEALTHY, HealthState.DEGRADED}:
            return Block(BlockReason.DEPENDENCY_UNKNOWN, f"The state of HealthCheck {name}{why} is not known.")
    return None
