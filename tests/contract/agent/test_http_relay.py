"""The relay of the HTTP fault, on loopback: what it does not mean to change passes byte by byte."""

import asyncio
import socket
import struct
from collections.abc import Callable, Iterator

import pytest

from contract.agent.relaying import echo, exchange, relaying, saying
from homeostat.agent.http.relay import Meeting

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
LATE = 0.05


def always(meeting: Meeting) -> Callable[[], Meeting | None]:
    return lambda: meeting


def in_turn(*meetings: Meeting | None) -> Callable[[], Meeting | None]:
    left: Iterator[Meeting | None] = iter(meetings)
    return lambda: next(left)


UNAVAILABLE = Meeting(503, 0.0)

TRANSPARENT = {
    "a request": (GET, OK),
    "a body by its length": (b"POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello", OK),
    "an answer in chunks": (
        GET,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n0\r\nT: 1\r\n\r\n",
    ),
    "an answer that ends with the connection": (GET, b"HTTP/1.0 200 OK\r\n\r\nas long as it takes"),
    "the length of what HEAD does not get": (
        b"HEAD / HTTP/1.1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n",
    ),
    "an answer without a body": (GET, b"HTTP/1.1 304 Not Modified\r\nContent-Length: 99\r\n\r\n"),
    "an answer after a hint": (GET, b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + OK),
    "lines without a carriage return": (b"GET / HTTP/1.1\nHost: a\n\r\n\r\n", OK),
    "an answer that is none": (GET, b"220 ready\r\n"),
}


@pytest.mark.parametrize("name", TRANSPARENT)
async def test_what_is_not_met_passes_unchanged_both_ways(name: str) -> None:
    """C18: the relay adds, drops and rewrites nothing."""
    sent, answer = TRANSPARENT[name]
    heard = bytearray()
    async with relaying(saying(answer, heard=heard)) as relay:
        got = await exchange(relay.port, sent)

    assert got == answer
    assert bytes(heard) == sent
    assert relay.tally.requests == 1


async def test_pipelined_requests_are_answered_in_order_and_each_can_be_met() -> None:
    """An answer of ours stands in the place of the one that it replaces."""
    requests = b"".join(b"GET /%d HTTP/1.1\r\n\r\n" % number for number in range(3))
    first, third = (OK.replace(b"ok", word) for word in (b"1!", b"3!"))
    heard = bytearray()
    async with relaying(saying(first, third, heard=heard), in_turn(None, UNAVAILABLE, None)) as relay:
        got = await exchange(relay.port, requests)

    assert got.startswith(first + b"HTTP/1.1 503 ")
    assert got.endswith(third)
    assert bytes(heard) == b"GET /0 HTTP/1.1\r\n\r\nGET /2 HTTP/1.1\r\n\r\n"
    assert (relay.tally.requests, relay.tally.hit) == (3, 1)


@pytest.mark.parametrize(
    "body",
    [
        b"Content-Length: 5\r\n\r\nhello",
        b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
    ],
)
async def test_the_body_of_a_met_request_is_taken_away_and_the_connection_goes_on(body: bytes) -> None:
    """The program sees nothing of a request that is answered in its place."""
    heard = bytearray()
    async with relaying(saying(OK, heard=heard), in_turn(UNAVAILABLE, None)) as relay:
        got = await exchange(relay.port, b"POST / HTTP/1.1\r\n" + body + GET)

    assert got.startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
    assert got.endswith(OK)
    assert bytes(heard) == GET


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n",
        b"GET / HTTP/1.0\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 9\r\nExpect: 100-continue\r\n\r\n",
    ],
)
async def test_a_met_request_that_ends_its_connection_is_answered_and_then_the_end_comes(request_bytes: bytes) -> None:
    """The end comes without the client ending first; of one that waits for a go, no body is waited for."""
    async with relaying(saying(OK), always(UNAVAILABLE)) as relay:
        reader, writer = await asyncio.open_connection("127.0.0.1", relay.port)
        writer.write(request_bytes)
        got = await reader.read()
        writer.close()

    assert got.startswith(b"HTTP/1.1 503 ")
    assert b"Connection: close\r\n" in got


@pytest.mark.parametrize(("method", "status"), [(b"HEAD", 503), (b"GET", 204), (b"GET", 304)])
async def test_an_answer_of_ours_has_no_body_where_there_can_be_none(method: bytes, status: int) -> None:
    """Else the client would take the body for the next answer."""
    async with relaying(saying(OK), always(Meeting(status, 0.0))) as relay:
        got = await exchange(relay.port, method + b" / HTTP/1.1\r\n\r\n")

    assert got.startswith(b"HTTP/1.1 %d " % status)
    assert got.endswith(b"\r\n\r\n")


async def test_a_late_answer_is_the_program_s_own_and_comes_after_the_delay() -> None:
    """What is late is the answer: the program gets the request at once."""
    heard = bytearray()
    loop = asyncio.get_running_loop()
    async with relaying(saying(OK, heard=heard), always(Meeting(None, LATE))) as relay:
        begun = loop.time()
        reader, writer = await asyncio.open_connection("127.0.0.1", relay.port)
        writer.write(GET)
        got = await reader.readexactly(len(OK))
        waited = loop.time() - begun
        writer.close()

    assert got == OK
    assert bytes(heard) == GET
    assert waited >= LATE


async def test_a_body_waits_for_the_go_of_the_program() -> None:
    """The interim answer of Expect: 100-continue passes before there is a body, and before any delay is over."""

    async def program(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n" + await reader.readexactly(5))
        writer.close()

    async with relaying(program, always(Meeting(None, LATE))) as relay:
        reader, writer = await asyncio.open_connection("127.0.0.1", relay.port)
        writer.write(b"POST / HTTP/1.1\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
        go = await reader.readuntil(b"\r\n\r\n")
        writer.write(b"hello")
        got = await reader.read()
        writer.close()

    assert go == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert got.endswith(b"hello")


async def test_after_a_switch_of_protocols_both_ways_are_open_and_nothing_is_read() -> None:
    """A websocket whose frames look like anything, from both sides at once."""

    async def program(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n\x81\x02hi")
        await echo(reader, writer)

    async with relaying(program, in_turn(None)) as relay:
        reader, writer = await asyncio.open_connection("127.0.0.1", relay.port)
        writer.write(b"GET / HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
        await reader.readuntil(b"\x81\x02hi")
        writer.write(GET)
        back = await reader.readexactly(len(GET))
        writer.close()

    assert back == GET
    assert (relay.tally.requests, relay.tally.unread) == (1, 0)


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(64),
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(9),
        b"*1\r\n$4\r\nPING\r\n",
        b"\x00\xff\xfe",
        b"POST / HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nno size\r\n",
        b"A" * 70_000,
        b"GET / HTTP/1.1\r\nA: " + b"a" * 70_000,
    ],
)
async def test_what_cannot_be_read_passes_untouched_and_is_counted(sent: bytes) -> None:
    """TLS, HTTP/2 with prior knowledge, other protocols, and two lengths for one message."""
    async with relaying(echo) as relay:
        got = await exchange(relay.port, sent)

    assert got == sent
    assert relay.tally.unread == 1


async def test_a_program_that_speaks_first_is_heard() -> None:
    """The relay waits for no request before it passes on what comes."""

    async def program(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 welcome\r\n")
        await echo(reader, writer)

    async with relaying(program) as relay:
        reader, writer = await asyncio.open_connection("127.0.0.1", relay.port)
        got = await reader.readuntil(b"\n")
        writer.close()

    assert got == b"220 welcome\r\n"


async def test_a_client_that_has_ended_its_side_still_gets_its_answer() -> None:
    """The end of one way is passed on while the other goes on: the program here answers only after it."""

    async def program(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.write(OK)
        writer.close()

    async with relaying(program) as relay:
        got = await exchange(relay.port, GET)

    assert got == OK


async def test_a_large_body_passes_as_fast_as_its_reader_reads_and_is_not_kept() -> None:
    """Of 64 MiB that nobody reads the relay takes a few pieces, so the client is not rid of them."""
    size = 64 * 2**20
    is_to_be_read = asyncio.Event()

    async def program(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await is_to_be_read.wait()
        left = size
        while left:
            left -= len(await reader.read(2**20))
        writer.write(OK)
        writer.close()

    async def upload(writer: asyncio.StreamWriter) -> None:
        writer.write(b"POST / HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % size)
        for _ in range(size // 2**20):
            writer.write(bytes(2**20))
            await writer.drain()

    async with relaying(program) as relay:
        reader, writer = await asyncio.open_connection("127.0.0.1", relay.port)
        uploading = asyncio.ensure_future(upload(writer))
        done, _ = await asyncio.wait({uploading}, timeout=0.5)
        is_to_be_read.set()
        await uploading
        got = await reader.readexactly(len(OK))
        writer.close()

    assert not done
    assert got == OK


async def test_a_program_that_breaks_off_is_broken_off_for_the_client_too() -> None:
    """A reset is passed on as a reset, not as an orderly end."""

    async def program(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        linger = struct.pack("ii", 1, 0)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        writer.transport.abort()

    async with relaying(program) as relay:
        reader, writer = await asyncio.open_connection("127.0.0.1", relay.port)
        writer.write(b"POST / HTTP/1.1\r\nContent-Length: 1000\r\n\r\n" + bytes(10))
        with pytest.raises(ConnectionResetError):
            await reader.read()
        writer.close()
