"""One conversation over one connection: opened to a checked address, ended by its deadline, closed at once.

A conversation is an asyncio protocol with a future for its ending. Whatever happens first (an answer, an
error, the peer's goodbye) ends it; later news is ignored.
"""

import asyncio
import socket
import ssl
import struct
from collections.abc import Callable
from typing import NamedTuple, cast

from typing_extensions import override

from homeostat.core.probing import Reason
from homeostat.probe.address import Guard
from homeostat.probe.ending import Ending, of_error
from homeostat.probe.resolver import Found, Resolver

# Closing resets the connection instead of leaving it in TIME_WAIT for a minute: thousands of probes a second
# would use up ports and connection tracking. It is safe because we close only once the answer has been read.
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)
_TRY_NEXT = frozenset({Reason.CONNECTION_REFUSED, Reason.UNREACHABLE})


class Conversation(asyncio.Protocol):
    """What all conversations share: the transport, the ending, and a close that leaves nothing behind."""

    __slots__ = ("_transport", "ending")

    def __init__(self) -> None:
        self.ending: asyncio.Future[Ending] = asyncio.get_running_loop().create_future()
        self._transport: asyncio.Transport | None = None

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport; closing it will reset the connection."""
        self._transport = cast("asyncio.Transport", transport)
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        """End with what broke the connection, unless it was over before."""
        self._transport = None
        self.end(Reason.CONNECTION_CLOSED if exc is None else of_error(exc))

    def end(self, reason: Reason, code: int = 0) -> None:
        """End the conversation, unless it has ended."""
        if not self.ending.done():
            self.ending.set_result(Ending(reason, code))

    def abandon(self) -> None:
        """Close the connection now, if there is one."""
        if self._transport is not None:
            self._transport.abort()
            self._transport = None


class Peer(NamedTuple):
    """With whom to talk: `address`, if given, is used instead of resolving `host`."""

    host: str
    port: int
    address: str = ""
    tls: ssl.SSLContext | None = None


class Dialer:
    """Holds conversations with peers whose every address the guard allows."""

    def __init__(self, guard: Guard, resolver: Resolver, monotonic: Callable[[], float]) -> None:
        self._guard = guard
        self._resolver = resolver
        self._monotonic = monotonic

    async def hold(self, conversation: Conversation, peer: Peer, deadline: float) -> Ending:
        """Connect, wait for the ending, close; all before `deadline` (monotonic seconds)."""
        found = await self._find(peer, deadline)
        if isinstance(found, Reason):
            return Ending(found)
        try:
            async with asyncio.timeout(deadline - self._monotonic()):
                refusal = await _connect_to_any(conversation, found, peer)
                return await conversation.ending if refusal is None else Ending(refusal)
        except TimeoutError:
            return Ending(Reason.TIMEOUT)
        finally:
            conversation.abandon()

    async def _find(self, peer: Peer, deadline: float) -> Found:
        if not peer.address:
            return await self._resolver.resolve(peer.host, deadline)
        return (peer.address,) if self._guard.allows(peer.address) else Reason.ADDRESS_NOT_ALLOWED


async def _connect_to_any(conversation: Conversation, addresses: tuple[str, ...], peer: Peer) -> Reason | None:
    """Connect to the first address that is not refused or unreachable; give why that could not be done, or None."""
    refusal: Reason | None = Reason.NAME_NOT_RESOLVED
    for address in addresses:
        refusal = await _connect(conversation, address, peer)
        if refusal not in _TRY_NEXT:
            break
    return refusal


async def _connect(conversation: Conversation, address: str, peer: Peer) -> Reason | None:
    """Connect to one address; give why it could not be done, or None."""
    name = peer.host.rstrip(".") if peer.tls else None
    loop = asyncio.get_running_loop()
    try:
        await loop.create_connection(lambda: conversation, address, peer.port, ssl=peer.tls, server_hostname=name)
    except OSError as error:
        return of_error(error)
    return None
