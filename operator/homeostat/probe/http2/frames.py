"""HTTP/2 frames, cut out of the bytes that arrive and counted before anything looks inside (RFC 9113, section 4).

Why not leave this to h2: it holds up to 16 MiB of a frame before it minds the length, answers any number of PING and
SETTINGS frames, and after a GOAWAY takes no more frames of the request that was promised an answer.
"""

from enum import IntEnum
from typing import Final, NamedTuple

from homeostat.core.probing.result import Reason

BODY_BYTES: Final = 64 * 1024
HEADER_BYTES: Final = 64 * 1024
CONTROL_BYTES: Final = 16 * 1024  # a thousand frames or so; they cost more time than bytes
FRAMING_BYTES: Final = 32 * 1024  # the heads of DATA frames
FRAME_BYTES: Final = 16 * 1024  # the smallest limit one may set, and we set it
_HEAD_BYTES = 9
_ACK = 1


class Kind(IntEnum):
    """The frames that mean something here; others are ignored."""

    DATA = 0
    HEADERS = 1
    RST_STREAM = 3
    SETTINGS = 4
    PUSH_PROMISE = 5
    GOAWAY = 7
    WINDOW_UPDATE = 8
    CONTINUATION = 9


class Frame(NamedTuple):
    """One whole frame: its type, its flags, its stream, and all of its bytes."""

    kind: int
    flags: int
    stream: int
    raw: bytes

    @property
    def payload(self) -> bytes:
        """The frame without its head."""
        return self.raw[_HEAD_BYTES:]


class Frames:
    """Gives the frames of what a server sends, until one is against the rules or there are too many."""

    __slots__ = ("_body", "_buffer", "_control", "_framing", "_has_begun", "_headers", "_is_counted")

    def __init__(self) -> None:
        self._buffer = bytearray()  # what was read at once, and less than one frame from before
        self._has_begun = False
        self._is_counted = False  # the frame at the beginning of the buffer
        self._body = BODY_BYTES
        self._framing = FRAMING_BYTES
        self._headers = HEADER_BYTES
        self._control = CONTROL_BYTES

    def add(self, data: bytes) -> None:
        """Take bytes as they arrive."""
        self._buffer += data

    def next(self) -> Frame | Reason | None:
        """Give the next frame, or why there is none: a reason for good, None until there are more bytes.

        The reason is given as soon as the head of a frame shows it: BODY_TOO_LARGE, HEADERS_TOO_LARGE, or
        PROTOCOL_ERROR for a frame that is too long, for too many others, and for what is not HTTP/2 at all.
        """
        if len(self._buffer) < _HEAD_BYTES:
            return None
        length, kind, flags, stream = _head(self._buffer)
        if not self._is_counted:
            refusal = self._refusal(length, kind, flags)
            if refusal is not None:
                return refusal
            self._is_counted = True
        if len(self._buffer) < _HEAD_BYTES + length:
            return None
        raw = bytes(self._buffer[: _HEAD_BYTES + length])
        del self._buffer[: _HEAD_BYTES + length]
        self._is_counted = False
        return Frame(kind, flags, stream, raw)

    def _refusal(self, length: int, kind: int, flags: int) -> Reason | None:
        if length > FRAME_BYTES:
            return Reason.PROTOCOL_ERROR
        if not self._has_begun:
            self._has_begun = True
            if kind != Kind.SETTINGS or flags & _ACK:
                return Reason.PROTOCOL_ERROR
        return self._count(length, kind)

    def _count(self, length: int, kind: int) -> Reason | None:
        if kind == Kind.DATA:
            self._body -= length  # with the padding, as flow control counts
            self._framing -= _HEAD_BYTES
            return Reason.BODY_TOO_LARGE if min(self._body, self._framing) < 0 else None
        if kind in {Kind.HEADERS, Kind.CONTINUATION}:
            self._headers -= _HEAD_BYTES + length
            return Reason.HEADERS_TOO_LARGE if self._headers < 0 else None
        self._control -= _HEAD_BYTES + length
        return Reason.PROTOCOL_ERROR if self._control < 0 else None


def _head(data: bytearray) -> tuple[int, int, int, int]:
    """Give the length, the type, the flags and the stream that the head of a frame names."""
    return int.from_bytes(data[:3]), data[3], data[4], int.from_bytes(data[5:_HEAD_BYTES]) & 0x7FFF_FFFF
