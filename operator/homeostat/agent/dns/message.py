"""DNS messages (RFC 1035), as far as it takes to turn an answer into NXDOMAIN. Pure.

NXDOMAIN and not SERVFAIL: the name does not resolve, and the client is told so at once and definitely. Without an SOA
record nobody may keep that answer (RFC 2308), so names resolve again as soon as the fault is over.
"""

import struct
from typing import Final

_HEADER: Final = struct.Struct("!HHHHHH")
_IS_RESPONSE: Final = 0x8000
_RCODE: Final = 0x000F
_NO_SUCH_NAME: Final = 3
_LONGEST_LABEL: Final = 63
_LONGEST_NAME: Final = 255
_KIND_AND_CLASS: Final = 4


def question(message: bytes) -> tuple[str, int] | None:
    """Give the name that an answer is about and where its question ends; None for what is no answer to one question."""
    if len(message) < _HEADER.size:
        return None
    _, flags, questions, *_ = _HEADER.unpack_from(message)
    if not flags & _IS_RESPONSE or questions != 1:
        return None
    labels: list[str] = []
    at = _HEADER.size
    while at < min(len(message), _HEADER.size + _LONGEST_NAME):
        length = message[at]
        if length == 0:
            end = at + 1 + _KIND_AND_CLASS
            return (".".join(labels), end) if end <= len(message) else None
        if length > _LONGEST_LABEL:
            return None
        labels.append(message[at + 1 : at + 1 + length].decode("latin-1"))
        at += 1 + length
    return None


def without_name(message: bytes, end: int) -> bytes:
    """Give the answer that there is no such name, to the same question, which ends at `end`."""
    number, flags, *_ = _HEADER.unpack_from(message)
    return _HEADER.pack(number, _failed(flags), 1, 0, 0, 0) + message[_HEADER.size : end]


def marked_without_name(message: bytes) -> bytes:
    """Give the same message with the code for no such name: as long as before, for where the length counts."""
    return message[:2] + struct.pack("!H", _failed(int.from_bytes(message[2:4], "big"))) + message[4:]


def _failed(flags: int) -> int:
    return flags & ~_RCODE | _NO_SUCH_NAME
