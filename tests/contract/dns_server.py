"""A DNS server on loopback that can be told to misbehave, with the same port for UDP and TCP."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import dns.flags
import dns.message
import dns.rcode
import dns.rrset

OnDatagram = Callable[[bytes, "Reply"], None]
OnConnection = Callable[[bytes, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

LENGTH_BYTES = 2


class Served:
    """Where the server listens, and what it was asked."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.datagrams: list[bytes] = []
        self.connections = 0


class Reply:
    """Sends messages to the client that asked."""

    def __init__(self, sock: socket.socket, client: tuple[str, int]) -> None:
        self._sock = sock
        self.client = client

    def __call__(self, message: bytes) -> None:
        with suppress(OSError):  # the client is gone
            self._sock.sendto(message, self.client)


def ignore(_query: bytes, _reply: Reply) -> None:
    """Say nothing."""


def answering(*records: str, rcode: int = 0, flags: int = 0) -> OnDatagram:
    """Answer with records as in a zone file: `a.example. 60 IN A 192.0.2.1`."""

    def answer(query: bytes, reply: Reply) -> None:
        reply(response(query, *records, rcode=rcode, flags=flags))

    return answer


def response(query: bytes, *records: str, rcode: int = 0, flags: int = 0) -> bytes:
    """Give the message that answers a query."""
    message = dns.message.make_response(dns.message.from_wire(query))
    message.set_rcode(dns.rcode.Rcode(rcode))
    message.flags |= flags
    for record in records:
        name, seconds, network, kind, value = record.split(maxsplit=4)
        found = message.find_rrset(
            message.answer,
            dns.rrset.from_text(name, 60, network, kind, value).name,
            dns.rdataclass.from_text(network),
            dns.rdatatype.from_text(kind),
            create=True,
        )
        found.update(dns.rrset.from_text(name, int(seconds), network, kind, value))
    return message.to_wire(max_size=65535)


def framed(message: bytes) -> bytes:
    """Give a message with its length before it, as it goes over TCP."""
    return len(message).to_bytes(LENGTH_BYTES) + message


async def _by_connection_too(query: bytes, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(framed(response(query)))
    await writer.drain()


@asynccontextmanager
async def serving_dns(
    on_datagram: OnDatagram, on_connection: OnConnection = _by_connection_too, host: str = "127.0.0.1"
) -> AsyncIterator[Served]:
    """Serve until the block ends; then close everything."""
    loop = asyncio.get_running_loop()
    async with _connections(on_connection, host) as served:
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM) as sock:

            def read() -> None:
                query, client = sock.recvfrom(65535)
                served.datagrams.append(query)
                on_datagram(query, Reply(sock, client))

            sock.setblocking(False)
            sock.bind((host, served.port))
            loop.add_reader(sock, read)
            try:
                yield served
            finally:
                loop.remove_reader(sock)


@asynccontextmanager
async def _connections(on_connection: OnConnection, host: str) -> AsyncIterator[Served]:
    tasks: set[asyncio.Task[None]] = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        served.connections += 1
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        with suppress(OSError, EOFError, asyncio.CancelledError):
            length = int.from_bytes(await reader.readexactly(LENGTH_BYTES))
            await on_connection(await reader.readexactly(length), reader, writer)
        writer.transport.abort()

    server = await asyncio.start_server(handle, host, 0)
    served = Served(server.sockets[0].getsockname()[1])
    try:
        yield served
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
