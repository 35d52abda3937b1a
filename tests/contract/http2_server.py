"""HTTP/2 servers on loopback: one that keeps the rules (h2), and frames by hand for those that break them."""

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, Event, RequestReceived, StreamEnded
from h2.settings import SettingCodes
from hpack import Encoder

from contract.hostile import Behaviour

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM = ACK = 1
END_HEADERS = 4
PADDED = 8
WHOLE = END_STREAM | END_HEADERS
NO_ERROR, INTERNAL_ERROR, REFUSED_STREAM, CANCEL, HTTP_1_1_REQUIRED = 0, 2, 7, 8, 13
LAST = 2**31 - 1


def frame(kind: int, payload: bytes = b"", *, flags: int = 0, stream: int = 0) -> bytes:
    """Write one frame, lawful or not."""
    return len(payload).to_bytes(3) + bytes((kind, flags)) + stream.to_bytes(4) + payload


def block(status: str, *headers: tuple[str, str]) -> bytes:
    """Write a header block; without a status, that of trailers."""
    return Encoder().encode([*([(":status", status)] if status else []), *headers])


def head(status: str = "200", *headers: tuple[str, str], flags: int = END_HEADERS) -> bytes:
    """Write the headers of an answer."""
    return frame(HEADERS, block(status, *headers), flags=flags, stream=1)


def data(payload: bytes, *, flags: int = 0) -> bytes:
    """Write a piece of a body."""
    return frame(DATA, payload, flags=flags, stream=1)


def goaway(last: int, code: int = NO_ERROR) -> bytes:
    """Write a goodbye after the stream `last`."""
    return frame(GOAWAY, last.to_bytes(4) + code.to_bytes(4))


def reset(code: int, stream: int = 1) -> bytes:
    """Write the reset of a stream."""
    return frame(RST_STREAM, code.to_bytes(4), stream=stream)


REQUEST_BLOCK = Encoder().encode([(":method", "GET"), (":scheme", "http"), (":authority", "a"), (":path", "/")])
GREETING = frame(SETTINGS) + frame(SETTINGS, flags=ACK)


async def read_request(reader: asyncio.StreamReader) -> None:
    """Read up to the end of the request."""
    await reader.readexactly(len(PREFACE))
    is_over = False
    while not is_over:
        length = int.from_bytes(await reader.readexactly(3))
        kind, flags = await reader.readexactly(2)
        await reader.readexactly(4 + length)
        is_over = kind in {DATA, HEADERS} and bool(flags & END_STREAM)


def saying(*frames: bytes, hears: bool = True, closes: bool = False) -> Behaviour:
    """Build the behaviour that hears a request, says these bytes, and then nothing more (or closes)."""

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if hears:
            await read_request(reader)
        writer.write(b"".join(frames))
        if closes:
            writer.write_eof() if writer.can_write_eof() else writer.close()
        while await reader.read(4096):
            pass

    return behave


def noting(said: bytearray, *frames: bytes, hears: bool = True) -> Behaviour:
    """Build the behaviour that hears a request, says these bytes, and notes what it hears up to the end."""

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if hears:
            await read_request(reader)
        writer.write(b"".join(frames))
        with suppress(OSError):
            while heard := await reader.read(4096):
                said.extend(heard)
        said.extend(reader._buffer)  # type: ignore[attr-defined] - the cut came before this was asked for

    return behave


def flooding(*first: bytes, again: bytes) -> Behaviour:
    """Build the behaviour that hears a request, says `first`, and then `again` without end."""

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(b"".join(first))
        while True:
            writer.write(again * max(1, 16_384 // len(again)))
            await writer.drain()
            await asyncio.sleep(0)

    return behave


@dataclass
class Server:
    """An honest server that gives every request the same answer, and remembers the last one.

    `window`: how much of a request it takes at once. `piece`: the most bytes of a body it sends in one frame.
    """

    status: str = "200"
    headers: Iterable[tuple[str, str]] = ()
    body: bytes = b""
    trailers: Iterable[tuple[str, str]] = ()
    interim: Iterable[str] = ()
    window: int = 65_535
    piece: int = 16_384
    padding: int | None = None
    asked: list[tuple[str, str]] = field(default_factory=list)
    heard: bytes = b""

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        connection = H2Connection(H2Configuration(client_side=False, header_encoding="latin-1"))
        connection.initiate_connection()
        connection.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: self.window})
        left: bytes | None = None
        while arrived := await reader.read(4096):
            for event in connection.receive_data(arrived):
                if self._hear(connection, event):
                    self._begin(connection)
                    left = self.body
            left = self._send(connection, left)
            writer.write(connection.data_to_send())
            await writer.drain()

    def _hear(self, connection: H2Connection, event: Event) -> bool:
        """Take a part of a request; say whether it is whole."""
        if isinstance(event, RequestReceived):
            self.asked = [(str(name), str(value)) for name, value in event.headers]
            self.heard = b""
        if isinstance(event, DataReceived):
            self.heard += event.data
            connection.acknowledge_received_data(event.flow_controlled_length, 1)
        return isinstance(event, StreamEnded)

    def _begin(self, connection: H2Connection) -> None:
        for status in self.interim:
            connection.send_headers(1, _encode([(":status", status)]))
        is_all = not self.body and not self.trailers
        connection.send_headers(1, _encode([(":status", self.status), *self.headers]), end_stream=is_all)

    def _send(self, connection: H2Connection, left: bytes | None) -> bytes | None:
        """Send what the client takes; give what is left, None when that was all (or nothing was asked yet)."""
        while left:
            room = min(connection.local_flow_control_window(1), connection.max_outbound_frame_size)
            room -= 0 if self.padding is None else 1 + self.padding
            piece = left[: min(room, self.piece)] if room > 0 else b""
            if not piece:
                return left
            left = left[len(piece) :]
            is_last = not left and not self.trailers
            connection.send_data(1, piece, end_stream=is_last, pad_length=self.padding)
        if left is not None and self.trailers:
            connection.send_headers(1, _encode(self.trailers), end_stream=True)
        return None


def _encode(headers: Iterable[tuple[str, str]]) -> list[tuple[bytes, bytes]]:
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
