"""Connections that are kept: when one is used again, and when it never is."""

import asyncio
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typing_extensions import override

from contract.certificates import AUTHORITY, GOOD, GOOD_UNTIL, identity
from contract.hostile import CHUNKED, Behaviour, Wire, hearing, on_uvloop, open_files, serving, silent, until
from homeostat.core.probing.request import Content, HttpRequest, Tls
from homeostat.core.probing.result import Reason
from homeostat.probe.ending import Ending
from homeostat.probe.http.answer import Answer
from homeostat.probe.http.exchange import Exchange, KeepingExchange
from homeostat.probe.http.probe import HttpProbe
from homeostat.probe.net import idle
from homeostat.probe.net.address import Guard
from homeostat.probe.net.connection import Dialer
from homeostat.probe.net.idle import AGE_SECONDS, IDLE_SECONDS, IdleLines, Line
from homeostat.probe.net.resolver import Lookup, Resolver, system_lookup
from homeostat.probe.net.tls import Contexts

OK = b"HTTP/1.1 200 OK\r\n"
FINE = OK + b"Content-Length: 2\r\n\r\nok"


class Yes:
    async def judge(self, content: Content, answer: Answer, deadline: float) -> Reason:
        return Reason.OK


class Keeping:
    """An HTTP probe whose time can be moved on."""

    def __init__(self, lookup: Lookup = system_lookup) -> None:
        self.later = 0.0
        guard = Guard(allow=[ip_network("127.0.0.0/8")])
        self.resolver = Resolver(guard, lookup, self.now)
        self.dialer = Dialer(guard, self.resolver, self.now)
        self.http = HttpProbe(self.dialer, Contexts(AUTHORITY.encode()), Yes())

    def now(self) -> float:
        return time.monotonic() + self.later

    async def ask(self, request: HttpRequest, seconds: float = 5.0) -> Ending:
        async with asyncio.timeout(seconds + 5):
            return await self.http.run(request, self.now() + seconds)

    @property
    def idle(self) -> int:
        return len(self.dialer._idle)


@contextmanager
def keeping(lookup: Lookup = system_lookup) -> Iterator[Keeping]:
    probe = Keeping(lookup)
    try:
        yield probe
    finally:
        probe.http.close()
        probe.resolver.close()


def to(port: int, **more: Any) -> HttpRequest:
    return HttpRequest(**{"host": "shop.test", "port": port, "address": "127.0.0.1", "keeps_connection": True, **more})


# --- Used again ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("payload", "more"),
    [
        (FINE, {}),
        (FINE, {"content": Content(contains="ok")}),
        (FINE, {"method": "PUT"}),
        (FINE, {"method": "DELETE"}),
        (OK + b"Content-Length: 1000\r\n\r\n", {"method": "HEAD"}),
        (CHUNKED + b"2\r\nok\r\n0\r\nX-Trailer: t\r\n\r\n", {}),
        (b"HTTP/1.1 204 No Content\r\n\r\n", {}),
        (b"HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n", {"expect_status": ("500",)}),
        (b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n", {}),
    ],
)
@on_uvloop
async def test_a_connection_that_was_left_clean_is_used_again(payload: bytes, more: dict[str, Any]) -> None:
    async with serving(hearing(payload)) as served:
        with keeping() as probe:
            endings = [await probe.ask(to(served.port, **more)) for _ in range(5)]

    assert {ending.reason for ending in endings} == {Reason.OK}
    assert (served.connections, len(served.heard)) == (1, 5)


@on_uvloop
async def test_a_connection_that_was_kept_costs_no_time_to_open() -> None:
    async with serving(hearing(FINE)) as served:
        with keeping() as probe:
            first, second = await probe.ask(to(served.port)), await probe.ask(to(served.port))

    assert first.phases is not None
    assert first.phases.connect > 0
    assert second.phases is not None
    assert second.phases.connect == 0
    assert second.phases.first_byte > 0


@on_uvloop
async def test_a_tls_connection_is_kept_with_its_session(tmp_path: Path) -> None:
    """One handshake; tickets for other sessions, which come before the first answer, do no harm."""
    names: list[str | None] = []
    context = identity(tmp_path, GOOD)
    context.num_tickets = 8
    context.sni_callback = lambda _socket, name, _context: names.append(name)
    async with serving(hearing(FINE), tls=context) as served:
        with keeping() as probe:
            endings = [await probe.ask(to(served.port, is_tls=True)) for _ in range(5)]

    assert {(ending.reason, ending.not_after) for ending in endings} == {(Reason.OK, GOOD_UNTIL)}
    assert endings[-1].phases is not None
    assert endings[-1].phases.tls == 0
    assert (names, served.connections) == (["shop.test"], 1)


@pytest.mark.parametrize(
    "other",
    [
        {"host": "127.0.0.1"},
        {"address": "127.0.0.2"},
        {"tls": Tls(server_name="127.0.0.1")},
        {"tls": Tls(ca=AUTHORITY.encode())},
        {"keeps_connection": False},
        {"method": "POST"},
        {"method": "PATCH"},
    ],
)
@on_uvloop
async def test_a_connection_is_used_again_only_for_the_same_peer(tmp_path: Path, other: dict[str, Any]) -> None:
    """H9: address, port, host, and how TLS was verified. A POST never meets a connection that may be stale."""
    async with serving(hearing(FINE), host="0.0.0.0", tls=identity(tmp_path, GOOD)) as served:
        with keeping() as probe:
            request = to(served.port, is_tls=True)
            await probe.ask(request)
            await probe.ask(replace(request, **other))

    assert served.connections == 2


@on_uvloop
async def test_several_at_once_have_a_connection_each() -> None:
    async with serving(hearing(FINE)) as served:
        with keeping() as probe:
            for _ in range(2):
                await asyncio.gather(*(probe.ask(to(served.port)) for _ in range(8)))

            assert probe.idle == served.connections == 8


@on_uvloop
async def test_the_address_is_looked_up_and_checked_every_time() -> None:
    """H9, fault 41: a name that has moved, or has become forbidden, is not asked on the old connection."""
    answers = ["127.0.0.1", "127.0.0.1", "127.0.0.2", "169.254.169.254"]
    async with serving(hearing(FINE), host="0.0.0.0") as served:
        with keeping(lambda _: (answers.pop(0),)) as probe:
            seen = []
            for _ in range(4):
                ending = await probe.ask(to(served.port, address=""))
                seen.append((ending.reason, served.connections))
                probe.later += 6  # the resolver's memory is shorter

    assert seen == [(Reason.OK, 1), (Reason.OK, 1), (Reason.OK, 2), (Reason.ADDRESS_NOT_ALLOWED, 2)]


# --- Never used again ---------------------------------------------------------------------------------------------

HEAD = {"method": "HEAD"}


@pytest.mark.parametrize(
    ("payload", "more"),
    [
        (FINE + b"x", {}),
        (FINE + FINE, {}),
        (FINE + FINE, {"content": Content(contains="ok")}),
        (OK + b"Content-Length: 2\r\n\r\nok", HEAD),
        (OK + b"Content-Length: 0\r\n\r\n" + FINE, HEAD),
        (OK + b"\r\n", HEAD),
        (OK + b"Connection: close\r\nContent-Length: 2\r\n\r\nok", {}),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", {}),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + FINE, {}),
        (b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + FINE, {}),
        (b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", {"expect_status": ("101",)}),
        (OK + b"Content-Length: 300000\r\n\r\n" + bytes(300_000), {}),
        (CHUNKED + b"2\r\nok\r\n0\r\n\r\nx", {}),
    ],
)
@on_uvloop
async def test_a_connection_that_was_not_left_clean_is_never_used_again(payload: bytes, more: dict[str, Any]) -> None:
    """Bytes left over, an end that is not said, an interim answer: what came next could be taken for an answer."""
    async with serving(hearing(payload)) as served:
        with keeping() as probe:
            for number in (1, 2):
                ending = await probe.ask(to(served.port, **more))

                assert ending.reason is Reason.OK
                assert (served.connections, probe.idle) == (number, 0)


@pytest.mark.parametrize(
    "payload", [b"garbage\r\n\r\n", OK + b"Content-Length: 2\r\n", OK + b"Content-Length: 3\r\n\r\nok"]
)
@on_uvloop
async def test_a_connection_on_which_a_probe_failed_is_never_used_again(payload: bytes) -> None:
    async with serving(hearing(payload)) as served:
        with keeping() as probe:
            for _ in range(2):
                await probe.ask(to(served.port), seconds=0.1)

    assert served.connections == 2


@on_uvloop
async def test_what_a_peer_says_unasked_closes_its_connection() -> None:
    """A late answer must not become the next one's; nor may a peer talk to us while nobody listens."""

    async def chatty(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(FINE)
        await asyncio.sleep(0.05)
        while True:
            writer.write(FINE * 1000)
            await writer.drain()

    async with serving(chatty) as served:
        with keeping() as probe:
            before = open_files()
            for _ in range(2):
                ending = await probe.ask(to(served.port))

                assert ending.reason is Reason.OK
                await until(lambda: probe.idle == 0)
            await until(lambda: open_files() <= before)

    assert served.connections == 2


@pytest.mark.parametrize("size", [1, 4, 5, 6, 20])
@on_uvloop
async def test_a_part_of_a_record_closes_a_tls_connection(tmp_path: Path, size: int) -> None:
    """What TLS has not yet decrypted would be the next one's answer."""
    context = identity(tmp_path, GOOD)

    async def dally(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        arrived, leaving = ssl.MemoryBIO(), ssl.MemoryBIO()
        server = context.wrap_bio(arrived, leaving, server_side=True)
        heard = b""
        while not heard:
            arrived.write(await reader.read(65536))
            with suppress(ssl.SSLWantReadError):
                server.do_handshake()
                heard = server.read(65536)
            writer.write(leaving.read())
        server.write(FINE)
        whole = leaving.read()
        server.write(b"HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n")
        writer.write(whole + leaving.read()[:size])
        await reader.read()

    async with serving(dally) as served:
        with keeping() as probe:
            for number in (1, 2):
                ending = await probe.ask(to(served.port, is_tls=True))

                assert (ending.reason, served.connections, probe.idle) == (Reason.OK, number, 0)


@on_uvloop
async def test_a_connection_that_timed_out_or_was_cancelled_is_closed() -> None:
    async with serving(silent) as served:
        with keeping() as probe:
            before = open_files()
            task = asyncio.create_task(probe.ask(to(served.port)))
            ending = await probe.ask(to(served.port), seconds=0.1)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await until(lambda: open_files() <= before)

            assert (ending.reason, probe.idle) == (Reason.TIMEOUT, 0)


@settings(deadline=None)
@given(rest=st.binary(min_size=1, max_size=200), keeps=st.booleans(), is_late=st.booleans(), is_head=st.booleans())
def test_nothing_may_be_left_over(rest: bytes, *, keeps: bool, is_late: bool, is_head: bool) -> None:
    """Whatever follows an answer spoils the connection; empty lines are nothing, and are gone with it."""
    answer = OK + b"Content-Length: %d\r\n\r\n" % (0 if is_head else 2) + (b"" if is_head else b"ok")

    async def play() -> tuple[bool, bool]:
        exchange = (KeepingExchange if keeps else Exchange)(b"", is_head_only=is_head)
        exchange.connection_made(Wire())
        exchange.data_received(answer if is_late else answer + rest)
        was_clean = exchange.can_go_on
        if is_late:
            exchange.data_received(rest)
        exchange.abandon()
        return was_clean, exchange.can_go_on

    was_clean, is_clean = asyncio.run(play())
    assert was_clean or not is_late
    assert not is_clean or (not is_late and not rest.strip(b"\r\n"))


# --- Stale --------------------------------------------------------------------------------------------------------


def closing_after(answers: int, *, rest: bytes = b"") -> Behaviour:
    """Build the behaviour that closes its connection when it has heard one request more than it answers."""

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in range(answers):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(FINE)
        await reader.readuntil(b"\r\n\r\n")
        writer.write(rest)
        writer.close()
        await writer.wait_closed()

    return behave


@on_uvloop
async def test_a_connection_that_was_closed_meanwhile_is_replaced_unnoticed() -> None:
    async def close_later(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(FINE)

    async with serving(close_later) as served:
        with keeping() as probe:
            await probe.ask(to(served.port))
            await until(lambda: probe.idle == 0)
            ending = await probe.ask(to(served.port))

    assert (ending.reason, served.connections) == (Reason.OK, 2)


@pytest.mark.parametrize("is_tls", [False, True])
@on_uvloop
async def test_a_request_that_met_a_close_is_sent_once_more(tmp_path: Path, *, is_tls: bool) -> None:
    """A server may close an idle connection in the very moment in which we use it: that is no failure."""
    context = identity(tmp_path, GOOD) if is_tls else None
    async with serving(closing_after(1), tls=context) as served:
        with keeping() as probe:
            endings = [await probe.ask(to(served.port, is_tls=is_tls)) for _ in range(4)]

    assert {ending.reason for ending in endings} == {Reason.OK}
    assert served.connections == 4


@on_uvloop
async def test_a_new_connection_that_is_closed_is_a_failure() -> None:
    async with serving(closing_after(0)) as served:
        with keeping() as probe:
            ending = await probe.ask(to(served.port))

    assert (ending.reason, served.connections) == (Reason.CONNECTION_CLOSED, 1)


@on_uvloop
async def test_there_is_only_one_second_attempt() -> None:
    """With several stale connections, the second attempt is on a new one."""
    answered = 0

    async def fail_from_the_fourth(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal answered
        while True:
            await reader.readuntil(b"\r\n\r\n")
            answered += 1
            if answered > 3:
                return
            await asyncio.sleep(0.05)
            writer.write(FINE)

    async with serving(fail_from_the_fourth) as served:
        with keeping() as probe:
            await asyncio.gather(*(probe.ask(to(served.port)) for _ in range(3)))
            ending = await probe.ask(to(served.port))

    assert ending.reason is Reason.CONNECTION_CLOSED
    assert (served.connections, answered) == (4, 5)


@on_uvloop
async def test_an_answer_that_has_begun_is_not_asked_for_again() -> None:
    async with serving(closing_after(1, rest=OK[:5])) as served:
        with keeping() as probe:
            await probe.ask(to(served.port))
            ending = await probe.ask(to(served.port))

    assert (ending.reason, served.connections) == (Reason.CONNECTION_CLOSED, 1)


@on_uvloop
async def test_a_kept_connection_on_which_nothing_comes_ends_at_the_timeout() -> None:
    """Whoever waits for the answer is not cancelled for good by his own deadline."""
    async with serving(falling_silent) as served:
        with keeping() as probe:
            assert (await probe.ask(to(served.port))).reason is Reason.OK
            ending = await probe.ask(to(served.port), seconds=0.1)

    assert (ending.reason, served.connections) == (Reason.TIMEOUT, 1)


async def falling_silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(FINE)
    await reader.read()
    await reader.read()


@pytest.mark.parametrize("body", [{"body": b"GET /admin HTTP/1.1\r\n\r\n"}, {"secret_body": b"GET / HTTP/1.1\r\n\r\n"}])
@on_uvloop
async def test_a_body_that_a_server_takes_for_a_request_spoils_no_other_answer(body: dict[str, bytes]) -> None:
    """A server that reads no body of a GET answers what is in there: never to another check."""

    async def reads_no_body(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for number in range(3):
            head = await reader.readuntil(b"\r\n\r\n")
            await asyncio.sleep(0.05 * number)
            writer.write(FINE if b"shop.test" in head else OK[:9] + b"500 Oh\r\nContent-Length: 0\r\n\r\n")

    async with serving(reads_no_body) as served:
        with keeping() as probe:
            endings = [await probe.ask(request) for request in (to(served.port, **body), to(served.port))]

    assert [ending.code for ending in endings] == [200, 200]


@on_uvloop
async def test_a_post_is_sent_once() -> None:
    async with serving(hearing(FINE)) as served:
        with keeping() as probe:
            await probe.ask(to(served.port))
            for _ in range(3):
                await probe.ask(to(served.port, method="POST", body=b"{}"))

    assert (served.connections, len(served.heard)) == (4, 4)
    assert all(b"Connection: close\r\n" in request for request in served.heard[1:])


# --- Limits -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("seconds", "connections"), [(AGE_SECONDS - 1, 1), (AGE_SECONDS + 1, 2)])
@on_uvloop
async def test_no_connection_gets_too_old(seconds: float, connections: int) -> None:
    """Now and then the way to the server, and its certificate, are looked at anew."""
    async with serving(hearing(FINE)) as served:
        with keeping() as probe:
            await probe.ask(to(served.port))
            probe.later += seconds
            await probe.ask(to(served.port))

    assert served.connections == connections


@on_uvloop
async def test_a_connection_that_nobody_uses_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(idle, "IDLE_SECONDS", 0.05)
    async with serving(hearing(FINE)) as served:
        with keeping() as probe:
            before = open_files()
            await asyncio.gather(*(probe.ask(to(served.port)) for _ in range(3)))

            assert probe.idle == 3
            await until(lambda: probe.idle == 0)
            await until(lambda: open_files() <= before)

    assert 30 <= IDLE_SECONDS <= 120


@on_uvloop
async def test_no_more_connections_are_kept_than_may_be() -> None:
    """H9: what does not fit is closed; whoever is in stays in."""
    lines = IdleLines(time.monotonic, most=2)
    transports = [Closable() for _ in range(3)]
    for number, transport in enumerate(transports):
        lines.keep(number, Line(transport, None, 0.0, time.monotonic()))

    assert [transport.is_closed for transport in transports] == [False, False, True]
    assert (len(lines), lines.take(2), lines.take(3)) == (2, None, None)
    line = lines.take(0)
    assert line is not None
    assert line.transport is transports[0]

    lines.close()
    assert [transport.is_closed for transport in transports] == [False, True, True]
    assert len(lines) == 0


@on_uvloop
async def test_kept_connections_leave_most_files_to_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fault 23: with 256 files, a quarter of them are enough to wait on."""
    monkeypatch.setattr("resource.getrlimit", lambda _: (256, 256))
    lines = IdleLines(time.monotonic)
    for number in range(100):
        lines.keep(number, Line(Closable(), None, 0.0, time.monotonic()))

    assert len(lines) == 64
    lines.close()


@on_uvloop
async def test_closing_the_probe_closes_what_was_kept() -> None:
    async with serving(hearing(FINE)) as served:
        before = open_files()
        with keeping() as probe:
            await asyncio.gather(*(probe.ask(to(served.port)) for _ in range(3)))

            assert open_files() > before
        await until(lambda: open_files() <= before)


class Closable(Wire):
    """A transport that can be closed."""

    def __init__(self) -> None:
        super().__init__()
        self.is_closed = False

    @override
    def abort(self) -> None:
        self.is_closed = True

    @override
    def is_closing(self) -> bool:
        return self.is_closed

    @override
    def set_protocol(self, protocol: object) -> None:
        pass
