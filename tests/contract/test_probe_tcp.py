import asyncio
import errno
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_network
from typing import Any

import pytest

from contract.hostile import Behaviour, black_hole, close_at_once, no_descriptor_left, on_uvloop, serving, silent
from homeostat.core.probing.request import TcpRequest
from homeostat.core.probing.result import Reason, Verdict
from homeostat.probe.ending import Ending, of_error, verdict_of
from homeostat.probe.net.address import Guard
from homeostat.probe.net.connection import Dialer
from homeostat.probe.net.resolver import Lookup, Resolver, system_lookup
from homeostat.probe.tcp import TcpProbe

LOOPBACK = Guard(allow=[ip_network("127.0.0.0/8"), ip_network("::1/128")])


@contextmanager
def probing(guard: Guard = LOOPBACK, lookup: Lookup = system_lookup) -> Iterator[TcpProbe]:
    resolver = Resolver(guard, lookup, time.monotonic)
    try:
        yield TcpProbe(Dialer(guard, resolver, time.monotonic))
    finally:
        resolver.close()


async def ask(request: TcpRequest, seconds: float = 5, **settings: Any) -> Ending:
    with probing(**settings) as probe:
        async with asyncio.timeout(10):
            return await probe.run(request, time.monotonic() + seconds)


@contextmanager
def closed_port() -> Iterator[int]:
    """Hold a port where nobody listens."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        yield sock.getsockname()[1]


@pytest.mark.parametrize("behaviour", [silent, close_at_once])
@on_uvloop
async def test_a_connection_that_can_be_opened_passes(behaviour: Any) -> None:
    async with serving(behaviour) as served:
        ending = await ask(TcpRequest("127.0.0.1", served.port))

    assert (ending.reason, verdict_of(ending.reason)) == (Reason.OK, Verdict.PASS)
    assert ending.phases is not None
    assert ending.phases.connect > 0


@on_uvloop
async def test_an_address_of_ipv6_is_reached() -> None:
    async with serving(silent, host="::1") as served:
        ending = await ask(TcpRequest("::1", served.port))

    assert ending.reason is Reason.OK


@on_uvloop
async def test_a_closed_port_is_refused() -> None:
    with closed_port() as port:
        ending = await ask(TcpRequest("127.0.0.1", port))

    assert (ending.reason, verdict_of(ending.reason)) == (Reason.CONNECTION_REFUSED, Verdict.FAIL)


@on_uvloop
async def test_a_black_hole_ends_at_the_timeout() -> None:
    """Fault 43: nobody answers the SYN."""
    with black_hole() as port:
        ending = await ask(TcpRequest("127.0.0.1", port), 0.3)

    assert (ending.reason, verdict_of(ending.reason)) == (Reason.TIMEOUT, Verdict.FAIL)


@on_uvloop
async def test_an_address_that_is_not_allowed_is_not_connected_to() -> None:
    """H9: neither when it is pinned nor when a host spells it oddly."""
    async with serving(silent) as served:
        endings = [
            await ask(request, guard=Guard())
            for request in (
                TcpRequest("shop.test", served.port, address="127.0.0.1"),
                TcpRequest("2130706433", served.port),
                TcpRequest("::ffff:127.0.0.1", served.port),
            )
        ]

    assert {ending.reason for ending in endings} == {Reason.ADDRESS_NOT_ALLOWED}
    assert verdict_of(Reason.ADDRESS_NOT_ALLOWED) is Verdict.INVALID
    assert served.connections == 0


@on_uvloop
async def test_the_next_address_of_a_name_is_tried_when_the_first_refuses() -> None:
    async with serving(silent) as served:
        ending = await ask(TcpRequest("shop.test", served.port), lookup=lambda _: ("::1", "127.0.0.1"))

    assert ending.reason is Reason.OK


@pytest.mark.parametrize("request_", [TcpRequest("", 80), TcpRequest("shop test", 80), TcpRequest("shop", 0)])
@on_uvloop
async def test_a_request_that_cannot_be_sent_is_invalid(request_: TcpRequest) -> None:
    ending = await ask(request_)

    assert (ending.reason, verdict_of(ending.reason)) == (Reason.INVALID_REQUEST, Verdict.INVALID)


@on_uvloop
async def test_running_out_of_file_descriptors_is_our_own_fault() -> None:
    """Fault 23: no descriptor is left, which says nothing of the target."""
    async with serving(silent) as served:
        await ask(TcpRequest("127.0.0.1", served.port))
        with no_descriptor_left():
            ending = await ask(TcpRequest("127.0.0.1", served.port))

    assert (ending.reason, verdict_of(ending.reason)) == (Reason.OUT_OF_RESOURCES, Verdict.ERROR)


def saying(*pieces: bytes, pause: float = 0.0) -> Behaviour:
    """Build the behaviour that speaks first, piece by piece, and then says no more."""

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(pause)
        await reader.read()

    return behave


def hanging_up(*pieces: bytes) -> Behaviour:
    """Build the behaviour that speaks first, and then closes."""

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.writelines(pieces)
        writer.write_eof()
        await reader.read()

    return behave


async def redis(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer PING as Redis does; say nothing unasked."""
    while await reader.readline() == b"PING\r\n":
        writer.write(b"+PONG\r\n")


def without_end(piece: bytes, pause: float = 0.0) -> Behaviour:
    """Build the behaviour that says the same for ever."""

    async def behave(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(pause)

    return behave


BANNER = b"220 mail.example ESMTP ready\r\n"


@on_uvloop
async def test_a_server_that_speaks_first_is_heard() -> None:
    async with serving(saying(BANNER)) as served:
        ending = await ask(TcpRequest("127.0.0.1", served.port, expect="^220 .*ESMTP"))

    assert ending.reason is Reason.OK
    assert ending.phases is not None
    assert ending.phases.first_byte > 0


@on_uvloop
async def test_a_server_that_is_asked_answers() -> None:
    async with serving(redis) as served:
        asked = await ask(TcpRequest("127.0.0.1", served.port, send=b"PING\r\n", expect=r"^\+PONG"))
        unasked = await ask(TcpRequest("127.0.0.1", served.port, expect=r"^\+PONG"), 0.2)

    assert asked.reason is Reason.OK
    assert unasked.reason is Reason.TIMEOUT


@on_uvloop
async def test_what_is_said_without_an_expectation_arrives() -> None:
    heard: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    async def listen(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        heard.set_result(await reader.readexactly(1024))

    async with serving(listen) as served:
        ending = await ask(TcpRequest("127.0.0.1", served.port, send=b"x" * 1024))
        async with asyncio.timeout(10):
            assert await heard == b"x" * 1024

    assert ending.reason is Reason.OK


@pytest.mark.parametrize(
    ("expect", "reason"),
    [
        ("ready", Reason.OK),
        ("(?i)READY", Reason.OK),
        (r"ready\r\n$", Reason.OK),
        (r"^mail", Reason.UNEXPECTED_ANSWER),
        ("^250", Reason.UNEXPECTED_ANSWER),
    ],
)
@on_uvloop
async def test_the_expression_decides_once_the_server_has_closed(expect: str, reason: Reason) -> None:
    async with serving(hanging_up(BANNER)) as served:
        ending = await ask(TcpRequest("127.0.0.1", served.port, expect=expect))

    assert ending.reason is reason


@on_uvloop
async def test_bytes_that_are_no_text_are_matched_as_bytes() -> None:
    async with serving(hanging_up(b"\x4a\x00\x00\x00\x0a8.4.0\x00\xff\xfe")) as served:
        endings = [
            await ask(TcpRequest("127.0.0.1", served.port, expect=expect)) for expect in (r"^....\x0a8\.", r"\xff\xfe$")
        ]

    assert [ending.reason for ending in endings] == [Reason.OK] * 2


@on_uvloop
async def test_letters_beyond_ascii_are_letters() -> None:
    async with serving(hanging_up("bientôt un café".encode())) as served:
        ending = await ask(TcpRequest("127.0.0.1", served.port, expect=r"caf[èé]$"))

    assert ending.reason is Reason.OK


@on_uvloop
async def test_an_answer_in_pieces_is_put_together() -> None:
    pieces = [bytes([byte]) for byte in BANNER]
    async with serving(saying(*pieces, pause=0.001)) as served:
        ending = await ask(TcpRequest("127.0.0.1", served.port, expect="^220 .* ready"))

    assert ending.reason is Reason.OK


@on_uvloop
async def test_a_wrong_answer_of_a_server_that_stays_ends_at_the_timeout() -> None:
    """It may still say more."""
    async with serving(saying(b"-ERR\r\n")) as served:
        ending = await ask(TcpRequest("127.0.0.1", served.port, expect="PONG"), 0.2)

    assert (ending.reason, verdict_of(ending.reason)) == (Reason.TIMEOUT, Verdict.FAIL)


@on_uvloop
async def test_a_server_that_closes_without_a_word_has_not_answered() -> None:
    async with serving(hanging_up()) as served:
        ending = await ask(TcpRequest("127.0.0.1", served.port, expect="PONG"))

    assert (ending.reason, verdict_of(ending.reason)) == (Reason.UNEXPECTED_ANSWER, Verdict.FAIL)


@pytest.mark.parametrize(
    ("before", "reason"), [(4092, Reason.OK), (4093, Reason.UNEXPECTED_ANSWER), (100_000, Reason.UNEXPECTED_ANSWER)]
)
@on_uvloop
async def test_four_kilobytes_are_looked_at(before: int, reason: Reason) -> None:
    """H9."""
    async with serving(saying(b"a" * before + b"PONG")) as served:
        ending = await ask(TcpRequest("127.0.0.1", served.port, expect="PONG"))

    assert ending.reason is reason


@pytest.mark.parametrize(
    "behaviour",
    [without_end(bytes(65536)), without_end(b"a"), without_end(b"a", 0.001)],
    ids=["flood", "bytes", "drip"],
)
@on_uvloop
async def test_a_server_that_never_stops_talking_is_left(behaviour: Behaviour) -> None:
    """H9: long before the deadline, and though the expression is a costly one."""
    async with serving(behaviour) as served:
        ending = await ask(TcpRequest("127.0.0.1", served.port, expect="(a?){300}b"), 60)

    assert ending.reason is Reason.UNEXPECTED_ANSWER


@pytest.mark.parametrize("expect", ["(", "a{2000}", r"(a)\1", "(?<=a)b", "((a{100}){100}){100}", ".{900}"])
@on_uvloop
async def test_an_expression_that_does_not_compile_is_bad_configuration(
    expect: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """Fault 26: nor one that costs too much. Nobody is connected to, and nothing is printed."""
    async with serving(saying(BANNER)) as served:
        ending = await ask(TcpRequest("127.0.0.1", served.port, expect=expect))

    assert (ending.reason, verdict_of(ending.reason)) == (Reason.INVALID_EXPRESSION, Verdict.INVALID)
    assert served.connections == 0
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("number", "reason", "verdict"),
    [
        (errno.EADDRNOTAVAIL, Reason.OUT_OF_RESOURCES, Verdict.ERROR),
        (errno.ENOBUFS, Reason.OUT_OF_RESOURCES, Verdict.ERROR),
        (errno.EMFILE, Reason.OUT_OF_RESOURCES, Verdict.ERROR),
        (errno.ENETUNREACH, Reason.UNREACHABLE, Verdict.FAIL),
        (errno.ENOPROTOOPT, Reason.UNREACHABLE, Verdict.FAIL),
        (errno.EHOSTUNREACH, Reason.UNREACHABLE, Verdict.FAIL),
        (errno.ETIMEDOUT, Reason.TIMEOUT, Verdict.FAIL),
        (errno.EPIPE, Reason.CONNECTION_RESET, Verdict.FAIL),
        (errno.EAFNOSUPPORT, Reason.UNREACHABLE, Verdict.FAIL),
        (errno.EBADF, Reason.INTERNAL, Verdict.ERROR),
    ],
)
def test_an_error_of_the_network_is_told_from_one_of_our_own(number: int, reason: Reason, verdict: Verdict) -> None:
    """H1, fault 23: what we lack never counts against the target."""
    found = of_error(OSError(number, os.strerror(number)))

    assert (found, verdict_of(found)) == (reason, verdict)
