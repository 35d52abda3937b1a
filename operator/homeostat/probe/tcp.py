"""The TCP probe: a connection can be opened. It says nothing and closes at once."""

import asyncio

from typing_extensions import override

from homeostat.core.probing import Reason, TcpRequest
from homeostat.probe.address import is_dialable
from homeostat.probe.connection import Conversation, Dialer, Peer
from homeostat.probe.ending import Ending


class _Knock(Conversation):
    """Ends with Ok as soon as the connection stands."""

    __slots__ = ()

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.end(Reason.OK)


class TcpProbe:
    """Connects once."""

    def __init__(self, dialer: Dialer) -> None:
        self._dialer = dialer

    async def run(self, request: TcpRequest, deadline: float) -> Ending:
        """Give the ending before `deadline` (monotonic seconds)."""
        if not is_dialable(request.host, request.port):
            return Ending(Reason.INVALID_REQUEST)
        return await self._dialer.hold(_Knock(), Peer(request.host, request.port, request.address), deadline)
