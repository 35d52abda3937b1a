"""An operator that is restarted while a fault is on: its own silence is not the signal's, and lasts a while only."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from homeostat.api.chaos_status import Phase, Verdict
from homeostat.api.health_check import HealthState
from homeostat.core.chaos.reasons import ChaosReason
from scenarios.chaos.watched import Watched
from scenarios.chaos.world import a_spec

SECOND = timedelta(seconds=1)
PROMQL = {"promql": {"query": "errors", "condition": "< 0.05"}}


def restarted(**changes: Any) -> Watched:
    """Give a world whose operator comes back while the fault is on; what it has read before is 10 s old."""
    world = Watched(a_spec(duration="60s", **changes))
    world.reconcile()
    world.run(20, until=Phase.RUNNING)
    assert world.status.phase is Phase.RUNNING, world.status
    world.is_check_silent = True
    world.tick(10)
    world.watched_since = world.now
    assert world.check is not None
    world.check = replace(world.check, fresh_at=world.now)
    world.reconcile()
    return world


def test_a_check_that_has_not_run_again_after_a_restart_ends_nothing_yet() -> None:
    """C7: nobody looked meanwhile, which says nothing about the target."""
    world = restarted()
    world.run(4)
    assert world.status.phase is Phase.RUNNING

    world.is_check_silent = False
    world.run(120, until=Phase.FINISHED)
    assert (world.status.verdict, world.status.reason) == (Verdict.PASSED, ChaosReason.HYPOTHESIS_HELD)


def test_a_check_that_stays_silent_after_a_restart_ends_the_fault_once_it_is_stale() -> None:
    """C7, C15: it has the time that it needs to speak, counted from the restart, and no more."""
    world = restarted()
    world.run(7)

    assert world.status.phase is not Phase.RUNNING
    assert (world.status.verdict, world.status.reason) == (Verdict.ABORTED, ChaosReason.SIGNAL_STALE)


def test_a_query_that_was_not_asked_yet_after_a_restart_is_waited_for() -> None:
    """C7, C15: for half a minute; without an answer the fault ends then."""
    world = restarted(hypothesis=[PROMQL])
    world.was_never_asked = True
    world.run(20)
    assert world.status.phase is Phase.RUNNING

    world.run(15)
    assert (world.status.verdict, world.status.reason) == (Verdict.ABORTED, ChaosReason.SIGNAL_MISSING)


def test_a_fault_whose_time_is_over_ends_though_nobody_has_spoken_since_the_restart() -> None:
    """C1, C15: patience makes no fault longer, and what was not observed did not hold."""
    world = Watched(a_spec(hypothesis=[PROMQL], duration="15s"))
    world.reconcile()
    world.run(20, until=Phase.RUNNING)
    world.was_never_asked, world.watched_since = True, world.now
    world.run(16)

    assert world.status.phase is not Phase.RUNNING
    assert (world.status.verdict, world.status.reason) == (Verdict.INCONCLUSIVE, ChaosReason.TOO_FEW_OBSERVATIONS)


@pytest.mark.parametrize("state", [HealthState.UNHEALTHY, HealthState.UNKNOWN])
def test_a_check_that_says_no_after_a_restart_ends_the_fault_at_once(state: HealthState) -> None:
    """C7: only silence is excused."""
    world = restarted()
    assert world.check is not None
    world.check = replace(world.check, state=state, observed_at=world.now)
    world.tick(1)
    world.reconcile()

    assert world.status.phase is not Phase.RUNNING
