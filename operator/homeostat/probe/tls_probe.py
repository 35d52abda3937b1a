"""The TLS probe: a handshake, and a certificate that stays valid for a while.

In TLS 1.3 a client is done before the server has looked at its certificate. So we say goodbye, and wait for what the
server says to that: a refusal, if it has one; anything else means that it took us.
"""

import asyncio
from collections.abc import Callable

from typing_extensions import override

from homeostat.core.probing.request import TlsRequest
from homeostat.core.probing.result import Reason
from homeostat.probe.ending import Ending
from homeostat.probe.net.address import is_dialable
from homeostat.probe.net.connection import Conversation, Dialer, Peer
from homeostat.probe.net.tls import Contexts

# A server that has no objection and says nothing to a goodbye either is not waited for any longer.
_PATIENCE_SECONDS = 1.0


class TlsProbe:
    """Shakes hands once. `wall` gives epoch seconds."""

    def __init__(self, dialer: Dialer, contexts: Contexts, wall: Callable[[], float]) -> None:
        self._dialer = dialer
        self._contexts = contexts
        self._wall = wall

    async def run(self, request: TlsRequest, deadline: float) -> Ending:
        """Give the ending before `deadline` (monotonic seconds)."""
        if not is_dialable(request.host, request.port):
            return Ending(Reason.INVALID_REQUEST)
        context = self._contexts.context(request.tls)
        if isinstance(context, Reason):
            return Ending(context)
        handshake = _Handshake()
        peer = Peer(request.host, request.port, request.address, context, request.tls.server_name)
        ending = await self._dialer.hold(handshake, peer, deadline)
        if ending.reason is Reason.TIMEOUT and handshake.is_open:  # while we waited for an objection
            ending = ending._replace(reason=Reason.OK)
        if ending.reason is not Reason.OK:
            return ending
        if ending.phases is not None:  # a server need not hurry to say nothing: its handshake is what it is judged by
            ending = ending._replace(phases=ending.phases._replace(first_byte=0.0, transfer=0.0))
        if 0 < ending.not_after < self._wall() + request.min_validity:
            return ending._replace(reason=Reason.CERTIFICATE_EXPIRES_SOON)
        return ending


class _Handshake(Conversation):
    """Ends with OK once the server has taken us."""

    __slots__ = ("_patience",)

    def __init__(self) -> None:
        super().__init__()
        self._patience: asyncio.TimerHandle | None = None

    @override
    def begin(self) -> None:
        """Wait for an objection, if there may still be one."""
        if not self.may_be_refused:
            self.end(Reason.OK)
            return
        self._patience = asyncio.get_running_loop().call_later(_PATIENCE_SECONDS, self.end, Reason.OK)
        self.say_goodbye()

    @override
    def data_received(self, data: bytes) -> None:
        """Take whatever the server says after the handshake, unless it is an objection, for its consent."""
        was_open = self.is_open
        super().data_received(data)
        if was_open:
            self.end(Reason.OK)

    @override
    def finish(self) -> None:
        """Take the server's goodbye for its consent."""
        self.end(Reason.OK)

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        """Take a reset after the handshake for a goodbye: an objection would have been said before."""
        if self.is_open:
            self.end(Reason.OK)
        super().connection_lost(exc)

    @override
    def abandon(self) -> None:
        """Close, and stop waiting."""
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None
        super().abandon()
