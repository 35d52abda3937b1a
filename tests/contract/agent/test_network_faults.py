"""Faults of the network on a real cable, measured by counting what arrives."""

import socket
from collections.abc import Iterator
from typing import Any

import pytest

from contract.agent.agent_process import agent
from contract.agent.namespaces import PEER, PEER6, POD, POD6, Cable, cabled, why_not
from homeostat.core.orders import AgentState, RefusalReason

pytestmark = pytest.mark.skipif(bool(why_not()), reason=why_not() or "can run")

PORT, OTHER_PORT = 9000, 9001
SO_SNDBUFFORCE = 32


@pytest.fixture(scope="module")
def long_cable() -> Iterator[Cable]:
    with cabled() as made:
        yield made


@pytest.fixture
def cable(long_cable: Cable) -> Iterator[Cable]:
    yield long_cable
    long_cable.hang_up()


def arrived(receiver: socket.socket) -> int:
    """Count the datagrams that arrive, up to the one that says `end`."""
    count = 0
    try:
        while receiver.recv(2048) != b"end":
            count += 1
    except TimeoutError:
        pass
    return count


def received_of(cable: Cable, count: int, port: int, address: str = PEER) -> int:
    """Send `count` datagrams out of the pod, slowly enough for the receiver; give how many arrive."""
    receiver = cable.bound(cable.peer, address, port)
    receiver.settimeout(0.5)
    sender = cable.bound(cable.pod, POD if address == PEER else POD6)
    found = 0
    for first in range(0, count, 50):
        for _ in range(min(50, count - first)):
            sender.sendto(bytes(100), (address, port))
        receiver.setblocking(False)
        found += drained(receiver)
    return found


def drained(receiver: socket.socket) -> int:
    count = 0
    while True:
        try:
            receiver.recv(2048)
        except BlockingIOError:
            return count
        count += 1


@pytest.mark.parametrize("address", [PEER, PEER6])
def test_packets_are_lost_in_the_share_that_was_asked_for_and_the_sender_sees_no_error(
    cable: Cable, address: str
) -> None:
    with agent(cable.pod, "network", {"loss": "30%"}) as lossy:
        lossy.begin()
        share = 1 - received_of(cable, 4000, PORT, address) / 4000
        counted = lossy.counters()

    assert 0.2 < share < 0.4
    assert counted["packets"] >= 4000
    assert 0.2 < counted["dropped"] / counted["packets"] < 0.4


def test_packets_that_come_in_are_lost_as_well_when_both_directions_are_meant(cable: Cable) -> None:
    receiver = cable.bound(cable.pod, POD, PORT)
    receiver.setblocking(False)
    sender = cable.bound(cable.peer, PEER)
    with agent(cable.pod, "network", {"loss": "100%", "direction": "Both"}) as deaf:
        deaf.begin()
        for _ in range(50):
            sender.sendto(b"x", (POD, PORT))

        assert drained(receiver) == 0
        assert received_of(cable, 50, OTHER_PORT) == 0


@pytest.mark.parametrize(
    ("partition", "cut", "open_"),
    [
        ({"to": {"addresses": [PEER]}}, PEER, PEER6),
        ({"to": {"cidrs": ["fd77::/64"]}}, PEER6, PEER),
        ({"to": {"hosts": [PEER], "cidrs": ["10.77.0.0/24"]}}, PEER, PEER6),
    ],
)
def test_a_partition_cuts_off_its_peers_and_nobody_else(
    cable: Cable, partition: dict[str, Any], cut: str, open_: str
) -> None:
    with agent(cable.pod, "network", {"partition": partition}) as parted:
        parted.begin()

        assert received_of(cable, 20, PORT, cut) == 0
        assert received_of(cable, 20, PORT, open_) == 20


def test_a_partition_from_peers_lets_out_what_goes_to_them(cable: Cable) -> None:
    receiver = cable.bound(cable.pod, POD, PORT)
    receiver.setblocking(False)
    with agent(cable.pod, "network", {"partition": {"from": {"cidrs": [f"{PEER}/32"]}}}) as parted:
        parted.begin()
        cable.bound(cable.peer, PEER).sendto(b"x", (POD, PORT))

        assert drained(receiver) == 0
        assert received_of(cable, 20, PORT) == 20


def test_only_the_ports_that_are_named_are_met(cable: Cable) -> None:
    with agent(cable.pod, "network", {"loss": "100%", "ports": [PORT]}) as lossy:
        lossy.begin()

        assert received_of(cable, 20, PORT) == 0
        assert received_of(cable, 20, OTHER_PORT) == 20


def was_reset(cable: Cable, port: int) -> bool:
    """Make a connection, and say something on it."""
    try:
        with cable.connected(port) as sock:
            sock.sendall(b"hello")
            sock.sendall(b"again")
    except ConnectionError:
        return True
    return False


def test_the_share_of_connections_that_was_asked_for_is_reset_and_the_others_live(cable: Cable) -> None:
    cable.listening(PORT)
    with agent(cable.pod, "network", {"reset": "25%", "ports": [PORT]}) as resetting:
        resetting.begin()
        met = sum(was_reset(cable, PORT) for _ in range(400))

    assert 0.12 < met / 400 < 0.4


def test_every_connection_to_a_port_is_reset_and_none_to_another(cable: Cable) -> None:
    cable.listening(PORT)
    cable.listening(OTHER_PORT)
    with agent(cable.pod, "network", {"reset": "100%", "ports": [PORT], "direction": "Both"}) as resetting:
        resetting.begin()

        assert [was_reset(cable, PORT) for _ in range(20)] == [True] * 20
        assert [was_reset(cable, OTHER_PORT) for _ in range(20)] == [False] * 20


@pytest.mark.parametrize("address", [PEER, PEER6])
@pytest.mark.parametrize("direction", ["Egress", "Ingress"])
def test_what_is_delayed_arrives_after_what_is_sent_later(cable: Cable, address: str, direction: str) -> None:
    ends = [(cable.pod, POD if address == PEER else POD6), (cable.peer, address)]
    (from_, source), (to, target) = ends if direction == "Egress" else reversed(ends)
    receiver = cable.bound(to, target)
    late = cable.bound(from_, source, PORT)
    soon = cable.bound(from_, source, OTHER_PORT)
    with agent(cable.pod, "network", {"delay": "300ms", "ports": [PORT], "direction": direction}) as delaying:
        delaying.begin()
        late.sendto(b"first", receiver.getsockname())
        soon.sendto(b"second", receiver.getsockname())

        assert [receiver.recv(100), receiver.recv(100)] == [b"second", b"first"]
        assert delaying.counters()["delayed"] == 1


def test_a_datagram_that_is_sent_in_fragments_is_delayed_as_well(cable: Cable) -> None:
    receiver = cable.bound(cable.peer, PEER, PORT)
    sender = cable.bound(cable.pod, POD)
    with agent(cable.pod, "network", {"delay": "50ms"}) as delaying:
        delaying.begin()
        for size in (1300, 8000):
            sender.sendto(bytes(size), (PEER, PORT))

            assert len(receiver.recv(9000)) == size
        assert delaying.counters()["delayed"] == 2


def test_a_stream_that_is_delayed_with_jitter_arrives_whole_and_in_order(cable: Cable) -> None:
    listener = cable.listening(PORT)
    data = bytes(range(256)) * 200
    with agent(cable.pod, "network", {"delay": "20ms", "jitter": "15ms", "direction": "Both"}) as delaying:
        delaying.begin()
        sock = cable.connected(PORT)
        taken, _ = listener.accept()
        taken.settimeout(10)
        sock.settimeout(10)
        found = b""
        for times in range(1, 9):
            sock.sendall(data)
            while len(found) < times * len(data):
                found += taken.recv(65536)
        taken.close()

    assert found == data * 8


def test_a_narrow_link_passes_what_it_can_queue_and_loses_the_rest_of_a_burst(cable: Cable) -> None:
    receiver = cable.bound(cable.peer, PEER, PORT)
    sender = cable.bound(cable.pod, POD)
    sender.setsockopt(socket.SOL_SOCKET, SO_SNDBUFFORCE, 4 << 20)  # else it waits until the link has room
    with agent(cable.pod, "network", {"bandwidth": "1Mbit"}) as narrow:
        narrow.begin()
        for _ in range(200):
            sender.sendto(bytes(1000), (PEER, PORT))
        receiver.settimeout(1.0)
        found = arrived(receiver)
        counted = narrow.counters()

    assert 30 < found < 80
    assert counted["dropped"] == 200 - found


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"loss": "lots"}, RefusalReason.INVALID),
        ({"loss": "10%", "delay": "1s"}, RefusalReason.INVALID),
        ({}, RefusalReason.INVALID),
        ({"bandwidth": "0bit"}, RefusalReason.INVALID),
        ({"partition": {"from": {}, "to": {}}}, RefusalReason.INVALID),
        ({"loss": "1%", "peers": {"hosts": ["nobody.invalid"]}}, RefusalReason.NO_PEER),
        ({"loss": "1%", "peers": {"addresses": []}}, RefusalReason.NO_PEER),
    ],
)
def test_what_cannot_be_done_is_refused(cable: Cable, settings: dict[str, Any], reason: RefusalReason) -> None:
    before = cable.snapshot()
    with agent(cable.pod, "network", settings) as refused:
        last = refused.last_word()

    assert (last.state, last.reason) == (AgentState.REFUSED, reason)
    assert cable.snapshot() == before
