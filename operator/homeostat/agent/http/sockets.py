"""Connections of a port as the kernel keeps them: what one was meant for before it came to us, and older ones."""

import socket
import struct
from dataclasses import dataclass
from typing import Final

from homeostat.agent import netlink
from homeostat.agent.netlink import Netlink

_SOCK_DIAG: Final = 4
_BY_FAMILY: Final = 20
_DESTROY: Final = 21
_REQUEST: Final = struct.Struct("=BBBxI48s")  # family, protocol, extensions, states, the connection's id
_ESTABLISHED: Final = 1 << 1
_ID: Final = struct.Struct("!HH16s16s")  # ports and addresses, ours first
_ID_SIZE: Final = 48
_ORIGINAL_DESTINATION: Final = 80  # SO_ORIGINAL_DST of IP and of IPv6
_ADDRESS_SIZE: Final = {socket.AF_INET: 4, socket.AF_INET6: 16}


@dataclass(frozen=True, slots=True)
class Open:
    """A connection of the namespace: the kernel's id of it, and the two addresses."""

    family: int
    identity: bytes
    local: str
    remote: str

    @property
    def is_from_inside(self) -> bool:
        """Whether its client is in the pod as well: such connections come to no relay."""
        return self.remote in {self.local, "::1"} or self.remote.startswith(("127.", "::ffff:127."))


def original_destination(sock: socket.socket) -> tuple[str, int] | None:
    """Give address and port that a redirected connection was meant for; None when it came straight to us."""
    is_new = sock.family == socket.AF_INET6 and not sock.getpeername()[0].startswith("::ffff:")
    level, size = (socket.IPPROTO_IPV6, 28) if is_new else (socket.IPPROTO_IP, 16)
    try:
        raw = sock.getsockopt(level, _ORIGINAL_DESTINATION, size)
    except OSError:
        return None
    (port,) = struct.unpack_from("!H", raw, 2)
    if is_new:
        return socket.inet_ntop(socket.AF_INET6, raw[8:24]), port
    return socket.inet_ntop(socket.AF_INET, raw[4:8]), port


def open_to(port: int) -> list[Open]:
    """Give the established connections to a port of this namespace."""
    found = []
    for family in (socket.AF_INET, socket.AF_INET6):
        identity = _ID.pack(port, 0, b"", b"").ljust(_ID_SIZE, b"\0")
        request = _REQUEST.pack(family, socket.IPPROTO_TCP, 0, _ESTABLISHED, identity)
        found += [_read(answer) for answer in _ask(_BY_FAMILY, netlink.DUMP, request)]
    return found


def destroy(connection: Open) -> bool:
    """Have the kernel end a connection, with a reset to its peer; False when it is gone, or the kernel cannot."""
    request = _REQUEST.pack(connection.family, socket.IPPROTO_TCP, 0, _ESTABLISHED, connection.identity)
    try:
        _ask(_DESTROY, netlink.ACK, request)
    except OSError:
        return False
    return True


def _ask(kind: int, flags: int, request: bytes) -> list[bytes]:
    link = Netlink.open(_SOCK_DIAG)
    try:
        return link.ask(kind, flags, request)
    finally:
        link.close()


def _read(answer: bytes) -> Open:
    family = answer[0]
    identity = answer[4 : 4 + _ID_SIZE]
    _, _, local, remote = _ID.unpack_from(identity)
    size = _ADDRESS_SIZE[socket.AddressFamily(family)]
    return Open(family, identity, socket.inet_ntop(family, local[:size]), socket.inet_ntop(family, remote[:size]))
