"""The two ends of a connection through the relay."""

import asyncio
import socket
import struct
from contextlib import suppress
from typing import Final

PIECE: Final = 65536
_RESET: Final = struct.pack("ii", 1, 0)


class End:
    """One end of the connection: what it sent and nobody took yet, and the way back to it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self.data = bytearray()

    async def more(self) -> bool:
        """Wait for more of its bytes; False when there will be none."""
        piece = await self._reader.read(PIECE)
        self.data += piece
        return bool(piece)

    def take(self, count: int) -> bytes:
        """Take the first bytes of what it sent."""
        taken = bytes(self.data[:count])
        del self.data[:count]
        return taken

    async def send(self, data: bytes) -> None:
        """Send to it, not faster than it reads."""
        if data:
            self._writer.write(data)
            await self._writer.drain()

    def end(self) -> None:
        """Tell it that nothing follows."""
        with suppress(OSError):
            self._writer.write_eof()

    def close(self) -> None:
        """Close what is left of it, in good order."""
        self._writer.close()

    def reset(self) -> None:
        """Break it off, so that the peer sees a reset."""
        sock = self._writer.get_extra_info("socket")
        with suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self._writer.transport.abort()
