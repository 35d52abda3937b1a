"""What runs in the pod whose faults are measured, as `python3 -c` of the operator's image; the standard library alone.

UDP 9000 echoes; TCP 9001 streams for as long as it is read; TCP 9002 answers a word with a word; HTTP 8080 answers `/`,
and `/resolve?NAME` with the seconds that resolving the name took, or null when there is no such name.
"""

import asyncio
import contextlib
import json
import socket
import time
from asyncio import StreamReader, StreamWriter
from typing import cast

BLOCK = bytes(2**16)
BUFFER = 2**23


class Echo(asyncio.DatagramProtocol):
    """Sends back what it gets."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep what to send with."""
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: object) -> None:
        """Send it back."""
        self._transport.sendto(data, addr)


async def stream(_reader: StreamReader, writer: StreamWriter) -> None:
    """Send until the other side has enough."""
    try:
        while True:
            writer.write(BLOCK)
            await writer.drain()
    except OSError:
        writer.close()


async def word(reader: StreamReader, writer: StreamWriter) -> None:
    """Answer once."""
    with contextlib.suppress(OSError, EOFError):
        writer.write(await reader.readexactly(1))
        await writer.drain()
    writer.close()


def resolve(name: str) -> float | None:
    """Resolve once, as any program does."""
    began = time.monotonic()
    try:
        socket.getaddrinfo(name, 80, type=socket.SOCK_STREAM)
    except OSError:
        return None
    return time.monotonic() - began


async def http(reader: StreamReader, writer: StreamWriter) -> None:
    """Answer requests until the connection is closed."""
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            path = head.split(b" ")[1].decode()
            found = await asyncio.to_thread(resolve, path.partition("?")[2]) if path.startswith("/resolve") else "ok"
            body = json.dumps(found).encode()
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
            await writer.drain()
    except (OSError, EOFError):
        writer.close()


async def main() -> None:
    """Serve for ever."""
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
    udp.bind(("0.0.0.0", 9000))
    await asyncio.get_running_loop().create_datagram_endpoint(Echo, sock=udp)
    for port, serve in ((9001, stream), (9002, word), (8080, http)):
        await asyncio.start_server(serve, "0.0.0.0", port, backlog=1024)
    await asyncio.Event().wait()


asyncio.run(main())
