"""One request over HTTP/2 and its answer, without I/O: bytes in, bytes out, and at last a reason.

h2 (and with it 80 ms of imports) is only in here: import this module when a connection to speak HTTP/2 on stands.
"""

import logging
import re
from collections.abc import Iterable
from typing import Final

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import (
    DataReceived,
    Event,
    InformationalResponseReceived,
    RemoteSettingsChanged,
    ResponseReceived,
    StreamEnded,
    StreamReset,
    TrailersReceived,
    WindowUpdated,
)
from h2.exceptions import DenialOfServiceError, ProtocolError
from h2.settings import SettingCodes, Settings
from hpack import HeaderTuple, NeverIndexedHeaderTuple

from homeostat.core.probing.result import Reason
from homeostat.probe.http2.frames import BODY_BYTES, FRAME_BYTES, HEADER_BYTES, Frame, Frames, Kind

Texts = tuple[tuple[str, str], ...]
Headers = tuple[tuple[bytes, bytes], ...]

_STREAM: Final = 1
_MOST_INTERIM: Final = 8
_STATUS = re.compile(rb"[1-9]\d\d")
# More than we take, so that a server that has too much to send shows it, and does not wait for us instead.
_WINDOW = 2 * BODY_BYTES
_FIRST_WINDOW = 65_535  # of a connection, whatever the settings say (RFC 9113, section 6.9.2)
_OF_OUR_STREAM = frozenset({Kind.DATA, Kind.HEADERS, Kind.RST_STREAM, Kind.PUSH_PROMISE, Kind.CONTINUATION})
_GOODBYE_BYTES = 8
_SETTINGS = {
    SettingCodes.ENABLE_PUSH: 0,
    SettingCodes.INITIAL_WINDOW_SIZE: _WINDOW,
    SettingCodes.MAX_FRAME_SIZE: FRAME_BYTES,
    SettingCodes.MAX_HEADER_LIST_SIZE: HEADER_BYTES,
}

# "Never mind" (RST_STREAM, CANCEL) and goodbye (GOAWAY, NO_ERROR).
FAREWELL: Final = b"\0\0\4\3\0\0\0\0\1\0\0\0\x08" + b"\0\0\x08\x07\0\0\0\0\0" + bytes(8)

# It writes every header, secret ones too, to the log at level DEBUG.
logging.getLogger("hpack").setLevel(logging.WARNING)


class Call:
    """Asks with `headers` (pseudo headers first) and `body`; the answer's `body` is kept only if `keeps_body`.

    `secret` are more headers, never to be kept for compression. `status` is 0 until the answer's headers are here.
    """

    __slots__ = (
        "_asks_head",
        "_connection",
        "_frames",
        "_interim",
        "_is_answered",
        "_keeps_body",
        "_sent",
        "_to_send",
        "body",
        "headers",
        "status",
        "trailers",
    )

    def __init__(self, headers: Texts, body: bytes, *, secret: Texts = (), keeps_body: bool) -> None:
        self.status = 0
        self.headers: Headers = ()
        self.trailers: Headers = ()
        self.body = bytearray()
        self._keeps_body = keeps_body
        self._asks_head = (":method", "HEAD") in headers
        self._is_answered = False
        self._interim = 0
        self._frames = Frames()
        self._to_send = body
        self._sent = 0
        self._connection = H2Connection(H2Configuration(header_encoding=None))
        self._connection.local_settings = Settings(client=True, initial_values=_SETTINGS)
        self._open([*_encode(headers, HeaderTuple), *_encode(secret, NeverIndexedHeaderTuple)])

    def take_outgoing(self) -> bytes:
        """Give what is to be sent now."""
        return self._connection.data_to_send()

    def receive(self, data: bytes) -> Reason | None:
        """Take what arrived; give the reason once the call is over (OK: the answer is complete)."""
        self._frames.add(data)
        while (frame := self._frames.next()) is not None:
            reason = self._at_budget(frame) if isinstance(frame, Reason) else self._take(frame)
            if reason is not None:
                return reason
        return None

    @property
    def is_complete(self) -> bool:
        """Whether all has been said, by us and by the server."""
        return self._is_answered and self._sent == len(self._to_send)

    def close(self) -> None:
        """Let go of everything but the answer: the connection of h2 holds on to itself."""
        vars(self._connection).clear()

    def _open(self, headers: list[HeaderTuple]) -> None:
        self._connection.initiate_connection()
        self._connection.increment_flow_control_window(_WINDOW - _FIRST_WINDOW)
        self._connection.send_headers(_STREAM, headers, end_stream=not self._to_send)
        self._send_body()

    def _send_body(self) -> None:
        """Send as much of the body as the server takes now."""
        while self._sent < len(self._to_send):
            room = self._connection.local_flow_control_window(_STREAM)
            end = self._sent + min(room, self._connection.max_outbound_frame_size)
            if end <= self._sent:
                return
            is_last = end >= len(self._to_send)
            self._connection.send_data(_STREAM, self._to_send[self._sent : end], end_stream=is_last)
            self._sent = end

    def _at_budget(self, reason: Reason) -> Reason:
        """Give what it means that too much came: a status is an answer, even when the rest goes on forever."""
        is_answered = self.status and not self._keeps_body and reason is not Reason.PROTOCOL_ERROR
        return Reason.OK if is_answered else reason

    def _take(self, frame: Frame) -> Reason | None:
        if frame.kind == Kind.GOAWAY:
            return self._of_goodbye(frame)
        if frame.kind in _OF_OUR_STREAM and frame.stream != _STREAM:  # h2 would take what a server begins itself
            return Reason.PROTOCOL_ERROR
        try:
            return self._follow(self._connection.receive_data(frame.raw))
        except DenialOfServiceError:  # headers that are small only while they are compressed
            return self._at_budget(Reason.HEADERS_TOO_LARGE)
        except ProtocolError:
            return Reason.PROTOCOL_ERROR

    def _of_goodbye(self, frame: Frame) -> Reason | None:
        """Say whether the server's goodbye is the end; one that is in order still answers what came before."""
        if len(frame.payload) < _GOODBYE_BYTES or frame.stream:
            return Reason.PROTOCOL_ERROR
        last_stream = int.from_bytes(frame.payload[:4]) & 0x7FFF_FFFF
        is_in_order = int.from_bytes(frame.payload[4:_GOODBYE_BYTES]) == ErrorCodes.NO_ERROR
        goes_on = last_stream >= _STREAM and (is_in_order or self.status)
        return None if goes_on else Reason.CONNECTION_CLOSED

    def _follow(self, events: list[Event]) -> Reason | None:
        for event in events:
            reason = self._see(event)
            if reason is not None:
                return reason
        return None

    def _see(self, event: Event) -> Reason | None:
        match event:
            case InformationalResponseReceived():
                return self._skip_interim()
            case ResponseReceived():
                return self._begin(tuple(event.headers))
            case DataReceived():
                self._keep(event.data)
            case TrailersReceived():
                self.trailers = tuple(event.headers)
            case StreamEnded():
                self._is_answered = True
                return Reason.OK
            case StreamReset():
                return _of_reset(event)
            case WindowUpdated() | RemoteSettingsChanged():
                self._send_body()
            case _:  # acknowledgements, pings (h2 answers them), and frames without a meaning for us
                pass
        return None

    def _skip_interim(self) -> Reason | None:
        self._interim += 1
        return Reason.PROTOCOL_ERROR if self._interim > _MOST_INTERIM else None

    def _begin(self, headers: Headers) -> Reason | None:
        status = dict(headers)[b":status"]  # h2 has seen to it that there is one, at the beginning
        if _STATUS.fullmatch(status) is None:
            return Reason.PROTOCOL_ERROR
        self.status = int(status)
        self.headers = headers[1:]
        return Reason.OK if self._asks_head else None

    def _keep(self, data: bytes) -> None:
        if self._keeps_body:
            self.body += data


def _encode(headers: Texts, kind: type[HeaderTuple]) -> Iterable[HeaderTuple]:
    return (kind(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers)


def _of_reset(event: StreamReset) -> Reason:
    """Say what it means that our stream was given up: by h2 (it saw an error), for want of HTTP/1, or at will."""
    if not event.remote_reset or event.error_code == ErrorCodes.HTTP_1_1_REQUIRED:
        return Reason.PROTOCOL_ERROR
    return Reason.CONNECTION_RESET
