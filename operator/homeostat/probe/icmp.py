"""The ICMP probe: an echo request that must be answered, by a ping socket, which needs no privilege.

The kernel gives each ping socket an identifier of its own and hands it only the replies to that; it allows such
sockets to the groups in `net.ipv4.ping_group_range`.
"""

import secrets
import socket
import struct
from collections.abc import Callable
from ipaddress import IPv6Address
from typing import Final

from homeostat.core.probing.request import IcmpRequest
from homeostat.core.probing.result import Phases, Reason
from homeostat.probe.ending import Ending
from homeostat.probe.net.address import is_dialable
from homeostat.probe.net.datagram import Letter, MakeSocket, ask, connected
from homeostat.probe.net.resolver import Resolver

_HEADER: Final = struct.Struct("!BBHHH")  # type, code, checksum and identifier (the kernel's), sequence
_REQUEST_V4, _REPLY_V4 = 8, 0
_REQUEST_V6, _REPLY_V6 = 128, 129
_SEQUENCE: Final = 1
_TOKEN_BYTES: Final = 16
_ANY_PORT: Final = 1  # the kernel needs one to connect to, and sends it nowhere


class IcmpProbe:
    """Asks for one echo."""

    def __init__(
        self, resolver: Resolver, monotonic: Callable[[], float], make_socket: MakeSocket = socket.socket
    ) -> None:
        self._resolver = resolver
        self._monotonic = monotonic
        self._make_socket = make_socket

    async def run(self, request: IcmpRequest, deadline: float) -> Ending:
        """Give the ending before `deadline` (monotonic seconds)."""
        if not is_dialable(request.host, _ANY_PORT):
            return Ending(Reason.INVALID_REQUEST)
        started = self._monotonic()
        found = await self._resolver.resolve(request.host, deadline)
        if isinstance(found, Reason):
            return Ending(found)
        resolved = self._monotonic()
        reason = await self._echo(tuple(map(_plain, found)), deadline - resolved)
        return Ending(reason, phases=Phases(resolve=resolved - started, first_byte=self._monotonic() - resolved))

    async def _echo(self, addresses: tuple[str, ...], seconds: float) -> Reason:
        token = secrets.token_bytes(_TOKEN_BYTES)
        letter = Letter(self._open, lambda address: _request(address, token), lambda data: _is_reply(data, token))
        heard = await ask(letter, addresses, seconds, seconds)
        return heard if isinstance(heard, Reason) else Reason.OK

    def _open(self, address: str) -> socket.socket | Reason:
        protocol = socket.IPPROTO_ICMPV6 if ":" in address else socket.IPPROTO_ICMP
        return connected(socket.SOCK_DGRAM, protocol, address, _ANY_PORT, self._make_socket)


def _plain(address: str) -> str:
    """Give the IPv4 address that an IPv6 one stands for: ICMP has no sockets for both."""
    mapped = IPv6Address(address).ipv4_mapped if ":" in address else None
    return address if mapped is None else str(mapped)


def _request(address: str, token: bytes) -> bytes:
    return _HEADER.pack(_REQUEST_V6 if ":" in address else _REQUEST_V4, 0, 0, 0, _SEQUENCE) + token


def _is_reply(data: bytes, token: bytes) -> bool:
    """Say whether `data` is the echo of `token`."""
    if len(data) != _HEADER.size + len(token):
        return False
    kind, code, _, _, sequence = _HEADER.unpack_from(data)
    return kind in {_REPLY_V4, _REPLY_V6} and code == 0 and sequence == _SEQUENCE and data.endswith(token)
