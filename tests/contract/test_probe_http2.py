"""HTTP/2 as probes speak it: what is asked, what an answer means, and that no server can do harm."""

import asyncio
import gc
import logging
import ssl
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from h2.connection import H2Connection
from hypothesis import given, settings
from hypothesis import strategies as st

from contract import hostile
from contract import http2_server as wire
from contract.certificates import AUTHORITY, GOOD, identity
from contract.hostile import Behaviour, answer, on_uvloop, open_files, serving, until
from contract.http2_server import Server, data, flooding, frame, goaway, head, reset, saying
from homeostat.core.probing.request import HttpRequest
from homeostat.core.probing.result import Reason
from homeostat.probe.ending import Ending
from homeostat.probe.http.answer import Answer
from homeostat.probe.http2.call import Call
from homeostat.probe.http2.frames import BODY_BYTES, FRAME_BYTES, Frame, Frames
from homeostat.probe.http2.request import Http2Exchange, can_send
from homeostat.probe.net.address import Guard
from homeostat.probe.net.connection import Dialer, Peer
from homeostat.probe.net.resolver import Resolver, system_lookup

SECONDS = 0.4
HELD_BYTES = 8 * 1024 * 1024
HELLO = wire.GREETING


@contextmanager
def dialling() -> Iterator[Dialer]:
    guard = Guard(allow=[ip_network("127.0.0.0/8")])
    resolver = Resolver(guard, system_lookup, time.monotonic)
    try:
        yield Dialer(guard, resolver, time.monotonic)
    finally:
        resolver.close()


async def ask(
    port: int, *, keeps_body: bool = True, seconds: float = 5.0, tls: ssl.SSLContext | None = None, **more: Any
) -> tuple[Ending, Answer | None]:
    """Ask once; the outer limit is the promise that a run ends within its time."""
    request = HttpRequest(**{"host": "shop.test", "port": port, "is_tls": tls is not None, **more})
    exchange = Http2Exchange(request, keeps_body=keeps_body)
    with dialling() as dialer:
        async with asyncio.timeout(seconds + 5):
            peer = Peer("shop.test", port, "127.0.0.1", tls)
            ending = await dialer.hold(exchange, peer, time.monotonic() + seconds)
    return ending, exchange.answer()


def client_context(*alpn: str) -> ssl.SSLContext:
    context = ssl.create_default_context(cadata=AUTHORITY)
    context.set_alpn_protocols(list(alpn))
    return context


@on_uvloop
async def test_an_answer_is_kept_with_its_headers_and_without_its_trailers() -> None:
    server = Server(
        "201", [("x-kind", "caf\xe9"), ("set-cookie", "a=1"), ("set-cookie", "b=2")], b"hello", [("x", "y")]
    )
    async with serving(server) as served:
        ending, kept = await ask(served.port)

    assert (ending.reason, ending.code) == (Reason.OK, 201)
    assert kept == Answer(201, (("x-kind", "caf\xe9"), ("set-cookie", "a=1"), ("set-cookie", "b=2")), b"hello")


@on_uvloop
async def test_a_request_says_whom_it_is_for_and_who_asks() -> None:
    server = Server()
    async with serving(server) as served:
        await ask(
            served.port, target="/a?b=%20", headers=(("X-Key", "v\xe9"),), secret_headers=(("Authorization", "s"),)
        )

    asked = server.asked
    assert asked[:4] == [
        (":method", "GET"),
        (":scheme", "http"),
        (":authority", f"shop.test:{served.port}"),
        (":path", "/a?b=%20"),
    ]
    assert {("accept", "*/*"), ("accept-encoding", "identity"), ("x-key", "v\xe9"), ("authorization", "s")} <= set(
        asked
    )
    assert dict(asked)["user-agent"].startswith("homeostat/")
    assert "content-length" not in dict(asked)


@on_uvloop
async def test_a_host_that_is_given_is_the_authority() -> None:
    server = Server()
    async with serving(server) as served:
        await ask(served.port, headers=(("Host", "b.test"), ("Accept", "text/html")))

    assert (":authority", "b.test") in server.asked
    assert ("accept", "text/html") in server.asked
    assert "host" not in dict(server.asked)


@pytest.mark.parametrize("window", [10, 1000, 65_535])
@pytest.mark.parametrize("size", [1, 65_535, 65_536, 300_000])
@on_uvloop
async def test_a_body_is_sent_as_fast_as_the_server_takes_it(size: int, window: int) -> None:
    """A server may take back the window that it has by default, even below what was sent by then."""
    server = Server(window=max(window, size // 1000))
    body = bytes(range(256)) * (size // 256 + 1)
    async with serving(server) as served:
        ending, _ = await ask(served.port, method="POST", secret_body=body[:size])

    assert ending.reason is Reason.OK
    assert server.heard == body[:size]
    assert ("content-length", str(size)) in server.asked


@on_uvloop
async def test_a_window_may_also_grow_by_the_settings() -> None:
    grown = frame(wire.WINDOW_UPDATE, (500_000).to_bytes(4)) + frame(wire.SETTINGS, b"\0\4" + (500_000).to_bytes(4))

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(HELLO + grown)
        await wire.read_request(reader)
        await saying(head(flags=wire.WHOLE), hears=False)(reader, writer)

    async with serving(behave) as served:
        ending, _ = await ask(served.port, method="POST", body=b"x" * 400_000, seconds=1)

    assert ending.reason is Reason.OK


@on_uvloop
async def test_long_headers_are_sent_in_several_frames() -> None:
    server = Server()
    async with serving(server) as served:
        ending, _ = await ask(served.port, headers=(("X-Long", "~" * 40_000),))

    assert ending.reason is Reason.OK
    assert ("x-long", "~" * 40_000) in server.asked


@pytest.mark.parametrize(
    ("server", "more", "code"),
    [
        (Server(interim=["103", "100"]), {}, 200),
        (Server("204"), {}, 204),
        (Server("304", [("content-length", "1000")]), {}, 304),
        (Server(headers=[("content-length", "1000")]), {"method": "HEAD"}, 200),
        (saying(HELLO, head("200", ("content-length", "5"))), {"method": "HEAD"}, 200),
        (Server("500", body=b"no"), {}, 500),
        (Server("999"), {}, 999),
        (Server(body=b"x" * 3000, piece=1), {}, 200),
        (saying(HELLO, head("200"), data(b"a"), data(b"", flags=wire.END_STREAM)), {}, 200),
        (saying(HELLO, frame(0xBB, bytes(100), stream=7), head(flags=wire.WHOLE)), {}, 200),
        (saying(HELLO, head(flags=wire.WHOLE), b"garbage"), {}, 200),
        (saying(HELLO, head(flags=wire.WHOLE), closes=True), {}, 200),
        (saying(HELLO, head("200"), goaway(1), data(b"ok", flags=wire.END_STREAM), closes=True), {}, 200),
        (saying(HELLO, goaway(wire.LAST), goaway(1), head(), data(b"ok", flags=wire.END_STREAM)), {}, 200),
        (saying(HELLO, head(), goaway(1, wire.INTERNAL_ERROR), data(b"ok", flags=wire.END_STREAM)), {}, 200),
    ],
)
@on_uvloop
async def test_an_answer_may_come_in_any_lawful_way(server: Behaviour, more: dict[str, Any], code: int) -> None:
    """Interim answers are skipped, and a goodbye does not take back what was promised an answer."""
    async with serving(server) as served:
        ending, _ = await ask(served.port, **more)

    assert (ending.reason, ending.code) == (Reason.OK, code)


@pytest.mark.parametrize("keeps_body", [True, False])
@pytest.mark.parametrize("padding", [None, 0, 200])
@on_uvloop
async def test_a_body_of_64_kib_is_the_most(padding: int | None, *, keeps_body: bool) -> None:
    """H9: one byte more is too much to be kept; its status is an answer all the same."""
    most = BODY_BYTES - (0 if padding is None else (padding + 1) * 5)
    async with serving(Server(body=b"x" * most, padding=padding)) as served:
        whole, kept = await ask(served.port, keeps_body=keeps_body)
    async with serving(Server(body=b"x" * (BODY_BYTES + 1), padding=padding)) as served:
        over, _ = await ask(served.port, keeps_body=keeps_body)

    assert (whole.reason, whole.code) == (Reason.OK, 200)
    assert (kept.body if kept else b"") == (b"x" * most if keeps_body else b"")
    assert (over.reason, over.code) == (Reason.BODY_TOO_LARGE if keeps_body else Reason.OK, 200)


@pytest.mark.parametrize(
    "more",
    [
        {"target": "/\r\nX-Evil: 1"},
        {"target": "/ HTTP/1.1"},
        {"target": ""},
        {"method": "CONNECT"},
        {"method": "get"},
        {"host": "user@shop.test"},
        {"headers": (("X-A", "b\r\nX-Evil: 1"),)},
        {"headers": (("X-A", "\u20ac"),)},
        {"headers": ((":path", "/other"),)},
        {"headers": (("Content-Length", "5"),)},
        {"headers": (("Connection", "close"),)},
        {"headers": (("Keep-Alive", "5"),)},
        {"headers": (("Proxy-Connection", "close"),)},
        {"headers": (("Transfer-Encoding", "chunked"),)},
        {"headers": (("Upgrade", "h2c"),)},
        {"headers": (("TE", "gzip"),)},
        {"headers": (("Host", "a.test"),), "secret_headers": (("host", "b.test"),)},
        {"headers": (("Host", "a.test"), ("host", "b.test"))},
        {"secret_headers": (("X-A", "b\nX-Evil: 1"),)},
    ],
)
@on_uvloop
async def test_a_request_that_could_smuggle_something_is_never_sent(more: dict[str, Any]) -> None:
    """H9, fault 40: line breaks, pseudo headers, and what belongs to a connection of HTTP/1."""
    server = Server()
    async with serving(server) as served:
        ending, _ = await ask(served.port, **more)

    assert ending.reason is Reason.INVALID_REQUEST
    assert not can_send(HttpRequest(**{"host": "shop.test", "port": 80, **more}))
    assert server.asked == []


@on_uvloop
async def test_over_tls_http2_is_agreed_on(tmp_path: Path) -> None:
    context = identity(tmp_path, GOOD)
    context.set_alpn_protocols(["h2", "http/1.1"])
    server = Server(body=b"x" * 40_000)
    async with serving(server, tls=context) as served:
        ending, kept = await ask(served.port, tls=client_context("h2"))

    assert (ending.reason, ending.code) == (Reason.OK, 200)
    assert kept is not None
    assert kept.body == b"x" * 40_000
    assert (":scheme", "https") in server.asked
    assert ending.not_after > 0


@pytest.mark.parametrize("offered", [[], ["http/1.1"]])
@on_uvloop
async def test_a_server_that_agrees_on_anything_else_fails(tmp_path: Path, offered: list[str]) -> None:
    context = identity(tmp_path, GOOD)
    context.set_alpn_protocols(offered) if offered else None
    async with serving(hostile.silent, tls=context) as served:
        ending, _ = await ask(served.port, tls=client_context("h2"), seconds=SECONDS)

    assert ending.reason is Reason.PROTOCOL_ERROR


BIG = frame(wire.CONTINUATION, b"\x00\x01a\x7f\xff\x7e" + b"x" * 16_000, stream=1)
BEGUN = frame(wire.HEADERS, b"", stream=1)
BOMB = b"\x88\x40\x01a\x7f\x81\x1e" + b"x" * 4000 + b"\xbe" * 60_000

HOSTILE: dict[str, tuple[Behaviour, Reason, int]] = {
    "silent accept": (hostile.silent, Reason.TIMEOUT, 0),
    "stalls after its settings": (saying(HELLO), Reason.TIMEOUT, 0),
    "stalls in a frame": (saying(HELLO, head()[:-1]), Reason.TIMEOUT, 0),
    "stalls after the headers": (saying(HELLO, head()), Reason.TIMEOUT, 0),
    "stalls in the body": (saying(HELLO, head(), data(b"half")), Reason.TIMEOUT, 0),
    "closes without a word": (saying(closes=True), Reason.CONNECTION_CLOSED, 0),
    "closes after its settings": (saying(HELLO, closes=True), Reason.CONNECTION_CLOSED, 0),
    "closes in a frame": (saying(HELLO, head()[:-1], closes=True), Reason.CONNECTION_CLOSED, 0),
    "closes in the body": (saying(HELLO, head(), data(b"half"), closes=True), Reason.CONNECTION_CLOSED, 0),
    "HTTP/1.1 server": (answer(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"), Reason.PROTOCOL_ERROR, 0),
    "SSH server": (answer(b"SSH-2.0-OpenSSH_9.6\r\n"), Reason.PROTOCOL_ERROR, 0),
    "garbage": (hostile.endless_garbage, Reason.PROTOCOL_ERROR, 0),
    "no settings first": (saying(frame(wire.PING, bytes(8)), HELLO), Reason.PROTOCOL_ERROR, 0),
    "acknowledges first": (saying(frame(wire.SETTINGS, flags=wire.ACK)), Reason.PROTOCOL_ERROR, 0),
    "settings of odd length": (saying(frame(wire.SETTINGS, b"odd")), Reason.PROTOCOL_ERROR, 0),
    "settings out of range": (
        saying(frame(wire.SETTINGS, b"\x00\x04\xff\xff\xff\xff"), HELLO),
        Reason.PROTOCOL_ERROR,
        0,
    ),
    "frame of 16 MiB": (saying(HELLO, b"\xff\xff\xff\x00\x00\x00\x00\x00\x01"), Reason.PROTOCOL_ERROR, 0),
    "goaway": (saying(HELLO, goaway(0)), Reason.CONNECTION_CLOSED, 0),
    "goaway with an error": (saying(HELLO, goaway(1, wire.INTERNAL_ERROR)), Reason.CONNECTION_CLOSED, 0),
    "goaway, then closes": (saying(HELLO, goaway(wire.LAST), closes=True), Reason.CONNECTION_CLOSED, 0),
    "goaway in the body, then closes": (
        saying(HELLO, head(), data(b"half"), goaway(1), closes=True),
        Reason.CONNECTION_CLOSED,
        0,
    ),
    "goaway that takes back": (saying(HELLO, head(), goaway(0)), Reason.CONNECTION_CLOSED, 200),
    "goaway cut short": (saying(HELLO, frame(wire.GOAWAY, b"abc")), Reason.PROTOCOL_ERROR, 0),
    "goaway flood": (flooding(HELLO, again=goaway(wire.LAST)), Reason.PROTOCOL_ERROR, 0),
    "reset": (saying(HELLO, reset(wire.REFUSED_STREAM)), Reason.CONNECTION_RESET, 0),
    "reset in the body": (saying(HELLO, head(), data(b"half"), reset(wire.CANCEL)), Reason.CONNECTION_RESET, 200),
    "wants HTTP/1.1": (saying(HELLO, reset(wire.HTTP_1_1_REQUIRED)), Reason.PROTOCOL_ERROR, 0),
    "reset flood": (flooding(HELLO, again=reset(wire.CANCEL)), Reason.CONNECTION_RESET, 0),
    "reset flood on streams of its own": (
        flooding(HELLO, again=b"".join(reset(wire.CANCEL, stream) for stream in range(2, 200))),
        Reason.PROTOCOL_ERROR,
        0,
    ),
    "ping flood": (flooding(HELLO, again=frame(wire.PING, bytes(8))), Reason.PROTOCOL_ERROR, 0),
    "ping flood in the body": (
        flooding(HELLO, head(), again=frame(wire.PING, bytes(8))),
        Reason.PROTOCOL_ERROR,
        200,
    ),
    "settings flood": (flooding(again=frame(wire.SETTINGS)), Reason.PROTOCOL_ERROR, 0),
    "priority flood": (
        flooding(HELLO, again=frame(wire.PRIORITY, b"\0\0\0\3\x10", stream=5)),
        Reason.PROTOCOL_ERROR,
        0,
    ),
    "window flood": (
        flooding(HELLO, again=frame(wire.WINDOW_UPDATE, b"\0\0\0\1", stream=1)),
        Reason.PROTOCOL_ERROR,
        0,
    ),
    "window overflow": (
        saying(HELLO, frame(wire.WINDOW_UPDATE, b"\x7f\xff\xff\xff", stream=1)),
        Reason.PROTOCOL_ERROR,
        0,
    ),
    "unknown frames without end": (flooding(HELLO, again=frame(0xBB, bytes(50))), Reason.PROTOCOL_ERROR, 0),
    "push promise": (
        saying(HELLO, frame(wire.PUSH_PROMISE, b"\0\0\0\2" + wire.REQUEST_BLOCK, flags=wire.END_HEADERS, stream=1)),
        Reason.PROTOCOL_ERROR,
        0,
    ),
    "an answer on a stream of its own": (
        saying(
            HELLO,
            frame(wire.HEADERS, wire.block("200"), flags=wire.END_HEADERS, stream=2),
            frame(wire.DATA, b"ok", flags=wire.END_STREAM, stream=2),
        ),
        Reason.PROTOCOL_ERROR,
        0,
    ),
    "a request of its own": (
        saying(HELLO, frame(wire.HEADERS, wire.REQUEST_BLOCK, flags=wire.WHOLE, stream=2)),
        Reason.PROTOCOL_ERROR,
        0,
    ),
    "resets a stream of its own": (
        saying(HELLO, reset(wire.CANCEL, 2), head(flags=wire.WHOLE)),
        Reason.PROTOCOL_ERROR,
        0,
    ),
    "headers of another stream": (
        saying(HELLO, frame(wire.HEADERS, wire.block("200"), flags=wire.WHOLE, stream=3)),
        Reason.PROTOCOL_ERROR,
        0,
    ),
    "16 MB of headers": (flooding(HELLO, BEGUN, again=BIG), Reason.HEADERS_TOO_LARGE, 0),
    "endless continuation": (
        flooding(HELLO, BEGUN, again=frame(wire.CONTINUATION, b"x" * 1000, stream=1)),
        Reason.PROTOCOL_ERROR,
        0,
    ),
    "endless empty continuation": (
        flooding(HELLO, BEGUN, again=frame(wire.CONTINUATION, stream=1)),
        Reason.PROTOCOL_ERROR,
        0,
    ),
    "header bomb": (
        saying(
            HELLO,
            frame(wire.HEADERS, BOMB[:16_000], stream=1),
            *(frame(wire.CONTINUATION, BOMB[at : at + 16_000], stream=1) for at in range(16_000, 48_000, 16_000)),
            frame(wire.CONTINUATION, BOMB[48_000:], flags=wire.END_HEADERS, stream=1),
        ),
        Reason.HEADERS_TOO_LARGE,
        0,
    ),
    "a number without end in the headers": (
        saying(HELLO, frame(wire.HEADERS, b"\xff" * 16_000, flags=wire.WHOLE, stream=1)),
        Reason.PROTOCOL_ERROR,
        0,
    ),
    "no status": (saying(HELLO, head("", ("a", "b"), flags=wire.WHOLE)), Reason.PROTOCOL_ERROR, 0),
    "a status that is no number": (saying(HELLO, head("2xx", flags=wire.WHOLE)), Reason.PROTOCOL_ERROR, 0),
    "two lengths": (
        saying(HELLO, head("200", ("content-length", "1"), ("content-length", "2"))),
        Reason.PROTOCOL_ERROR,
        0,
    ),
    "shorter than announced": (
        saying(HELLO, head("200", ("content-length", "10")), data(b"half", flags=wire.END_STREAM)),
        Reason.PROTOCOL_ERROR,
        200,
    ),
    "body before headers": (saying(HELLO, data(b"body", flags=wire.END_STREAM)), Reason.PROTOCOL_ERROR, 0),
    "padding longer than the frame": (
        saying(HELLO, head(), data(b"\xff", flags=wire.PADDED)),
        Reason.PROTOCOL_ERROR,
        200,
    ),
    "connection header": (
        saying(HELLO, head("200", ("connection", "close"), flags=wire.WHOLE)),
        Reason.PROTOCOL_ERROR,
        0,
    ),
    "interim flood": (flooding(HELLO, again=head("103")), Reason.PROTOCOL_ERROR, 0),
    "endless data": (flooding(HELLO, head(), again=data(bytes(FRAME_BYTES))), Reason.OK, 200),
    "endless empty data": (flooding(HELLO, head(), again=data(b"")), Reason.OK, 200),
    "endless padding": (
        flooding(HELLO, head(), again=data(b"\xff" + bytes(255), flags=wire.PADDED)),
        Reason.OK,
        200,
    ),
    "endless trailers": (flooding(HELLO, head(), data(b"ok"), BEGUN, again=BIG), Reason.OK, 200),
}


@pytest.mark.parametrize("name", HOSTILE)
@on_uvloop
async def test_a_hostile_server_gets_its_verdict_in_time(name: str) -> None:
    """H9, fault 47: one connection, no second request, an enum for a reason."""
    behaviour, reason, code = HOSTILE[name]
    async with serving(behaviour) as served:
        ending, _ = await ask(served.port, keeps_body=False, seconds=SECONDS if reason is Reason.TIMEOUT else 5)
        connections = served.connections

    assert (ending.reason, ending.code) == (reason, code)
    assert connections == 1


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("endless data", Reason.BODY_TOO_LARGE),
        ("endless empty data", Reason.BODY_TOO_LARGE),
        ("endless trailers", Reason.HEADERS_TOO_LARGE),
    ],
)
@on_uvloop
async def test_what_is_to_be_looked_into_must_come_whole(name: str, reason: Reason) -> None:
    """H9: a status alone is no answer to one who wants the body."""
    async with serving(HOSTILE[name][0]) as served:
        ending, _ = await ask(served.port)

    assert ending.reason is reason


@on_uvloop
async def test_hostile_servers_cost_no_memory_and_leave_nothing_behind() -> None:
    """H9: the peak over all behaviours, with server and client in this process, stays within a few MiB."""
    async with serving(Server()) as served:
        await ask(served.port)
    descriptors = open_files()
    gc.collect()
    tracemalloc.start()
    try:
        for behaviour, _, _ in HOSTILE.values():
            async with serving(behaviour) as served:
                await ask(served.port, seconds=0.1)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak < HELD_BYTES
    await until(lambda: open_files() <= descriptors)


@on_uvloop
async def test_calls_leave_no_reference_cycles() -> None:
    """What a call held is freed at once, not when the collector comes by."""
    async with serving(Server(body=b"ok")) as served:
        await ask(served.port)
        gc.collect()
        gc.disable()
        try:
            for _ in range(20):
                await ask(served.port)
            await asyncio.sleep(0)
            left = sum(isinstance(thing, (Call, Http2Exchange)) or _is_client(thing) for thing in gc.get_objects())
        finally:
            gc.enable()

    assert left <= 1


def _is_client(thing: object) -> bool:
    """Say whether a thing is a connection of h2 on our side; the server's are its own affair."""
    return isinstance(thing, H2Connection) and ("config" not in vars(thing) or thing.config.client_side)


@on_uvloop
async def test_secrets_are_not_in_logs_even_while_all_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """H9: the library that packs headers would write each of them to the log at level DEBUG."""
    caplog.set_level(logging.DEBUG)
    server = Server(headers=[("x-answer", "private")])
    async with serving(server) as served:
        await ask(served.port, secret_headers=(("x-token", "hunter2"),), secret_body=b"hunter2")

    assert ("x-token", "hunter2") in server.asked
    assert "hunter2" not in caplog.text
    assert "private" not in caplog.text


@pytest.mark.parametrize("is_tls", [False, True])
@pytest.mark.parametrize("said", [(HELLO,), (HELLO, head(), data(b"half"))])
@on_uvloop
async def test_a_request_is_taken_back_before_the_connection_is_cut(
    tmp_path: Path, said: tuple[bytes, ...], *, is_tls: bool
) -> None:
    """H9: a mere cut in the middle of an answer kills some servers (Node.js without a handler for the error)."""
    context = identity(tmp_path, GOOD)
    context.set_alpn_protocols(["h2"])
    heard = bytearray()
    async with serving(wire.noting(heard, *said), tls=context if is_tls else None) as served:
        await ask(served.port, seconds=SECONDS, tls=client_context("h2") if is_tls else None)
        await until(lambda: heard.endswith(reset(wire.CANCEL) + goaway(0)))


@on_uvloop
async def test_what_need_not_be_sent_any_more_is_taken_back() -> None:
    """A server may answer before it has heard all."""
    heard = bytearray()
    early = wire.noting(heard, HELLO, head("413", flags=wire.WHOLE), hears=False)
    async with serving(early) as served:
        ending, _ = await ask(served.port, method="POST", body=b"x" * 100_000)
        await until(lambda: heard.endswith(reset(wire.CANCEL) + goaway(0)))

    assert (ending.reason, ending.code) == (Reason.OK, 413)


@on_uvloop
async def test_giving_up_at_any_moment_is_no_error() -> None:
    """Also when the connection stands, and whoever waited for it does not know yet."""
    async with serving(hostile.silent) as served:
        for turns in range(40):
            task = asyncio.ensure_future(ask(served.port))
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait([task])

            assert task.cancelled(), turns


@on_uvloop
async def test_nothing_is_taken_back_once_the_answer_is_whole() -> None:
    heard = bytearray()
    async with serving(wire.noting(heard, HELLO, head(flags=wire.WHOLE))) as served:
        await ask(served.port)

    assert reset(wire.CANCEL) not in heard


def call(**more: Any) -> Call:
    headers = ((":method", "GET"), (":scheme", "http"), (":authority", "a.test"), (":path", "/"))
    return Call(headers, **{"body": b"", "keeps_body": True, **more})


FRAMES = st.builds(
    frame,
    st.integers(0, 12),
    st.binary(max_size=64) | st.just(wire.block("200")) | st.just(wire.block("")) | st.just(wire.block("100")),
    flags=st.integers(0, 255) | st.sampled_from([0, 1, 4, 5]),
    stream=st.sampled_from([0, 1, 1, 1, 2, 3, 2**31 + 1]),
)


@settings(deadline=None, max_examples=300)
@given(frames=st.lists(FRAMES, max_size=12), body=st.binary(max_size=200), size=st.integers(1, 200))
def test_no_frames_make_a_call_raise(frames: list[bytes], body: bytes, size: int) -> None:
    """Security 6: whatever frames arrive, in whatever pieces, the call ends or waits; it never raises."""
    asking = call(body=body)
    stream = HELLO + b"".join(frames)
    for at in range(0, len(stream), size):
        if asking.receive(stream[at : at + size]) is not None:
            break
        asking.take_outgoing()
    asking.close()

    assert len(asking.body) <= BODY_BYTES


@settings(deadline=None)
@given(chunks=st.lists(st.binary(max_size=300), max_size=10))
def test_no_bytes_make_a_call_raise(chunks: list[bytes]) -> None:
    """Security 6."""
    for start in (b"", HELLO):
        asking = call()
        asking.receive(start)
        for chunk in chunks:
            if asking.receive(chunk) is not None:
                break


@settings(deadline=None)
@given(frames=st.lists(FRAMES, max_size=12), size=st.integers(1, 200))
def test_frames_come_out_as_they_went_in_whatever_the_pieces(frames: list[bytes], size: int) -> None:
    stream = wire.frame(wire.SETTINGS) + b"".join(frames)
    reader, out = Frames(), b""
    for at in range(0, len(stream), size):
        reader.add(stream[at : at + size])
        while isinstance(got := reader.next(), Frame):
            out += got.raw

    assert out == stream


@given(
    kind=st.integers(0, 12),
    length=st.integers(0, 2**24 - 1),
    flags=st.integers(0, 255),
    stream=st.integers(0, 2**32 - 1),
)
def test_a_frame_that_is_not_whole_is_never_more_than_we_announced(
    kind: int, length: int, flags: int, stream: int
) -> None:
    """H9: one who announces 16 MiB is refused before they come."""
    reader = Frames()
    reader.add(wire.frame(wire.SETTINGS) + length.to_bytes(3) + bytes((kind, flags)) + stream.to_bytes(4))
    reader.next()
    got = reader.next()

    assert (got is Reason.PROTOCOL_ERROR) == (length > FRAME_BYTES)


_TOKENS = st.text("abcXYZ-!#", min_size=1, max_size=8)
_VALUES = st.text(st.characters(min_codepoint=0x20, max_codepoint=0xFF, exclude_characters="\x7f"), max_size=12)


@settings(deadline=None)
@given(
    headers=st.lists(st.tuples(_TOKENS | st.sampled_from(["Host", "TE", "Cookie", "Upgrade"]), _VALUES), max_size=6),
    method=st.sampled_from(["GET", "POST", "HEAD", "PURGE", "CONNECT"]),
    target=st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=8).map(lambda path: f"/{path}"),
)
def test_what_can_be_sent_is_sent_without_an_error(headers: list[tuple[str, str]], method: str, target: str) -> None:
    """What `can_send` lets pass, h2 takes."""
    request = HttpRequest("shop.test", 80, method=method, target=target, headers=tuple(headers))

    async def begin() -> Reason | None:
        exchange = Http2Exchange(request, keeps_body=False)
        exchange.begin()
        return exchange.ending.result().reason if exchange.ending.done() else None

    assert asyncio.run(begin()) is (None if can_send(request) else Reason.INVALID_REQUEST)
