"""The gRPC probe: one call of `grpc.health.v1.Health/Check` over HTTP/2, without a gRPC library."""

import re
import ssl
import time
from collections.abc import Callable
from math import ceil

from homeostat.core.probing.request import GrpcRequest, HttpRequest
from homeostat.core.probing.result import Reason
from homeostat.probe.ending import Ending
from homeostat.probe.http.answer import Answer
from homeostat.probe.http.request import agent, authority
from homeostat.probe.http2.protobuf import read_enum, write_string
from homeostat.probe.http2.stream import HeaderList, Http2Stream
from homeostat.probe.net.address import is_dialable
from homeostat.probe.net.connection import Dialer, Peer
from homeostat.probe.net.tls import Contexts

_PATH = "/grpc.health.v1.Health/Check"
_CONTENT_TYPE = re.compile(r"application/grpc([+;].*)?", re.IGNORECASE)
_STATUS = re.compile(r"\d{1,3}")
_FINE = 200
_WITH_STATUS = frozenset({Reason.OK, Reason.BODY_TOO_LARGE})
_PREFIX_BYTES = 5  # one for compression, four for the length
_SERVICE_FIELD = 1
_STATUS_FIELD = 1
# The server is told a little more than the time there is, so that it is we who notice that time is up.
_GRACE_SECONDS = 0.1

_OF_CODE = {5: Reason.UNKNOWN_SERVICE, 12: Reason.NO_HEALTH_SERVICE}
_OF_HEALTH = {
    0: Reason.UNKNOWN_SERVICE,  # UNKNOWN
    1: Reason.OK,  # SERVING
    2: Reason.NOT_SERVING,
    3: Reason.UNKNOWN_SERVICE,  # SERVICE_UNKNOWN
}


class GrpcProbe:
    """Asks a server once whether it, or one of its services, is serving."""

    def __init__(self, dialer: Dialer, contexts: Contexts, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._dialer = dialer
        self._contexts = contexts
        self._monotonic = monotonic

    async def run(self, request: GrpcRequest, deadline: float) -> Ending:
        """Give the ending before `deadline` (monotonic seconds); its code is gRPC's, or HTTP's if that is not 200."""
        if not is_dialable(request.host, request.port):
            return Ending(Reason.INVALID_REQUEST)
        context = self._context(request)
        if isinstance(context, Reason):
            return Ending(context)
        headers = _headers(request, deadline - self._monotonic())
        call = Http2Stream(headers, _with_prefix(write_string(_SERVICE_FIELD, request.service)), keeps_body=True)
        server_name = request.tls.server_name if request.tls else ""
        peer = Peer(request.host, request.port, request.address, context, server_name)
        ending = await self._dialer.hold(call, peer, deadline)
        return _result(ending, call.answer(), call.trailers())

    def _context(self, request: GrpcRequest) -> ssl.SSLContext | Reason | None:
        return None if request.tls is None else self._contexts.context(request.tls, ("h2",))


def _result(ending: Ending, answer: Answer | None, trailers: HeaderList) -> Ending:
    """Give the ending of a conversation with what its answer means, if it is whole."""
    if answer is None or ending.reason not in _WITH_STATUS:
        return ending._replace(code=0)
    if answer.status != _FINE:
        return ending._replace(reason=Reason.UNEXPECTED_STATUS, code=answer.status)
    if ending.reason is not Reason.OK:
        return ending._replace(code=0)
    reason, code = judge(answer, trailers)
    return ending._replace(reason=reason, code=code)


def judge(answer: Answer, trailers: HeaderList) -> tuple[Reason, int]:
    """Say what a whole answer with HTTP status 200 means, and its gRPC code."""
    headers = dict(answer.headers)
    # Without a message, the status may come with the headers.
    status = dict(trailers).get("grpc-status", headers.get("grpc-status", ""))
    if not _CONTENT_TYPE.fullmatch(headers.get("content-type", "")) or not _STATUS.fullmatch(status):
        return Reason.PROTOCOL_ERROR, 0
    code = int(status)
    if code:
        return _OF_CODE.get(code, Reason.UNEXPECTED_STATUS), code
    return _of_message(answer.body), 0


def _of_message(body: bytes) -> Reason:
    """Say what the one message of an answer means; compressed, cut off, or one of several, it means nothing."""
    message = body[_PREFIX_BYTES:]
    if body[:_PREFIX_BYTES] != _with_prefix(message)[:_PREFIX_BYTES]:
        return Reason.PROTOCOL_ERROR
    health = read_enum(message, _STATUS_FIELD)
    return Reason.PROTOCOL_ERROR if health is None else _OF_HEALTH.get(health, Reason.PROTOCOL_ERROR)


def _with_prefix(message: bytes) -> bytes:
    return b"\0" + len(message).to_bytes(_PREFIX_BYTES - 1) + message


def _headers(request: GrpcRequest, seconds: float) -> HeaderList:
    is_tls = request.tls is not None
    return (
        (":method", "POST"),
        (":scheme", "https" if is_tls else "http"),
        (":authority", authority(HttpRequest(request.host, request.port, is_tls=is_tls))),
        (":path", _PATH),
        ("te", "trailers"),
        ("content-type", "application/grpc"),
        ("grpc-timeout", f"{ceil(max(0.0, seconds + _GRACE_SECONDS) * 1000)}m"),
        ("user-agent", agent()),
    )
