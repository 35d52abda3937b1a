"""A relay on loopback before a program that does what a test says: the HTTP fault without the kernel's part."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from homeostat.agent.http.ends import End
from homeostat.agent.http.relay import Connection, Meeting, Tally

Program = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
PATIENCE = 10.0


@dataclass
class Relay:
    """A running relay: its port, the program's, and what it counted."""

    port: int
    program_port: int
    tally: Tally = field(default_factory=Tally)
    connections: set[asyncio.Task[None]] = field(default_factory=set)


@asynccontextmanager
async def relaying(program: Program, meet: Callable[[], Meeting | None] = lambda: None) -> AsyncIterator[Relay]:
    """Run a program and a relay before it."""
    behind = await asyncio.start_server(program, "127.0.0.1", 0)
    relay = Relay(0, behind.sockets[0].getsockname()[1])

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        relay.connections.add(task)
        server = End(*await asyncio.open_connection("127.0.0.1", relay.program_port))
        await Connection(End(reader, writer), server, meet, relay.tally).carry()

    before = await asyncio.start_server(serve, "127.0.0.1", 0)
    relay.port = before.sockets[0].getsockname()[1]
    try:
        async with asyncio.timeout(PATIENCE):
            yield relay
    finally:
        before.close()
        behind.close()
        for task in relay.connections:
            task.cancel()
        await asyncio.wait(relay.connections) if relay.connections else None


async def exchange(port: int, sent: bytes, *, ends: bool = True) -> bytes:
    """Send bytes, tell that none follow, and read until the end."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(sent)
        if ends:
            writer.write_eof()
        return await reader.read()
    finally:
        writer.close()


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Be a program that sends back what it gets, until the end."""
    while piece := await reader.read(65536):
        writer.write(piece)
        await writer.drain()
    writer.close()


def saying(*answers: bytes, heard: bytearray | None = None) -> Program:
    """Be a program that answers head after head with these answers, reading bodies by their Content-Length."""

    async def program(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            for answer in answers:
                head = await reader.readuntil(b"\r\n\r\n")
                length = next((int(line[15:]) for line in head.split(b"\r\n") if line[:15] == b"Content-Length:"), 0)
                body = await reader.readexactly(length)
                if heard is not None:
                    heard.extend(head + body)
                writer.write(answer)
                await writer.drain()
            rest = await reader.read()
            if heard is not None:
                heard.extend(rest)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    return program
