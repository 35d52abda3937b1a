"""Faults of name resolution, against a server of names in another network namespace."""

import socket
import struct
import threading
from collections.abc import Iterator

import pytest

from contract.agent.agent_process import agent
from contract.agent.namespaces import PEER, PEER6, POD, POD6, Cable, cabled, why_not

pytestmark = pytest.mark.skipif(bool(why_not()), reason=why_not() or "can run")

NO_ERROR, NO_SUCH_NAME = 0, 3


@pytest.fixture(scope="module")
def long_cable() -> Iterator[Cable]:
    with cabled() as made:
        yield made


@pytest.fixture
def cable(long_cable: Cable) -> Iterator[Cable]:
    servers = [long_cable.bound(long_cable.peer, address, 53) for address in (PEER, PEER6)]
    threads = [threading.Thread(target=serve, args=(server,)) for server in servers]
    for thread in threads:
        thread.start()
    yield long_cable
    for server in servers:
        server.sendto(b"end", server.getsockname()[:2])
    for thread in threads:
        thread.join()
    long_cable.hang_up()


def serve(server: socket.socket) -> None:
    """Answer every question with an address."""
    server.settimeout(None)
    while True:
        query, client = server.recvfrom(2048)
        if query == b"end":
            return
        server.sendto(answer(query), client)


def question(name: str, number: int = 7) -> bytes:
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    return struct.pack("!6H", number, 0x0100, 1, 0, 0, 0) + labels + b"\0" + struct.pack("!2H", 1, 1)


def answer(query: bytes) -> bytes:
    record = struct.pack("!3HIH", 0xC00C, 1, 1, 60, 4) + bytes([192, 0, 2, 1])
    return query[:2] + struct.pack("!5H", 0x8180, 1, 1, 0, 0) + query[12:] + record


def code(message: bytes) -> int:
    return message[3] & 0xF


def asked(cable: Cable, name: str, server: str = PEER) -> bytes:
    sock = cable.bound(cable.pod, POD if server == PEER else POD6)
    sock.connect((server, 53))
    sock.send(question(name))
    return sock.recv(2048)


@pytest.mark.parametrize("server", [PEER, PEER6])
def test_names_that_fail_are_unknown_and_others_are_answered(cable: Cable, server: str) -> None:
    with agent(cable.pod, "dns", {"fail": ["db.shop.svc", "*.example.org"]}) as failing:
        failing.begin()
        unknown = asked(cable, "db.shop.svc", server)

        assert (
            unknown
            == question("db.shop.svc")[:2] + struct.pack("!5H", 0x8183, 1, 0, 0, 0) + question("db.shop.svc")[12:]
        )
        assert code(asked(cable, "WWW.Example.org", server)) == NO_SUCH_NAME
        assert asked(cable, "db.shop", server) == answer(question("db.shop"))
        assert asked(cable, "example.org", server) == answer(question("example.org"))
        assert failing.counters() == {"answers": 4, "failed": 2}


def test_names_resolve_again_when_the_fault_is_off(cable: Cable) -> None:
    with agent(cable.pod, "dns", {"fail": ["*"]}) as failing:
        failing.begin()
        assert code(asked(cable, "db")) == NO_SUCH_NAME
        failing.tell_to_end()
        failing.last_word()

        assert code(asked(cable, "db")) == NO_ERROR


def test_an_answer_by_tcp_fails_in_place(cable: Cable) -> None:
    listener = cable.listening(53)
    with agent(cable.pod, "dns", {"fail": ["db"]}) as failing:
        failing.begin()
        sock = cable.connected(53)
        taken, _ = listener.accept()
        cable.sockets.append(taken)
        for name in ("db", "other"):
            reply = answer(question(name))
            taken.sendall(struct.pack("!H", len(reply)) + reply)
            found = sock.recv(2048)

            assert len(found) == len(reply) + 2
            assert code(found[2:]) == (NO_SUCH_NAME if name == "db" else NO_ERROR)


def test_an_answer_that_is_late_comes_after_what_was_sent_later(cable: Cable) -> None:
    other = cable.bound(cable.peer, PEER)
    with agent(cable.pod, "dns", {"delay": "300ms"}) as delaying:
        delaying.begin()
        sock = cable.bound(cable.pod, POD)
        sock.sendto(question("db"), (PEER, 53))

        other.sendto(b"soon", sock.getsockname())

        assert sock.recv(2048) == b"soon"
        assert sock.recv(2048) == answer(question("db"))
        assert delaying.counters() == {"answers": 1, "delayed": 1}
