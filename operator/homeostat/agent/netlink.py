"""As much of netlink as the agent speaks: messages of attributes, on a socket of its own or a borrowed one."""

import os
import socket
import struct
from collections.abc import Iterator
from typing import Final, NamedTuple, Self

REQUEST: Final = 0x1
ACK: Final = 0x4
DUMP: Final = 0x300
CREATE: Final = 0x400
APPEND: Final = 0x800

NETFILTER: Final = 12
ROUTE: Final = 0

_HEADER: Final = struct.Struct("=IHHII")  # length, type, flags, sequence, port
_ATTRIBUTE: Final = struct.Struct("=HH")  # length, type
_ERROR: Final = 2
_DONE: Final = 3
_NESTED: Final = 0x8000
_TYPE: Final = 0x3FFF
_LARGEST: Final = 1 << 17
_PATIENCE_SECONDS: Final = 5.0


class Message(NamedTuple):
    """One message: its type, flags and what follows the header."""

    kind: int
    flags: int
    body: bytes


class Netlink:
    """A netlink socket for requests that are answered one after the other."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._socket.settimeout(_PATIENCE_SECONDS)
        self._sequence = 0

    @classmethod
    def open(cls, protocol: int) -> Self:
        """Open a socket to the part `protocol` of the kernel (NETFILTER, ROUTE)."""
        sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, protocol)
        sock.bind((0, 0))
        return cls(sock)

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def ask(self, kind: int, flags: int, body: bytes) -> list[bytes]:
        """Send one request, and give the bodies of its answers. Raises OSError for what the kernel refuses."""
        return self.exchange([Message(kind, REQUEST | flags, body)])

    def exchange(self, messages: list[Message]) -> list[bytes]:
        """Send messages as one, and give the bodies of the answers up to the acknowledgement or the end of the dump."""
        packed = []
        for message in messages:
            self._sequence += 1
            packed.append(_packed(message, self._sequence))
        self._socket.send(b"".join(packed))
        found: list[bytes] = []
        while True:
            for message in unpack(self._socket.recv(_LARGEST)):
                if message.kind == _DONE:
                    return found
                if message.kind == _ERROR:
                    raise_error(message.body)
                    return found
                found.append(message.body)


def raise_error(body: bytes) -> None:
    """Raise the OSError of an error message; one with 0 is an acknowledgement."""
    (number,) = struct.unpack_from("=i", body)
    if number:
        raise OSError(-number, os.strerror(-number))


def unpack(data: bytes) -> Iterator[Message]:
    """Give the messages of a datagram."""
    offset = 0
    while offset + _HEADER.size <= len(data):
        length, kind, flags, _, _ = _HEADER.unpack_from(data, offset)
        if length < _HEADER.size:
            return
        yield Message(kind, flags, data[offset + _HEADER.size : offset + length])
        offset += _aligned(length)


def _packed(message: Message, sequence: int) -> bytes:
    return _HEADER.pack(_HEADER.size + len(message.body), message.kind, message.flags, sequence, 0) + message.body


def attribute(kind: int, data: bytes) -> bytes:
    """Give an attribute, padded."""
    return _ATTRIBUTE.pack(_ATTRIBUTE.size + len(data), kind) + data + bytes(-len(data) % 4)


def nested(kind: int, *attributes: bytes) -> bytes:
    """Give an attribute that consists of attributes."""
    return attribute(kind | _NESTED, b"".join(attributes))


def number(kind: int, value: int) -> bytes:
    """Give an attribute with a 32 bit number in the order of the network, as netfilter wants it."""
    return attribute(kind, struct.pack("!I", value))


def text(kind: int, value: str) -> bytes:
    """Give an attribute with a text that ends with a zero."""
    return attribute(kind, value.encode() + b"\0")


def attributes(data: bytes) -> dict[int, bytes]:
    """Give the attributes in `data`, by kind."""
    found: dict[int, bytes] = {}
    offset = 0
    while offset + _ATTRIBUTE.size <= len(data):
        length, kind = _ATTRIBUTE.unpack_from(data, offset)
        if length < _ATTRIBUTE.size:
            break
        found[kind & _TYPE] = data[offset + _ATTRIBUTE.size : offset + length]
        offset += _aligned(length)
    return found


def _aligned(length: int) -> int:
    return (length + 3) & ~3
