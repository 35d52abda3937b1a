"""Packets of this pod that were taken off the kernel, and are sent again by us, later and as they were.

A packet that only waits in the kernel stays on its socket's account, and TCP keeps about two of them below a socket: a
delay would cost far more of the throughput than the same delay of a network. One that we have taken is off that
account. What we send carries a mark, by which the rules let it pass.
"""

import socket
from contextlib import suppress
from typing import Final

MARK: Final = 0x686F6D65
_SO_MARK: Final = 36
_IPV6_HDRINCL: Final = 36
_SEND_BYTES: Final = 4 << 20
_SO_SNDBUFFORCE: Final = 32
_SMALLEST_MTU: Final = 1280


def fits(packet: bytes) -> bool:
    """Say whether a packet surely fits into what the network carries: what we send is not cut into fragments."""
    protocol = packet[9] if packet[0] >> 4 == 4 else packet[6]  # noqa: PLR2004
    return protocol == socket.IPPROTO_TCP or len(packet) <= _SMALLEST_MTU


class Resender:
    """Sends whole IP packets; needs NET_RAW. Raises OSError when it may not."""

    def __init__(self) -> None:
        self._ipv4 = _raw(socket.AF_INET)
        self._ipv4.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        self._ipv6 = _raw(socket.AF_INET6)
        self._ipv6.setsockopt(socket.IPPROTO_IPV6, _IPV6_HDRINCL, 1)

    def send(self, packet: bytes, interface: int) -> None:
        """Send a packet to where it was going; one that cannot be sent is lost, as in any network."""
        with suppress(OSError):
            if packet[0] >> 4 == 4:  # noqa: PLR2004
                self._ipv4.sendto(packet, (socket.inet_ntop(socket.AF_INET, packet[16:20]), 0))
            else:
                self._ipv6.sendto(packet, (socket.inet_ntop(socket.AF_INET6, packet[24:40]), 0, 0, interface))


def _raw(family: int) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK, socket.IPPROTO_RAW)
    sock.setsockopt(socket.SOL_SOCKET, _SO_MARK, MARK)
    sock.setsockopt(socket.SOL_SOCKET, _SO_SNDBUFFORCE, _SEND_BYTES)
    return sock
