"""How long a fault may be up."""

import pytest

from homeostat.agent.lease import FIRST_BEAT_SECONDS, Lease
from homeostat.core.chaos.faults import guard
from homeostat.core.orders import OffReason, Order

ORDER = Order("shop/lossy", 1, "network", {"loss": "1%"}, 60.0, beat_seconds=1.0, misses=3)


def test_an_agent_that_is_ready_waits_longer_than_its_run_waits_for_the_others() -> None:
    """C2: one whose Node has the image must not give up while another's still pulls it."""
    assert guard.PATIENCE.total_seconds() < FIRST_BEAT_SECONDS


def test_a_lease_ends_after_three_beats_that_did_not_come() -> None:
    """C4: the injector reverts after three missed renewals."""
    lease = Lease(ORDER, 100.0)

    assert lease.reason(102.9) is None
    assert lease.reason(103.0) is OffReason.LEASE


def test_a_beat_renews_the_lease_from_when_it_came() -> None:
    """C4."""
    lease = Lease(ORDER, 100.0)
    lease.renew(102.5)

    assert lease.reason(105.4) is None
    assert lease.left(105.0) == pytest.approx(0.5)
    assert lease.reason(105.5) is OffReason.LEASE


def test_no_beat_carries_a_fault_beyond_its_deadline() -> None:
    """C3: the agent's own absolute deadline."""
    lease = Lease(ORDER, 100.0)
    lease.renew(159.5)

    assert lease.left(159.5) == pytest.approx(0.5)
    assert lease.reason(160.0) is OffReason.DEADLINE
