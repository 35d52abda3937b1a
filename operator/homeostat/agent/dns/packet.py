"""IP packets that carry DNS: taking the message out, and putting another in, with lengths and checksums. Pure.

Of TCP only segments that begin with a whole message are understood, as answers do that fit into one; the others pass.
"""

import struct
from typing import Final, NamedTuple

_TCP, _UDP = 6, 17
_IPV6_HEADER: Final = 40
_UDP_HEADER: Final = 8
_SMALLEST_TCP_HEADER: Final = 20
_LENGTH_BEFORE: Final = 2
_CHECKSUM_AT: Final = {_TCP: 16, _UDP: 6}


class Carried(NamedTuple):
    """A DNS message in a packet. `at`: where it begins; `transport`: where the UDP or TCP header does."""

    message: bytes
    at: int
    transport: int
    is_stream: bool


def carried(packet: bytes) -> Carried | None:
    """Give the message in an IP packet of UDP or TCP; None when there is none that can be read."""
    found = _transport(packet)
    if found is None:
        return None
    protocol, transport = found
    if protocol == _UDP and len(packet) > transport + _UDP_HEADER:
        at = transport + _UDP_HEADER
        return Carried(packet[at:], at, transport, is_stream=False)
    if protocol == _TCP and len(packet) > transport + _SMALLEST_TCP_HEADER:
        return _in_stream(packet, transport)
    return None


def replaced(packet: bytes, where: Carried, message: bytes) -> bytes:
    """Give the packet with another message; in a stream it must be as long as the one before."""
    changed = bytearray(packet[: where.at] + message)
    if where.is_stream:
        changed += packet[where.at + len(where.message) :]
    else:
        struct.pack_into("!H", changed, where.transport + 4, _UDP_HEADER + len(message))
    is_ipv4 = packet[0] >> 4 == 4  # noqa: PLR2004
    if is_ipv4:
        struct.pack_into("!H", changed, 2, len(changed))
        struct.pack_into("!H", changed, 10, 0)
        struct.pack_into("!H", changed, 10, _checksum(changed[: where.transport]))
    else:
        struct.pack_into("!H", changed, 4, len(changed) - _IPV6_HEADER)
    protocol = _TCP if where.is_stream else _UDP
    ends = changed[12:20] if is_ipv4 else changed[8:40]
    struct.pack_into("!H", changed, where.transport + _CHECKSUM_AT[protocol], 0)
    body = changed[where.transport :]
    sum_of = _checksum(bytes(ends) + struct.pack("!II", len(body), protocol) + bytes(body))
    struct.pack_into("!H", changed, where.transport + _CHECKSUM_AT[protocol], sum_of or 0xFFFF)
    return bytes(changed)


def _transport(packet: bytes) -> tuple[int, int] | None:
    """Give the protocol and where its header begins; None for fragments and headers that are not understood."""
    if len(packet) < _IPV6_HEADER:
        return None
    version = packet[0] >> 4
    if version == 6:  # noqa: PLR2004
        return packet[6], _IPV6_HEADER
    is_fragment = int.from_bytes(packet[6:8], "big") & 0x3FFF
    return None if version != 4 or is_fragment else (packet[9], (packet[0] & 0xF) * 4)  # noqa: PLR2004


def _in_stream(packet: bytes, transport: int) -> Carried | None:
    at = transport + (packet[transport + 12] >> 4) * 4 + _LENGTH_BEFORE
    length = int.from_bytes(packet[at - _LENGTH_BEFORE : at], "big")
    if not length or len(packet) < at + length:
        return None
    return Carried(packet[at : at + length], at, transport, is_stream=True)


def _checksum(data: bytes | bytearray) -> int:
    """Give the checksum of the internet protocols (RFC 1071)."""
    if len(data) % 2:
        data = bytes(data) + b"\0"
    total = int(sum(struct.unpack(f"!{len(data) // 2}H", data)))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
