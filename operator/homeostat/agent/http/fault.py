"""The HTTP fault: connections to the pod's port come to a relay in the agent, which meets some of their requests.

New connections from outside of the pod are redirected by a rule of an nftables table that is ours as long as we live,
and that matches only while beats renew its set. Those that were open before are reset, so that clients which keep
them open come by the relay too. Connections from inside the pod are left alone: the relay's own are such, and so are a
sidecar's. The program sees the pod's own address as its client's; nothing is added to a request, no X-Forwarded-For
either. When the fault ends, the connections that the relay carries are cut.
"""

import asyncio
import random
import socket

from typing_extensions import override

from homeostat.agent.fault import Fault, Refused
from homeostat.agent.http.ends import End
from homeostat.agent.http.relay import Connection, Meeting, Tally
from homeostat.agent.http.sockets import destroy, open_to, original_destination
from homeostat.agent.nft import Nft, NftError, table_name, table_remains
from homeostat.agent.settings import seconds_of, share_of
from homeostat.agent.surroundings import need_net_admin, need_no_foreigners
from homeostat.core.orders import Order, RefusalReason

_BACKLOG = 1024
_FIRST_FINAL, _LAST = 200, 599
_ANY_PORT = 1


class HttpFault(Fault):
    """Answer requests with our status, or late. settings: `port`, `status` or `delay`, `percent` (all if absent)."""

    def __init__(self, order: Order) -> None:
        super().__init__(order)
        self.port = int(self.settings["port"])
        status = self.settings.get("status")
        delay = self.settings.get("delay")
        if (status is None) == (delay is None):
            raise ValueError("one of status and delay is needed")
        if status is not None and not _FIRST_FINAL <= status <= _LAST:
            raise ValueError(f"{status} is not the status of an answer")
        self._meeting = Meeting(status, 0.0 if delay is None else seconds_of(delay))
        self._share = share_of(self.settings.get("percent", "100%"))
        self._tally = Tally()
        self._table = table_name(order)
        self._nft: Nft | None = None
        self._listener: socket.socket | None = None

    @override
    def check(self) -> None:
        need_net_admin()
        need_no_foreigners()
        self._nft = Nft()
        complaint = self._nft.check(redirect(self._table, self.port, _ANY_PORT))
        if complaint:
            raise Refused(RefusalReason.NO_MECHANISM, f"no redirect: {complaint}")
        self.mechanism = "HTTP relay behind an nftables redirect"

    @override
    def begin(self) -> None:
        need_no_foreigners()
        nft = self._made()
        self._listener = _listener()
        try:
            nft.run(redirect(self._table, self.port, self._listener.getsockname()[1]))
        except NftError as error:
            raise Refused(RefusalReason.NO_MECHANISM, f"no redirect: {error}") from error
        self.renew(self.order.beat_seconds * self.order.misses)
        for connection in open_to(self.port):
            if not connection.is_from_inside:
                destroy(connection)

    @override
    def renew(self, seconds: float) -> None:
        self._made().run(renewal(self._table, seconds))

    @override
    async def run(self) -> None:
        server = await asyncio.start_server(self._serve, sock=self._listener)
        await server.serve_forever()

    @override
    def counters(self) -> dict[str, int]:
        return {"requests": self._tally.requests, "hit": self._tally.hit, "unread": self._tally.unread}

    @override
    def remains(self) -> list[str]:
        return table_remains(self.order)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        client = End(reader, writer)
        target = original_destination(writer.get_extra_info("socket"))
        if target is None or target[1] != self.port:  # nobody has business with the relay's own port
            client.reset()
            return
        try:
            server = End(*await asyncio.open_connection(*target))
        except OSError:
            client.reset()
            return
        await Connection(client, server, self._meet, self._tally).carry()

    def _meet(self) -> Meeting | None:
        return self._meeting if random.random() < self._share else None  # noqa: S311 - chance, not a secret

    def _made(self) -> Nft:
        if self._nft is None:
            self._nft = Nft()
        return self._nft


def redirect(table: str, port: int, to: int) -> str:
    """Write the table that sends new connections for `port` to the port `to`, while its set has something in it."""
    return f"""
        add table inet {table} {{ flags owner; }}
        add set inet {table} on {{ typeof meta nfproto; flags timeout; }}
        add chain inet {table} arriving {{ type nat hook prerouting priority dstnat; policy accept; }}
        add rule inet {table} arriving iifname != "lo" tcp dport {port} meta nfproto @on redirect to :{to}
    """


def renewal(table: str, seconds: float) -> str:
    """Write what keeps the redirect on for `seconds` from now: to add what is there would not renew it."""
    span = f"timeout {max(1, round(seconds * 1000))}ms"
    return f"flush set inet {table} on\nadd element inet {table} on {{ ipv4 {span}, ipv6 {span} }}"


def _listener() -> socket.socket:
    """Listen on a port of the kernel's choice, by IPv4 and where there is any by IPv6.

    What is accepted inherits TCP_NODELAY: a head and a body that come apart must not wait for each other.
    """
    is_dual = socket.has_dualstack_ipv6()
    family = socket.AF_INET6 if is_dual else socket.AF_INET
    sock = socket.create_server(("", 0), family=family, backlog=_BACKLOG, dualstack_ipv6=is_dual)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock
