"""One conversation over one connection: opened to a checked address, ended by its deadline, closed at once.

A conversation is an asyncio protocol with a future for its ending. Whatever happens first (an answer, an
error, the peer's goodbye) ends it; later news is ignored. TLS is spoken here (`tls_session`), so that a kind of
conversation only sees plain bytes: it overrides `begin`, `take` and, if the peer's goodbye means something,
`finish`; it calls `write` and `end`. A connection is kept for the next conversation only if the peer asks for it
(`is_kept`) and the conversation says that nothing is left on it (`can_go_on`).
"""

import asyncio
import socket
import ssl
import struct
import time
from collections.abc import Callable
from typing import ClassVar, NamedTuple, cast

from typing_extensions import override

from homeostat.core.probing.result import Phases, Reason
from homeostat.probe.ending import Ending, of_error
from homeostat.probe.net.address import Guard
from homeostat.probe.net.deadlines import Deadlines
from homeostat.probe.net.idle import IdleLines, Line
from homeostat.probe.net.resolver import Resolver
from homeostat.probe.net.tls_session import Session

# Closing resets the connection instead of leaving it in TIME_WAIT for a minute: thousands of probes a second
# would use up ports and connection tracking. It is safe because we close only once the answer has been read.
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)
_TRY_NEXT = frozenset({Reason.CONNECTION_REFUSED, Reason.UNREACHABLE})
_GONE = frozenset({Reason.CONNECTION_CLOSED, Reason.CONNECTION_RESET})


class Conversation(asyncio.Protocol):
    """What all conversations share: the connection, its phases, the ending, and a close that leaves nothing behind."""

    __slots__ = (
        "_connected",
        "_ended",
        "_first",
        "_found",
        "_is_resumed",
        "_monotonic",
        "_not_after",
        "_opened",
        "_session",
        "_since",
        "_started",
        "_transport",
        "can_go_on",
        "ending",
    )

    protocol: ClassVar[str] = ""
    """What ALPN must agree on when TLS is spoken, such as `h2`; "" for whatever it agrees on."""

    def __init__(self) -> None:
        self.ending: asyncio.Future[Ending] = asyncio.get_running_loop().create_future()
        self.can_go_on = False
        self._transport: asyncio.Transport | None = None
        self._session: Session | None = None
        self._is_resumed = False
        self._monotonic: Callable[[], float] = time.monotonic
        self._not_after = 0.0
        # When each phase was over (monotonic seconds); 0.0 while it is not.
        self._started = self._found = self._connected = self._opened = self._first = self._ended = 0.0
        self._since = 0.0

    # What kinds of conversation override and call.

    def begin(self) -> None:
        """Say the first word: the connection stands, TLS included."""

    def take(self, data: bytes) -> None:
        """Take what the peer said."""

    def finish(self) -> None:
        """Take the peer's goodbye: it will say no more."""
        self.end(Reason.CONNECTION_CLOSED)

    def write(self, data: bytes) -> None:
        """Send `data`, unless the connection is gone."""
        session = self._session
        if session is None:
            self._send(data)
            return
        try:
            self._send(session.encrypt(data))
        except ssl.SSLError as error:
            self.end(session.reason_of(error))

    def say_goodbye(self) -> None:
        """Tell the peer, over TLS, that we will say no more."""
        if self._session is not None:
            self._send(self._session.goodbye())

    @property
    def is_open(self) -> bool:
        """Whether the connection stood, TLS included, at some time."""
        return self._opened > 0

    @property
    def may_be_refused(self) -> bool:
        """Whether the server may still refuse us although we think the handshake is over (TLS 1.3)."""
        return self._session is not None and self._session.says_refusal_late()

    def end(self, reason: Reason, code: int = 0) -> None:
        """End the conversation, unless it has ended."""
        if not self.ending.done():
            self._ended = self._monotonic()
            self.ending.set_result(Ending(reason, code))

    # What the dialer calls.

    def prepare(self, monotonic: Callable[[], float], started: float) -> None:
        """Get ready to connect, the address having been found; `started` is when that was begun (monotonic)."""
        self._monotonic = monotonic
        self._started = started
        self._found = monotonic()

    def speak_tls(self, session: Session) -> None:
        """Encrypt what is said on the connection that is going to be made."""
        self._session = session

    def resume(self, line: Line) -> None:
        """Begin on a connection that stands."""
        self._is_resumed = True
        self._transport, self._session, self._not_after, self._since = line
        self._connected = self._opened = self._found
        if self._session is not None:
            self._session.start_over()
        self._transport.set_protocol(self)
        self.begin()

    def let_go(self) -> Line | None:
        """Give away the connection for another conversation, if it is as good as new."""
        transport, session = self._transport, self._session
        if not self.can_go_on or transport is None or transport.is_closing() or transport.get_write_buffer_size():
            return None
        if session is not None and not session.is_at_rest():
            return None
        self._transport = None
        return Line(transport, session, self._not_after, self._since)

    def abandon(self) -> None:
        """Close the connection now, if there is one."""
        self._session = None
        if self._transport is not None:
            self._transport.abort()
            self._transport = None

    def sum_up(self, ending: Ending) -> Ending:
        """Give `ending` with the phases and what TLS showed."""
        return Ending(ending.reason, ending.code, self._phases(), self._not_after)

    def was_stale(self) -> bool:
        """Say whether the connection was a kept one, which the peer closed before it said anything."""
        if not self._is_resumed or self._first or not self.ending.done() or self.ending.cancelled():
            return False
        return self.ending.result().reason in _GONE

    # What the event loop calls.

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport, whose closing will reset the connection; then open TLS or begin."""
        self._connected = self._monotonic()
        self._transport = cast("asyncio.Transport", transport)
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        if self._session is None:
            self._opened = self._since = self._connected
            self.begin()
        else:
            self._hear_encrypted(self._session, b"")

    @override
    def data_received(self, data: bytes) -> None:
        """Hand on what arrived."""
        if self._session is None:
            self._hear(data)
        else:
            self._hear_encrypted(self._session, data)

    @override
    def eof_received(self) -> None:
        """Hand on the peer's goodbye."""
        if self.ending.done():
            self.can_go_on = False
        elif self._opened:
            self.finish()
        else:  # in the handshake
            self.end(Reason.CONNECTION_CLOSED)

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        """End with what broke the connection, unless it was over before."""
        self._transport = None
        self.end(Reason.CONNECTION_CLOSED if exc is None else of_error(exc))

    def _hear(self, data: bytes) -> None:
        if self.ending.done():
            self.can_go_on = False
            return
        if not self._first:
            self._first = self._monotonic()
        self.take(data)

    def _hear_encrypted(self, session: Session, data: bytes) -> None:
        try:
            session.feed(data)
            if session.is_open:
                self._decrypt(session)
        except ssl.SSLError as error:
            self.can_go_on = False
            self.end(session.reason_of(error))
        finally:
            self._flush(session)

    def _decrypt(self, session: Session) -> None:
        if not self._opened:
            self._flush(session)
            self._open(session)
        for piece in session.pieces():
            if piece:
                self._hear(piece)
            else:
                self.eof_received()
            if self.ending.done() and not self.can_go_on:
                return

    def _open(self, session: Session) -> None:
        self._opened = self._since = self._monotonic()
        self._not_after = session.not_after()
        if self.protocol and session.agreed_protocol() != self.protocol:
            self.end(Reason.PROTOCOL_ERROR)
        else:
            self.begin()

    def _flush(self, session: Session) -> None:
        leaving = session.leaving()
        if leaving:
            self._send(leaving)

    def _send(self, data: bytes) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        try:
            self._transport.write(data)
        except RuntimeError:  # uvloop closed it under us, because the wait for the connection was given up
            self._transport = None

    def _phases(self) -> Phases | None:
        """Give the phases; the one that was not over when we ended gets what was left."""
        connected = self._connected
        if not connected:
            return None
        ended = self._ended or self._monotonic()
        opened = self._opened or ended
        first = self._first or ended
        found = self._found
        return Phases(found - self._started, connected - found, opened - connected, first - opened, ended - first)


class Peer(NamedTuple):
    """With whom to talk: `address`, if given, is used instead of resolving `host`.

    `server_name` is asked for and verified over TLS; "" means the host. `is_kept`: a connection that was kept is
    used, and kept again.
    """

    host: str
    port: int
    address: str = ""
    tls: ssl.SSLContext | None = None
    server_name: str = ""
    is_kept: bool = False


class Dialer:
    """Holds conversations with peers whose every address the guard allows. Call `close` once at the end."""

    def __init__(self, guard: Guard, resolver: Resolver, monotonic: Callable[[], float]) -> None:
        self._guard = guard
        self._resolver = resolver
        self._monotonic = monotonic
        self._idle = IdleLines(monotonic)
        self._deadlines = Deadlines(monotonic)

    async def hold(self, conversation: Conversation, peer: Peer, deadline: float, *, is_fresh: bool = False) -> Ending:
        """Connect, wait for the ending, close; all before `deadline` (monotonic seconds).

        The ending has the phases (None when nothing was connected) and the expiry of a verified certificate.
        `is_fresh`: on a new connection, whatever was kept.
        """
        if conversation.ending.done():  # it knew that it had nothing to say
            return conversation.ending.result()
        started = self._monotonic()
        peers = self._pinned(peer) if peer.address else await self._find(peer, deadline)
        if isinstance(peers, Reason):
            return Ending(peers)
        conversation.prepare(self._monotonic, started)
        return conversation.sum_up(await self._converse_until(deadline, conversation, peers, is_fresh=is_fresh))

    def close(self) -> None:
        """Close the connections that were kept."""
        self._idle.close()

    def _pinned(self, peer: Peer) -> tuple[Peer, ...] | Reason:
        return (peer,) if self._guard.allows(peer.address) else Reason.ADDRESS_NOT_ALLOWED

    async def _find(self, peer: Peer, deadline: float) -> tuple[Peer, ...] | Reason:
        """Give the peer with each address that may be tried, in order; or why there is none."""
        found = await self._resolver.resolve(peer.host, deadline)
        return found if isinstance(found, Reason) else tuple(peer._replace(address=address) for address in found)

    async def _converse_until(
        self, deadline: float, conversation: Conversation, peers: tuple[Peer, ...], *, is_fresh: bool
    ) -> Ending:
        watch = self._deadlines.watch(deadline)
        try:
            kept = None if is_fresh else self._resume(conversation, peers)
            chosen = kept or await _connect_to_any(conversation, peers)
            if isinstance(chosen, Reason):
                return Ending(chosen)
            ending = await conversation.ending
            if chosen.is_kept and (line := conversation.let_go()) is not None:
                self._idle.keep(chosen, line)
        except asyncio.CancelledError:
            if not watch.close():
                raise
            return Ending(Reason.TIMEOUT)
        else:
            return ending
        finally:
            watch.close()
            conversation.abandon()

    def _resume(self, conversation: Conversation, peers: tuple[Peer, ...]) -> Peer | None:
        for peer in peers:
            line = self._idle.take(peer) if peer.is_kept else None
            if line is not None:
                conversation.resume(line)
                return peer
        return None


async def _connect_to_any(conversation: Conversation, peers: tuple[Peer, ...]) -> Peer | Reason:
    """Connect to the first peer that is not refused or unreachable; give it, or why that could not be done."""
    refusal: Reason | None = Reason.NAME_NOT_RESOLVED
    for peer in peers:
        refusal = await _connect(conversation, peer)
        if refusal is None:
            return peer
        if refusal not in _TRY_NEXT:
            break
    return refusal or Reason.NAME_NOT_RESOLVED


async def _connect(conversation: Conversation, peer: Peer) -> Reason | None:
    """Connect; give why it could not be done, or None."""
    try:
        if peer.tls is not None:
            conversation.speak_tls(Session(peer.tls, (peer.server_name or peer.host).rstrip(".")))
        await asyncio.get_running_loop().create_connection(lambda: conversation, peer.address, peer.port)
    except ValueError:  # a name that TLS cannot ask for
        return Reason.INVALID_REQUEST
    except OSError as error:
        return of_error(error)
    return None
