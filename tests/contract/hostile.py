"""Servers that misbehave, on loopback: one coroutine a behaviour, each over one accepted connection.

Every behaviour may go on until it is stopped; `serving` stops it. None keeps more than a small chunk in memory.
"""

import asyncio
import gzip
import io
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from functools import cache, wraps
from pathlib import Path
from typing import ParamSpec

import uvloop

P = ParamSpec("P")

Behaviour = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

CHUNK = bytes(64 * 1024)
GIGABYTE = 1 << 30
DRIP_SECONDS = 0.02


def on_uvloop(test: Callable[P, Coroutine[None, None, None]]) -> Callable[P, None]:
    """Run an asynchronous test on the event loop that production has."""

    @wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        uvloop.run(test(*args, **kwargs))

    return run


async def until(condition: Callable[[], bool]) -> None:
    """Let the loop turn until a condition of the system holds; fail after ten seconds."""
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - the kernel's state sends no events
            await asyncio.sleep(0.001)


def open_files() -> int:
    """Count the file descriptors of this process."""
    return len(list(Path("/proc/self/fd").iterdir()))


class Served:
    """Where a hostile server listens, and what it saw."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.connections = 0


@asynccontextmanager
async def serving(
    behaviour: Behaviour, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None
) -> AsyncIterator[Served]:
    """Serve a behaviour on a free port until the block ends; then cut all connections."""
    tasks: set[asyncio.Task[None]] = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        served.connections += 1
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        with suppress(OSError, EOFError, asyncio.CancelledError):
            await behaviour(reader, writer)
        writer.transport.abort()

    server = await asyncio.start_server(handle, host, 0, ssl=tls, limit=4096)
    served = Served(server.sockets[0].getsockname()[1])
    try:
        yield served
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def answer(payload: bytes) -> Behaviour:
    """Build the behaviour that reads a request, sends `payload` and closes."""

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(payload)
        writer.write_eof() if writer.can_write_eof() else None
        await reader.read()

    return behave


def endless(head: bytes, chunk: bytes, *, pause: float = 0.0) -> Behaviour:
    """Build the behaviour that answers with `head` and then `chunk` without end."""

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(head)
        while True:
            writer.write(chunk)
            await writer.drain()
            await asyncio.sleep(pause)

    return behave


async def silent(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    """Accept, and never say a word."""
    await reader.read()
    await asyncio.Event().wait()


async def close_at_once(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    """Accept and close."""


async def gigabyte(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Send a body of one gigabyte, as announced."""
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % GIGABYTE)
    for _ in range(GIGABYTE // len(CHUNK)):
        writer.write(CHUNK)
        await writer.drain()


async def reset_in_body(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Break off a body with a reset."""
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nbeginning")
    await writer.drain()
    await asyncio.sleep(DRIP_SECONDS)
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


@cache
def gzip_bomb() -> bytes:
    """Give 128 KiB that inflate to 128 MiB, compressed piece by piece."""
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb", compresslevel=9) as stream:
        for _ in range(128 * (1 << 20) // len(CHUNK)):
            stream.write(CHUNK)
    return packed.getvalue()


async def bomb(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Send a compressed body that nobody asked for."""
    payload = gzip_bomb()
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(payload)
    await answer(head + payload)(reader, writer)


OK_HEAD = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK_HEAD + b"Transfer-Encoding: chunked\r\n\r\n"

slow_loris_header = endless(OK_HEAD + b"X-Slow: ", b"a", pause=DRIP_SECONDS)
slow_loris_body = endless(OK_HEAD + b"Content-Length: 100000\r\n\r\n", b"a", pause=DRIP_SECONDS)
endless_body = endless(OK_HEAD + b"\r\n", CHUNK)
endless_chunks = endless(CHUNKED, b"10000\r\n" + CHUNK + b"\r\n")
endless_chunk_extension = endless(CHUNKED + b"5;", b"a=b;" * 1024)
endless_trailers = endless(CHUNKED + b"5\r\nhello\r\n0\r\n", b"X-Trailer: t\r\n" * 256)
endless_garbage = endless(b"", b"\x16\x03\x00\xff" * 1024)
huge_header = endless(OK_HEAD + b"X-Huge: ", b"h" * 65536)
million_headers = endless(OK_HEAD, b"X-Many: 1\r\n" * 4096)
continue_flood = endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 256)
continue_drip = endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n", pause=DRIP_SECONDS / 4)
