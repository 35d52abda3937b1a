"""Servers that misbehave, on loopback: one coroutine a behaviour, each over one accepted connection.

Every behaviour may go on until it is stopped; `serving` stops it. None keeps more than a small chunk in memory.
"""

import asyncio
import base64
import gzip
import io
import os
import re
import resource
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from contextvars import ContextVar
from functools import cache, wraps
from pathlib import Path
from typing import ParamSpec

import uvloop
from typing_extensions import override

P = ParamSpec("P")

Behaviour = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

_heard: ContextVar[list[bytes]] = ContextVar("heard")

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
        self.heard: list[bytes] = []
        """The requests that `hearing` heard, heads and bodies as they came."""


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
        _heard.set(served.heard)
        with suppress(OSError, EOFError, RuntimeError, asyncio.CancelledError):  # uvloop: "the handler is closed"
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


def hearing(*payloads: bytes) -> Behaviour:
    """Build the behaviour that answers each request with the next payload, the last one again and again."""

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard = _heard.get()
        while True:
            request = await reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"(?i)\r\ncontent-length: (\d+)\r\n", request)
            body = await reader.readexactly(int(length.group(1))) if length else b""
            heard.append(request + body)
            writer.write(payloads[min(len(heard), len(payloads)) - 1])

    return behave


def encrypted(context: ssl.SSLContext, payload: bytes) -> Behaviour:
    """Build the behaviour that answers over TLS, and says why when it does not: the event loop's own just hangs up."""

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        arrived, leaving = ssl.MemoryBIO(), ssl.MemoryBIO()
        server = context.wrap_bio(arrived, leaving, server_side=True)

        async def step(act: Callable[[], object]) -> None:
            while True:
                try:
                    act()
                except ssl.SSLWantReadError:
                    writer.write(leaving.read())
                    arrived.write(await reader.read(65536))
                else:
                    return
                finally:
                    writer.write(leaving.read())

        with suppress(ssl.SSLError):
            await step(server.do_handshake)
            await step(lambda: server.read(65536))
            server.write(payload)
            writer.write(leaving.read())
        writer.close()
        await writer.wait_closed()

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


async def reset_at_once(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Accept and reset."""
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


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


# 128 MiB of zeros, packed by brotli.
_BROTLI_BOMB = (
    "z///fwAkAOKxQHLv//n//w+ABEAcFoDu/T////8BkACIwwLQvf/n//8/ABIAcVgAuvf//P//B0ACIA4LQPf+n////wBIAMRhAeje//P//x8ACYA4LADd"
    "+//8//8HIAEQhwWge/8P"
)
_ZSTD_BLOCK = 128 * 1024


@cache
def gzip_bomb() -> bytes:
    """Give 128 KiB that inflate to 128 MiB, compressed piece by piece."""
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb", compresslevel=9) as stream:
        for _ in range(128 * (1 << 20) // len(CHUNK)):
            stream.write(CHUNK)
    return packed.getvalue()


def brotli_bomb() -> bytes:
    """Give 102 bytes that inflate to 128 MiB."""
    return base64.b64decode(_BROTLI_BOMB)


def zstd_bomb() -> bytes:
    """Give 4 KiB that inflate to 128 MiB: a frame of blocks that say "one zero, 131072 times" (RFC 8878)."""
    blocks = (1 << 27) // _ZSTD_BLOCK
    heads = (_ZSTD_BLOCK << 3 | 1 << 1 | (number == blocks - 1) for number in range(blocks))
    return bytes.fromhex("28b52ffd0058") + b"".join(head.to_bytes(3, "little") + b"\0" for head in heads)


def packed(pack: Callable[[], bytes], header: str) -> Behaviour:
    """Build the behaviour that sends a compressed body that nobody asked for."""

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        payload = pack()
        head = f"HTTP/1.1 200 OK\r\n{header}\r\n"
        if "chunked" in header:
            payload = b"%x\r\n%b\r\n0\r\n\r\n" % (len(payload), payload)
        else:
            head += f"Content-Length: {len(payload)}\r\n"
        await answer(head.encode() + b"\r\n" + payload)(reader, writer)

    return behave


def repeated(head: bytes, piece: bytes, size: int, tail: bytes) -> Behaviour:
    """Build the behaviour that sends `head`, `size` bytes of `piece` after `piece`, and `tail`."""
    chunk = piece * (len(CHUNK) // len(piece))

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(head)
        for _ in range(size // len(chunk)):
            writer.write(chunk)
            await writer.drain()
        writer.write(tail)
        await reader.read()

    return behave


class Wire(asyncio.Transport):
    """A transport that goes nowhere."""

    def __init__(self) -> None:
        super().__init__({"socket": self})

    def setsockopt(self, *_: object) -> None:
        pass

    @override
    def write(self, data: object) -> None:
        pass

    @override
    def is_closing(self) -> bool:
        return False

    @override
    def abort(self) -> None:
        pass


@contextmanager
def no_descriptor_left() -> Iterator[None]:
    """Allow no further file to be opened."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    highest = max(int(path.name) for path in Path("/proc/self/fd").iterdir())
    held: list[int] = []
    resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 1, hard))
    try:
        with suppress(OSError):
            while True:
                held.append(os.dup(0))
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for number in held:
            os.close(number)


@contextmanager
def black_hole() -> Iterator[int]:
    """Listen with a full queue, so that the kernel drops what else wants to connect; give the port."""
    with socket.socket() as listener, socket.socket() as first, socket.socket() as second:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for sock in (first, second):
            sock.setblocking(False)
            sock.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]


bomb = packed(gzip_bomb, "Content-Encoding: gzip")
OK_HEAD = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK_HEAD + b"Transfer-Encoding: chunked\r\n\r\n"

slow_loris_header = endless(OK_HEAD + b"X-Slow: ", b"a", pause=DRIP_SECONDS)
slow_loris_body = endless(OK_HEAD + b"Content-Length: 100000\r\n\r\n", b"a", pause=DRIP_SECONDS)
endless_body = endless(OK_HEAD + b"\r\n", CHUNK)
endless_chunks = endless(CHUNKED, b"10000\r\n" + CHUNK + b"\r\n")
endless_chunk_extension = endless(CHUNKED + b"5;", b"a=b;" * 1024)
endless_trailers = endless(CHUNKED + b"5\r\nhello\r\n0\r\n", b"X-Trailer: t\r\n" * 256)
endless_garbage = endless(b"", b"\x16\x03\x00\xff" * 1024)
big_header = repeated(OK_HEAD + b"X-Big: ", b"b", 1 << 20, b"\r\nContent-Length: 0\r\n\r\n")
huge_header = repeated(OK_HEAD + b"X-Huge: ", b"h", 50 << 20, b"\r\nContent-Length: 0\r\n\r\n")
endless_header = endless(OK_HEAD + b"X-Endless: ", b"e" * 65536)
million_headers = repeated(OK_HEAD, b"X-M: 1\r\n", 8 * 1_000_000, b"Content-Length: 0\r\n\r\n")
continue_flood = endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 256)
continue_drip = endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n", pause=DRIP_SECONDS / 4)
