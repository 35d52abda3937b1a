"""The gRPC probe against health servers, good and bad."""

import asyncio
import ssl
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract import hostile
from contract import http2_server as wire
from contract.certificates import AUTHORITY, GOOD, SELF_SIGNED, identity
from contract.hostile import Behaviour, answer, on_uvloop, serving
from contract.http2_server import Server, data, flooding, frame, goaway, head, reset, saying
from contract.test_probe_http2 import BEGUN, BIG, HELLO, SECONDS, dialling
from homeostat.core.probing.request import GrpcRequest, Tls
from homeostat.core.probing.result import Reason
from homeostat.probe.ending import Ending
from homeostat.probe.http2.grpc import GrpcProbe
from homeostat.probe.http2.protobuf import read_enum, write_string
from homeostat.probe.net.tls import Contexts

TYPE = ("content-type", "application/grpc")
OK = ("grpc-status", "0")


def message(payload: bytes, compression: int = 0) -> bytes:
    return bytes((compression,)) + len(payload).to_bytes(4) + payload


def health(payload: bytes, **more: Any) -> Server:
    """A health server whose answer has this message."""
    return Server(**{"headers": [TYPE], "body": message(payload), "trailers": [OK], **more})


def refusing(code: str, *headers: tuple[str, str]) -> Behaviour:
    """A server that answers with a gRPC status alone: no body, no trailers."""
    return saying(HELLO, head("200", TYPE, ("grpc-status", code), *headers, flags=wire.WHOLE))


async def ask(port: int, *, seconds: float = 5.0, **more: Any) -> Ending:
    request = GrpcRequest(**{"host": "shop.test", "port": port, "address": "127.0.0.1", **more})
    with dialling() as dialer:
        probe = GrpcProbe(dialer, Contexts(AUTHORITY.encode()), time.monotonic)
        async with asyncio.timeout(seconds + 5):
            return await probe.run(request, time.monotonic() + seconds)


@pytest.mark.parametrize(
    ("server", "reason", "code"),
    [
        (health(b"\x08\x01"), Reason.OK, 0),
        (health(b"\x08\x01", headers=[("content-type", "application/grpc+proto")]), Reason.OK, 0),
        (health(b"\x08\x01", piece=1), Reason.OK, 0),
        (health(b"\x12\x03new\x08\x01\x1a\x00"), Reason.OK, 0),
        (health(b"\x08\x02"), Reason.NOT_SERVING, 0),
        (health(b""), Reason.UNKNOWN_SERVICE, 0),
        (health(b"\x08\x00"), Reason.UNKNOWN_SERVICE, 0),
        (health(b"\x08\x03"), Reason.UNKNOWN_SERVICE, 0),
        (refusing("5"), Reason.UNKNOWN_SERVICE, 5),
        (health(b"", body=b"", trailers=[("grpc-status", "5")]), Reason.UNKNOWN_SERVICE, 5),
        (refusing("12"), Reason.NO_HEALTH_SERVICE, 12),
        (refusing("14", ("grpc-message", "down for repairs")), Reason.UNEXPECTED_STATUS, 14),
        (health(b"\x08\x01", trailers=[("grpc-status", "13")]), Reason.UNEXPECTED_STATUS, 13),
        (refusing("99"), Reason.UNEXPECTED_STATUS, 99),
        (Server("404", [("content-type", "text/html")], b"<h1>no such page</h1>"), Reason.UNEXPECTED_STATUS, 404),
        (Server("503", body=b"x" * 200_000), Reason.UNEXPECTED_STATUS, 503),
        (saying(HELLO, head("302", ("location", "/"), flags=wire.WHOLE)), Reason.UNEXPECTED_STATUS, 302),
    ],
)
@on_uvloop
async def test_the_verdict_comes_from_what_the_server_says_of_itself(
    server: Behaviour, reason: Reason, code: int
) -> None:
    """Fault 47: NOT_SERVING, an unknown service, and UNIMPLEMENTED are told apart; the code is gRPC's or HTTP's."""
    async with serving(server) as served:
        ending = await ask(served.port)

    assert (ending.reason, ending.code) == (reason, code)


@pytest.mark.parametrize(
    "server",
    [
        health(b"\x08\x01", headers=[("content-type", "text/html")]),
        health(b"\x08\x01", headers=[("content-type", "application/grpc-web")]),
        health(b"\x08\x01", headers=[]),
        health(b"\x08\x01", trailers=[("grpc-message", "no status")]),
        health(b"\x08\x01", trailers=[("grpc-status", "-1")]),
        health(b"\x08\x01", trailers=[("grpc-status", "OK")]),
        health(b"\x08\x01", trailers=[]),
        health(b"", body=message(b"\x08\x01", compression=1)),
        health(b"", body=b""),
        health(b"", body=message(b"\x08\x01") * 2),
        health(b"", body=message(b"\x08\x01")[:-1]),
        health(b"", body=b"\x00\xff\xff\xff\xff\x08\x01"),
        health(b"\x08"),
        health(b"\x08\x04"),
        health(b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
        health(b"\x12\x7fshort"),
        health(b"\x0b\x08\x01\x0c"),
        health(b"\x00\x01"),
        Server(body=b"<h1>welcome</h1>"),
    ],
)
@on_uvloop
async def test_what_is_no_answer_of_a_health_service_is_a_protocol_error(server: Server) -> None:
    """Fault 47: another type, no status, compressed although we offered none, cut short, or no message at all."""
    async with serving(server) as served:
        ending = await ask(served.port)

    assert (ending.reason, ending.code) == (Reason.PROTOCOL_ERROR, 0)


@on_uvloop
async def test_the_call_is_one_that_a_grpc_library_would_make() -> None:
    server = health(b"\x08\x01")
    async with serving(server) as served:
        await ask(served.port, service="shop.Checkout", seconds=5)

    asked = dict(server.asked)
    assert asked[":method"] == "POST"
    assert asked[":path"] == "/grpc.health.v1.Health/Check"
    assert asked[":authority"] == f"shop.test:{served.port}"
    assert asked["te"] == "trailers"
    assert asked["content-type"] == "application/grpc"
    assert 1000 < int(asked["grpc-timeout"].removesuffix("m")) <= 5100
    assert server.heard == message(b"\x0a\x0dshop.Checkout")


@on_uvloop
async def test_a_server_as_a_whole_is_asked_for_with_an_empty_message() -> None:
    server = health(b"\x08\x01")
    async with serving(server) as served:
        await ask(served.port)

    assert server.heard == message(b"")


@on_uvloop
async def test_over_tls_the_certificate_is_checked_and_its_expiry_told(tmp_path: Path) -> None:
    context = identity(tmp_path, GOOD)
    context.set_alpn_protocols(["h2"])
    server = health(b"\x08\x01")
    async with serving(server, tls=context) as served:
        ending = await ask(served.port, tls=Tls())
        other = await ask(served.port, tls=Tls(), host="other.test")
        named = await ask(served.port, tls=Tls(server_name="shop.test"), host="other.test")

    assert ending.reason is Reason.OK
    assert ending.not_after > 0
    assert ending.phases is not None
    assert ending.phases.tls > 0
    assert other.reason is Reason.CERTIFICATE_WRONG_HOST
    assert named.reason is Reason.OK


@on_uvloop
async def test_authorities_that_cannot_be_read_are_not_asked_with() -> None:
    async with serving(hostile.silent) as served:
        ending = await ask(served.port, tls=Tls(ca=b"nonsense"))

    assert ending.reason is Reason.SECRET_UNUSABLE
    assert served.connections == 0


@pytest.mark.parametrize("certificate", [SELF_SIGNED])
@on_uvloop
async def test_a_server_nobody_vouches_for_fails(tmp_path: Path, certificate: str) -> None:
    context = identity(tmp_path, certificate)
    async with serving(hostile.silent, tls=context) as served:
        ending = await ask(served.port, tls=Tls())

    assert ending.reason is Reason.CERTIFICATE_UNTRUSTED


@on_uvloop
async def test_a_server_that_speaks_tls_but_not_http2_fails(tmp_path: Path) -> None:
    context: ssl.SSLContext = identity(tmp_path, GOOD)
    async with serving(hostile.silent, tls=context) as served:
        ending = await ask(served.port, tls=Tls())

    assert ending.reason is Reason.PROTOCOL_ERROR


@pytest.mark.parametrize("more", [{"host": "user@shop.test"}, {"host": ""}, {"port": 0}, {"port": 65_536}])
@on_uvloop
async def test_an_address_that_is_none_is_never_dialled(more: dict[str, Any]) -> None:
    """H9, fault 40."""
    ending = await ask(**{"port": 1, **more})

    assert ending.reason is Reason.INVALID_REQUEST


HOSTILE: dict[str, tuple[Behaviour, Reason]] = {
    "silent accept": (hostile.silent, Reason.TIMEOUT),
    "stalls after its settings": (saying(HELLO), Reason.TIMEOUT),
    "stalls after the headers": (saying(HELLO, head("200", TYPE)), Reason.TIMEOUT),
    "stalls before the trailers": (saying(HELLO, head("200", TYPE), data(message(b"\x08\x01"))), Reason.TIMEOUT),
    "stalls in a page": (saying(HELLO, head("500"), data(b"<h1>")), Reason.TIMEOUT),
    "HTTP/1.1 server": (answer(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"), Reason.PROTOCOL_ERROR),
    "garbage": (hostile.endless_garbage, Reason.PROTOCOL_ERROR),
    "goaway": (saying(HELLO, goaway(0)), Reason.CONNECTION_CLOSED),
    "goaway and no more": (saying(HELLO, goaway(wire.LAST), closes=True), Reason.CONNECTION_CLOSED),
    "closes before the trailers": (
        saying(HELLO, head("200", TYPE), data(message(b"\x08\x01")), closes=True),
        Reason.CONNECTION_CLOSED,
    ),
    "reset before the trailers": (
        saying(HELLO, head("200", TYPE), data(message(b"\x08\x01")), reset(wire.CANCEL)),
        Reason.CONNECTION_RESET,
    ),
    "reset flood": (flooding(HELLO, again=reset(wire.CANCEL)), Reason.CONNECTION_RESET),
    "ping flood": (flooding(HELLO, again=frame(wire.PING, bytes(8))), Reason.PROTOCOL_ERROR),
    "16 MB of metadata": (flooding(HELLO, BEGUN, again=BIG), Reason.HEADERS_TOO_LARGE),
    "16 MB of metadata at the end": (
        flooding(HELLO, head("200", TYPE), data(message(b"\x08\x01")), BEGUN, again=BIG),
        Reason.HEADERS_TOO_LARGE,
    ),
    "endless continuation": (
        flooding(HELLO, BEGUN, again=frame(wire.CONTINUATION, stream=1)),
        Reason.PROTOCOL_ERROR,
    ),
    "endless data": (flooding(HELLO, head("200", TYPE), again=data(bytes(16_384))), Reason.BODY_TOO_LARGE),
}


@pytest.mark.parametrize("name", HOSTILE)
@on_uvloop
async def test_a_hostile_server_gets_its_verdict_in_time(name: str) -> None:
    """H9, fault 47: one connection, an enum for a reason, no code that nobody gave."""
    behaviour, reason = HOSTILE[name]
    async with serving(behaviour) as served:
        ending = await ask(served.port, seconds=SECONDS if reason is Reason.TIMEOUT else 5)

    assert (ending.reason, ending.code) == (reason, 0)
    assert served.connections == 1


@given(payload=st.binary(max_size=64))
def test_no_message_is_read_as_anything_but_a_number_or_nothing(payload: bytes) -> None:
    """Security 6: whatever the bytes, reading ends and does not raise."""
    found = read_enum(payload, 1)

    assert found is None or 0 <= found < 2**32


@given(value=st.integers(0, 2**31 - 1), text=st.text(max_size=200))
def test_a_number_is_found_behind_fields_nobody_knows(value: int, text: str) -> None:
    varint = bytearray()
    while value >> 7 * (len(varint) + 1):
        varint.append(value >> 7 * len(varint) & 0x7F | 0x80)
    varint.append(value >> 7 * len(varint))
    unknown = write_string(300, text) + b"\x11" + bytes(8) + b"\x1d" + bytes(4)

    assert read_enum(unknown + b"\x08" + varint, 1) == value
    assert read_enum(unknown, 1) == 0
