"""The HTTP probe against servers that mean harm: every run ends in time, with its reason, and costs no memory."""

import asyncio
import gc
import os
import tracemalloc
from collections.abc import Callable
from ipaddress import ip_network
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typing_extensions import override

from contract import hostile
from contract.hostile import Behaviour, answer, on_uvloop, open_files, serving, until
from homeostat.core.probing import HttpRequest, Reason, Result, Verdict
from homeostat.probe.address import Guard
from homeostat.probe.http_exchange import BODY_BYTES, HEAD_BYTES, Exchange
from homeostat.probe.prober import Probes

SECONDS = 0.3
OK = b"HTTP/1.1 200 OK\r\n"
HELD_BYTES = 8 * 1024 * 1024

METADATA = b"HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/latest/meta-data/\r\nContent-Length: 0\r\n\r\n"
TO_ITSELF = b"HTTP/1.1 301 Moved Permanently\r\nLocation: /\r\nContent-Length: 0\r\n\r\n"

BEHAVIOURS: dict[str, tuple[Behaviour, Reason, int]] = {
    "slow-loris header": (hostile.slow_loris_header, Reason.TIMEOUT, 0),
    "slow-loris body": (hostile.slow_loris_body, Reason.TIMEOUT, 0),
    "silent accept": (hostile.silent, Reason.TIMEOUT, 0),
    "closes without a word": (answer(b""), Reason.CONNECTION_CLOSED, 0),
    "closes in the header": (answer(OK + b"Content-Le"), Reason.CONNECTION_CLOSED, 0),
    "closes in the body": (answer(OK + b"Content-Length: 10\r\n\r\nhalf"), Reason.CONNECTION_CLOSED, 0),
    "closes in a chunk": (answer(hostile.CHUNKED + b"a\r\nhalf"), Reason.CONNECTION_CLOSED, 0),
    "resets in the body": (hostile.reset_in_body, Reason.CONNECTION_RESET, 0),
    "one gigabyte": (hostile.gigabyte, Reason.OK, 200),
    "endless body": (hostile.endless_body, Reason.OK, 200),
    "endless chunks": (hostile.endless_chunks, Reason.OK, 200),
    "gzip bomb": (hostile.bomb, Reason.OK, 200),
    "chunk extension without end": (hostile.endless_chunk_extension, Reason.OK, 200),
    "trailers without end": (hostile.endless_trailers, Reason.OK, 200),
    "50 MB header": (hostile.huge_header, Reason.HEADERS_TOO_LARGE, 0),
    "1M headers": (hostile.million_headers, Reason.HEADERS_TOO_LARGE, 0),
    "100-continue flood": (hostile.continue_flood, Reason.PROTOCOL_ERROR, 0),
    "100-continue drip": (hostile.continue_drip, Reason.PROTOCOL_ERROR, 0),
    "two lengths": (answer(OK + b"Content-Length: 2\r\nContent-Length: 5\r\n\r\nok"), Reason.PROTOCOL_ERROR, 0),
    "negative length": (answer(OK + b"Content-Length: -1\r\n\r\nok"), Reason.PROTOCOL_ERROR, 0),
    "length overflow": (answer(OK + b"Content-Length: 99999999999999999999999\r\n\r\n"), Reason.PROTOCOL_ERROR, 0),
    "length and chunks": (
        answer(OK + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        Reason.PROTOCOL_ERROR,
        0,
    ),
    "HTTP/0.9": (answer(b"<html>hello</html>"), Reason.PROTOCOL_ERROR, 0),
    "HTTP/2 unasked": (answer(b"\x00\x00\x12\x04\x00\x00\x00\x00\x00" + bytes(18)), Reason.PROTOCOL_ERROR, 0),
    "garbage": (hostile.endless_garbage, Reason.PROTOCOL_ERROR, 0),
    "no status": (answer(b"HTTP/1.1 OK\r\n\r\n"), Reason.PROTOCOL_ERROR, 0),
    "redirect to metadata": (answer(METADATA), Reason.REDIRECTED, 302),
    "redirect loop": (answer(TO_ITSELF), Reason.REDIRECTED, 301),
    "switches protocols": (
        answer(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"),
        Reason.UNEXPECTED_STATUS,
        101,
    ),
}


def prober() -> Probes:
    return Probes(Guard(allow=[ip_network("127.0.0.0/8")]), cast("Any", None))


async def ask(probes: Probes, behaviour: Behaviour) -> tuple[Result, int]:
    """Probe once; the outer limit is the promise that a run ends within its time."""
    async with serving(behaviour) as served:
        request = HttpRequest("shop.test", served.port, address="127.0.0.1")
        async with asyncio.timeout(SECONDS + 5):
            result = await probes.probe(request, SECONDS)
        return result, served.connections


@pytest.mark.parametrize("name", BEHAVIOURS)
@on_uvloop
async def test_a_hostile_server_gets_its_verdict_in_time(name: str) -> None:
    """H9, faults 42 to 45: one connection, no second request, an enum for a reason."""
    behaviour, reason, code = BEHAVIOURS[name]
    hostile.gzip_bomb()  # made before the clock runs
    probes = prober()
    result, connections = await ask(probes, behaviour)
    probes.close()

    assert (result.reason, result.code) == (reason, code)
    assert result.verdict is (Verdict.PASS if reason is Reason.OK else Verdict.FAIL)
    assert connections == 1


@on_uvloop
async def test_hostile_servers_cost_no_memory_and_leave_nothing_behind() -> None:
    """H9: the peak over all behaviours, with server and client in this process, stays within a few MiB."""
    hostile.gzip_bomb()
    probes = prober()
    await ask(probes, answer(OK + b"Content-Length: 0\r\n\r\n"))
    descriptors = open_files()
    gc.collect()
    tracemalloc.start()
    before = resident()
    try:
        for behaviour, _, _ in BEHAVIOURS.values():
            await ask(probes, behaviour)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    probes.close()

    assert peak < HELD_BYTES
    assert resident() - before < HELD_BYTES
    await until(lambda: open_files() <= descriptors)


@on_uvloop
async def test_probes_leave_no_reference_cycles() -> None:
    """What a probe held is freed at once, not when the collector comes by."""
    probes = prober()
    async with serving(answer(OK + b"Content-Length: 2\r\n\r\nok")) as served:
        request = HttpRequest("shop.test", served.port, address="127.0.0.1")
        await probes.probe(request, 5)
        gc.collect()
        gc.disable()
        try:
            before = count_exchanges()
            for _ in range(50):
                await probes.probe(request, 5)
            await asyncio.sleep(0)
            after = count_exchanges()
        finally:
            gc.enable()
    probes.close()

    assert after - before <= 1


@settings(deadline=None)
@given(chunks=st.lists(st.binary(max_size=2048), max_size=20), is_answer=st.booleans())
def test_no_bytes_make_an_exchange_raise(chunks: list[bytes], *, is_answer: bool) -> None:
    """Security 6: whatever arrives, in whatever pieces, the exchange ends or waits; it never raises."""

    def play(exchange: Exchange) -> None:
        if is_answer:
            exchange.data_received(OK)
        for chunk in chunks:
            exchange.data_received(chunk)
        exchange.eof_received()
        exchange.connection_lost(None)

    assert run_exchange(play).done()


@settings(deadline=None)
@given(size=st.integers(16, 4096), is_chunked=st.booleans())
def test_what_is_kept_of_a_response_is_bounded(size: int, *, is_chunked: bool) -> None:
    """H9: the head that is kept for its framing never outgrows the budget."""

    def play(exchange: Exchange) -> None:
        exchange.data_received(hostile.CHUNKED if is_chunked else OK)
        for _ in range((HEAD_BYTES + BODY_BYTES) // size + 2):
            exchange.data_received(b"x" * size)
        assert len(exchange._head) <= HEAD_BYTES

    assert run_exchange(play).done()


class Wire(asyncio.Transport):
    """A transport that goes nowhere."""

    def __init__(self) -> None:
        super().__init__({"socket": self})

    def setsockopt(self, *_: object) -> None:
        pass

    @override
    def write(self, data: object) -> None:
        pass

    @override
    def abort(self) -> None:
        pass


def run_exchange(play: Callable[[Exchange], None]) -> "asyncio.Future[Any]":
    async def run() -> asyncio.Future[Any]:
        exchange = Exchange(b"GET / HTTP/1.1\r\n\r\n")
        exchange.connection_made(Wire())
        play(exchange)
        exchange.abandon()
        return exchange.ending

    return asyncio.run(run())


def count_exchanges() -> int:
    return sum(isinstance(thing, Exchange) for thing in gc.get_objects())


def resident() -> int:
    """Give the bytes of memory this process occupies."""
    with open("/proc/self/statm") as file:  # noqa: PTH123 - one line of procfs
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
