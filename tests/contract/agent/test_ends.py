"""Nothing of a fault is left, in whatever way its end comes (C3, C4, C6, C18)."""

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from contract.agent.agent_process import Agent, agent, has_ended, kill
from contract.agent.namespaces import PEER, POD, Cable, cabled, why_not
from homeostat.core.orders import AgentState, Beat, OffReason, RefusalReason

pytestmark = pytest.mark.skipif(bool(why_not()), reason=why_not() or "can run")

PORT = 9000
FAULTS: dict[str, tuple[str, dict[str, Any]]] = {
    "loss": ("network", {"loss": "100%"}),
    "reset": ("network", {"reset": "100%", "direction": "Both"}),
    "delay": ("network", {"delay": "1s"}),
    "bandwidth": ("network", {"bandwidth": "1Kbit", "direction": "Both"}),
    "dns": ("dns", {"fail": ["db"]}),
}


@pytest.fixture(scope="module")
def long_cable() -> Iterator[Cable]:
    with cabled() as made:
        yield made


@pytest.fixture
def cable(long_cable: Cable) -> Iterator[Cable]:
    yield long_cable
    long_cable.hang_up()


def until(is_so: Callable[[], bool]) -> None:
    """Wait until something is so; each look waits a moment itself."""
    for _ in range(200):
        if is_so():
            return
    raise AssertionError("it did not become so")


def gets_through(cable: Cable) -> bool:
    """Send one datagram out of the pod, and say whether it arrives soon."""
    receiver = cable.bound(cable.peer, PEER)
    receiver.settimeout(0.1)
    cable.bound(cable.pod, POD).sendto(b"x", receiver.getsockname())
    try:
        return receiver.recv(10) == b"x"
    except TimeoutError:
        return False
    finally:
        receiver.close()


def told(agent: Agent) -> None:
    agent.tell_to_end()


def starved(agent: Agent) -> None:
    agent.pause()


def told_to_stop(agent: Agent) -> None:
    kill(agent.keeper, by=signal.SIGTERM)


def robbed_of_its_holder(agent: Agent) -> None:
    kill(agent.holder)


def with_a_stopped_holder(agent: Agent) -> None:
    kill(agent.holder, by=signal.SIGSTOP)


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize(
    ("end", "reason"),
    [
        (told, OffReason.TOLD),
        (starved, OffReason.LEASE),
        (told_to_stop, OffReason.ENDED),
        (robbed_of_its_holder, OffReason.HOLDER_DIED),
        (with_a_stopped_holder, OffReason.HOLDER_DIED),
    ],
)
def test_nothing_is_left_when_the_agent_says_off(
    cable: Cable, fault: str, end: Callable[[Agent], None], reason: OffReason
) -> None:
    """C3, C4, C18: each end is the death of the holder, and the keeper looks before it says so."""
    before = cable.snapshot()
    with agent(cable.pod, *FAULTS[fault]) as faulty:
        faulty.begin()
        during = cable.snapshot()
        end(faulty)
        last = faulty.last_word()

        assert (last.state, last.reason) == (AgentState.OFF, reason)
        assert during != before
        assert cable.snapshot() == before
        assert gets_through(cable)


def test_the_fault_ends_by_its_own_deadline_while_beats_go_on(cable: Cable) -> None:
    """C3: the agent needs nobody to end in time."""
    before = cable.snapshot()
    with agent(cable.pod, *FAULTS["loss"], seconds=1.0) as faulty:
        faulty.begin()
        last = faulty.last_word()

    assert (last.state, last.reason) == (AgentState.OFF, OffReason.DEADLINE)
    assert cable.snapshot() == before


@pytest.mark.parametrize("fault", FAULTS)
def test_nothing_is_left_when_the_keeper_is_killed(cable: Cable, fault: str) -> None:
    """C18: the holder dies with its keeper, and the kernel takes back what it held."""
    before = cable.snapshot()
    with agent(cable.pod, *FAULTS[fault]) as faulty:
        faulty.begin()
        holder = faulty.holder
        kill(faulty.keeper)

        assert has_ended(holder)
        assert cable.snapshot() == before


def test_nothing_is_left_when_both_are_killed_at_once(cable: Cable) -> None:
    """C18."""
    before = cable.snapshot()
    with agent(cable.pod, *FAULTS["delay"]) as faulty:
        faulty.begin()
        holder = faulty.holder
        kill(faulty.keeper, holder)

        assert has_ended(holder)
        assert cable.snapshot() == before


def test_the_kernel_ends_the_fault_while_everything_of_ours_is_stopped(cable: Cable) -> None:
    """C18: rules match for as long as the lease, and a timer kills the holder, stopped as it is."""
    before = cable.snapshot()
    with agent(cable.pod, *FAULTS["loss"]) as faulty:
        faulty.begin()
        holder = faulty.holder
        assert not gets_through(cable)
        kill(faulty.keeper, holder, by=signal.SIGSTOP)
        until(lambda: gets_through(cable))

        assert has_ended(holder)
        assert cable.snapshot() == before


def test_a_holder_whose_keeper_is_stopped_ends_by_the_kernels_timer(cable: Cable) -> None:
    """C18: beats that do not reach the holder end it."""
    before = cable.snapshot()
    with agent(cable.pod, *FAULTS["delay"]) as faulty:
        faulty.begin()
        holder = faulty.holder
        kill(faulty.keeper, by=signal.SIGSTOP)

        assert has_ended(holder)
        assert cable.snapshot() == before


def test_a_fault_lasts_beyond_its_lease_while_it_is_renewed(cable: Cable) -> None:
    """C18: a beat renews the kernel's timeout, and not only ours."""
    with agent(cable.pod, *FAULTS["loss"], beat_seconds=0.2, misses=3) as faulty:
        faulty.begin()
        for _ in range(20):  # answers, of which ten come in a second: three leases
            faulty.wait_for(AgentState.ON)

        assert not gets_through(cable)


def test_an_operator_who_goes_and_comes_back_within_the_lease_goes_on_beating(cable: Cable, tmp_path: Path) -> None:
    """C4: the end of the input is no end; only beats that are missed are."""
    wire = tmp_path / "wire"
    os.mkfifo(wire)
    reading = os.open(wire, os.O_RDONLY | os.O_NONBLOCK)
    with agent(cable.pod, *FAULTS["loss"], beat_seconds=1.0, misses=10, wire=reading) as faulty:
        os.close(reading)
        faulty.wait_for(AgentState.READY)
        for number in (1, 2, 3):
            wire.write_bytes(Beat(number).line())  # opened, written and closed again

            assert faulty.wait_for(AgentState.ON).beat == number
        wire.write_bytes(Beat(4, revert=True).line())

        assert faulty.last_word().reason == OffReason.TOLD


@pytest.mark.parametrize(
    ("put", "take"),
    [
        ("tc qdisc add dev eth0 root tbf rate 1gbit burst 1mbit latency 1s", "tc qdisc del dev eth0 root"),
        ("nft add table inet theirs", "nft delete table inet theirs"),
        ("nft add table ip filter", "nft delete table ip filter"),
    ],
)
@pytest.mark.parametrize("fault", ["loss", "delay", "dns"])
def test_nothing_is_touched_where_others_have_rules(cable: Cable, put: str, take: str, fault: str) -> None:
    """C6: what was there before is there afterwards, since we leave."""
    cable.run(*put.split())
    before = cable.snapshot()
    try:
        with agent(cable.pod, *FAULTS[fault]) as refused:
            last = refused.last_word()

        assert (last.state, last.reason) == (AgentState.REFUSED, RefusalReason.FOREIGN_RULES)
        assert cable.snapshot() == before
    finally:
        cable.run(*take.split())


def test_an_order_that_cannot_be_read_is_refused(cable: Cable) -> None:
    with agent(cable.pod, "gravity", {}) as refused:
        last = refused.last_word()

    assert (last.state, last.reason) == (AgentState.REFUSED, RefusalReason.INVALID)
