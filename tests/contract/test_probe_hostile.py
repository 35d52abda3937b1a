"""The HTTP probe against servers that mean harm: every run ends in time, with its reason, and costs no memory."""

import asyncio
import gc
import json
import os
import sys
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contract import hostile, hostile_client
from contract.asking import ask, network, run
from contract.hostile import Behaviour, Wire, answer, on_uvloop, serving
from contract.hostile_client import SECONDS, to
from homeostat.core.probing.request import HttpRequest
from homeostat.core.probing.result import Reason
from homeostat.probe.ending import Ending
from homeostat.probe.http.exchange import BODY_BYTES, HEAD_BYTES, MOST_HEADERS, Exchange, KeepingExchange

OK = b"HTTP/1.1 200 OK\r\n"
HELD_BYTES = 8 * 1024 * 1024

METADATA = b"HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/latest/meta-data/\r\nContent-Length: 0\r\n\r\n"
TO_ITSELF = b"HTTP/1.1 301 Moved Permanently\r\nLocation: /\r\nContent-Length: 0\r\n\r\n"
UPGRADE = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"


class Case(NamedTuple):
    """A behaviour, the reason and the code it leads to, and those when headers and body are looked into, if others."""

    behaviour: Behaviour
    reason: Reason
    code: int = 0
    with_content: tuple[Reason, int] | None = None

    def outcome(self, kind: str) -> tuple[Reason, int]:
        return self.with_content if kind == "content" and self.with_content else (self.reason, self.code)


def unframed(rest: bytes) -> Behaviour:
    return answer(OK + rest)


# Status alone: an answer is an answer, however long it goes on. Who looks into the body says when it is too much.
BIG, ENCODED = (Reason.BODY_TOO_LARGE, 200), (Reason.UNEXPECTED_ENCODING, 200)
MANY = (Reason.HEADERS_TOO_LARGE, 0)
CASES: dict[str, Case] = {
    "slow-loris header": Case(hostile.slow_loris_header, Reason.TIMEOUT),
    "slow-loris body": Case(hostile.slow_loris_body, Reason.TIMEOUT),
    "silent accept": Case(hostile.silent, Reason.TIMEOUT),
    "closes at once": Case(answer(b""), Reason.CONNECTION_CLOSED),
    "closes in the header": Case(unframed(b"Content-Le"), Reason.CONNECTION_CLOSED),
    "closes in the body": Case(unframed(b"Content-Length: 10\r\n\r\nhalf"), Reason.CONNECTION_CLOSED),
    "closes in a chunk": Case(answer(hostile.CHUNKED + b"a\r\nhalf"), Reason.CONNECTION_CLOSED),
    "resets at once": Case(hostile.reset_at_once, Reason.CONNECTION_RESET),
    "resets in the body": Case(hostile.reset_in_body, Reason.CONNECTION_RESET),
    "one gigabyte": Case(hostile.gigabyte, Reason.OK, 200, BIG),
    "endless body": Case(hostile.endless_body, Reason.OK, 200, BIG),
    "endless chunks": Case(hostile.endless_chunks, Reason.OK, 200, BIG),
    "chunk extension without end": Case(hostile.endless_chunk_extension, Reason.OK, 200, BIG),
    "trailers without end": Case(hostile.endless_trailers, Reason.OK, 200, BIG),
    "gzip bomb": Case(hostile.packed(hostile.gzip_bomb, "Content-Encoding: gzip"), Reason.OK, 200, ENCODED),
    "brotli bomb": Case(hostile.packed(hostile.brotli_bomb, "Content-Encoding: br"), Reason.OK, 200, ENCODED),
    "zstd bomb": Case(hostile.packed(hostile.zstd_bomb, "Content-Encoding: zstd"), Reason.OK, 200, ENCODED),
    "bomb twice packed": Case(
        hostile.packed(hostile.zstd_bomb, "Content-Encoding: gzip, zstd"), Reason.OK, 200, ENCODED
    ),
    "bomb in transit": Case(
        hostile.packed(hostile.gzip_bomb, "Transfer-Encoding: gzip, chunked"), Reason.OK, 200, ENCODED
    ),
    "1 MB header": Case(hostile.big_header, Reason.HEADERS_TOO_LARGE),
    "50 MB header": Case(hostile.huge_header, Reason.HEADERS_TOO_LARGE),
    "header without end": Case(hostile.endless_header, Reason.HEADERS_TOO_LARGE),
    "1M headers": Case(hostile.million_headers, Reason.HEADERS_TOO_LARGE),
    "16K headers": Case(unframed(b"a:\r\n" * 16_000 + b"Content-Length: 0\r\n\r\n"), Reason.OK, 200, MANY),
    "100-continue flood": Case(hostile.continue_flood, Reason.PROTOCOL_ERROR),
    "100-continue drip": Case(hostile.continue_drip, Reason.PROTOCOL_ERROR),
    "two lengths": Case(unframed(b"Content-Length: 2\r\nContent-Length: 5\r\n\r\nok"), Reason.PROTOCOL_ERROR),
    "negative length": Case(unframed(b"Content-Length: -1\r\n\r\nok"), Reason.PROTOCOL_ERROR),
    "length overflow": Case(unframed(b"Content-Length: 99999999999999999999999\r\n\r\n"), Reason.PROTOCOL_ERROR),
    "length and chunks": Case(
        unframed(b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), Reason.PROTOCOL_ERROR
    ),
    "HTTP/0.9": Case(answer(b"<html>hello</html>"), Reason.PROTOCOL_ERROR),
    "HTTP/2 unasked": Case(answer(b"\x00\x00\x12\x04\x00\x00\x00\x00\x00" + bytes(18)), Reason.PROTOCOL_ERROR),
    "garbage": Case(hostile.endless_garbage, Reason.PROTOCOL_ERROR),
    "no status": Case(answer(b"HTTP/1.1 OK\r\n\r\n"), Reason.PROTOCOL_ERROR),
    "no UTF-8 anywhere": Case(
        unframed(b"X-\xff: \xc3\x28\r\nContent-Length: 2\r\n\r\n\xff\xfe"), Reason.PROTOCOL_ERROR
    ),
    "no UTF-8 where it is allowed": Case(
        unframed(b"X-A: \xc3\x28\r\nContent-Length: 2\r\n\r\n\xff\xfe"), Reason.OK, 200
    ),
    "NUL in a header": Case(unframed(b"X-A: a\0b\r\nContent-Length: 0\r\n\r\n"), Reason.PROTOCOL_ERROR),
    "redirect to metadata": Case(answer(METADATA), Reason.REDIRECTED, 302),
    "redirect loop": Case(answer(TO_ITSELF), Reason.REDIRECTED, 301),
    "switches protocols": Case(answer(UPGRADE), Reason.UNEXPECTED_STATUS, 101),
}


@pytest.mark.parametrize("kind", hostile_client.KINDS)
@pytest.mark.parametrize("name", CASES)
@on_uvloop
async def test_a_hostile_server_gets_its_verdict_in_time(name: str, kind: str) -> None:
    """H9, faults 42 to 45: one connection, no second request, an enum for a reason."""
    case = CASES[name]
    hostile.gzip_bomb()  # made before the clock runs
    async with serving(case.behaviour) as served:
        ending = await ask(to(served.port, kind), SECONDS)

    assert (ending.reason, ending.code) == case.outcome(kind)
    assert served.connections == 1


@on_uvloop
async def test_hostile_servers_cost_no_memory_and_leave_nothing_behind() -> None:
    """H9: the whole suite in a process of its own, twice; neither what it holds nor its peak grows by 8 MiB."""
    hostile.gzip_bomb()
    async with AsyncExitStack() as stack:
        ports = {name: (await stack.enter_async_context(serving(case.behaviour))).port for name, case in CASES.items()}
        client = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "contract.hostile_client"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        )
        async with asyncio.timeout(60):
            said, _ = await client.communicate(json.dumps(ports).encode())
    report = json.loads(said)

    outcomes = {name: [list(case.outcome(kind)) for kind in hostile_client.KINDS] for name, case in CASES.items()}
    assert report["found"] == outcomes
    assert report["grown"]["resident"] < HELD_BYTES
    assert report["grown"]["peak"] < HELD_BYTES
    assert report["grown"]["files"] <= 0


@pytest.mark.parametrize("more", [{}, {"is_tls": True}, {"keeps_connection": True}])
@on_uvloop
async def test_a_connection_that_is_never_accepted_ends_in_time(more: dict[str, Any]) -> None:
    """Fault 43: a SYN that nobody answers."""
    with hostile.black_hole() as port:
        ending = await ask(HttpRequest("shop.test", port, "127.0.0.1", **more), SECONDS)

    assert ending == Ending(Reason.TIMEOUT)


@on_uvloop
async def test_probes_leave_no_reference_cycles() -> None:
    """What a probe held is freed at once, not when the collector comes by."""
    with network() as probes:
        async with serving(answer(OK + b"Content-Length: 2\r\n\r\nok")) as served:
            for kind in hostile_client.KINDS:
                await run(probes, to(served.port, kind))
            gc.collect()
            gc.disable()
            try:
                before = count_exchanges()
                for _ in range(50):
                    for kind in hostile_client.KINDS:
                        await run(probes, to(served.port, kind))
                await asyncio.sleep(0)
                after = count_exchanges()
            finally:
                gc.enable()

    assert after - before <= 1


@settings(deadline=None)
@given(chunks=st.lists(st.binary(max_size=2048), max_size=20), is_answer=st.booleans(), keeps=st.booleans())
def test_no_bytes_make_an_exchange_raise(chunks: list[bytes], *, is_answer: bool, keeps: bool) -> None:
    """Security 6: whatever arrives, in whatever pieces, the exchange ends or waits; it never raises."""

    def play(exchange: Exchange) -> None:
        if is_answer:
            exchange.data_received(OK)
        for chunk in chunks:
            exchange.data_received(chunk)
        exchange.eof_received()
        exchange.connection_lost(None)
        exchange.answer()

    assert run_exchange(play, keeps=keeps).done()


@settings(deadline=None)
@given(
    size=st.integers(16, 4096),
    head=st.sampled_from([OK, hostile.CHUNKED, OK + b"\r\n"]),
    piece=st.sampled_from([b"x", b"a:\r\n", b"1\r\nx\r\n", b"0\r\na:\r\n"]),
)
def test_what_is_kept_of_a_response_is_bounded(size: int, head: bytes, piece: bytes) -> None:
    """H9: neither head nor headers nor body outgrow their budgets, whatever keeps coming."""

    def play(exchange: Exchange) -> None:
        assert isinstance(exchange, KeepingExchange)
        exchange.data_received(head)
        for _ in range((HEAD_BYTES + 2 * BODY_BYTES) // size + 2):
            exchange.data_received((piece * size)[:size])
        assert len(exchange._head) <= HEAD_BYTES
        assert len(exchange._body) <= BODY_BYTES
        assert len(exchange._headers) <= MOST_HEADERS

    assert run_exchange(play, keeps=True).done()


def run_exchange(play: Callable[[Exchange], None], *, keeps: bool) -> "asyncio.Future[Any]":
    async def play_out() -> asyncio.Future[Any]:
        exchange = (KeepingExchange if keeps else Exchange)(b"GET / HTTP/1.1\r\n\r\n")
        exchange.connection_made(Wire())
        play(exchange)
        exchange.abandon()
        return exchange.ending

    return asyncio.run(play_out())


def count_exchanges() -> int:
    return sum(isinstance(thing, Exchange) for thing in gc.get_objects())
