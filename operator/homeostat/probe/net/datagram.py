"""One question by datagram: sent to one address after the other, ended by the first answer on any of them.

Sockets are connected, so the kernel drops what comes from another address or port, and tells of hosts and ports that
are not there. What is no answer to our question is ignored until the deadline; a flood of it ends the socket.
"""

import asyncio
import socket
from collections.abc import Callable
from typing import Final, NamedTuple

from homeostat.core.probing.result import Reason
from homeostat.probe.ending import of_error

_MOST_BYTES: Final = 4096
_MOST_STRANGERS: Final = 1000
# linux/in.h and linux/in6.h: also tell of a host or network that is unreachable, not only of a closed port
_IP_RECVERR: Final = 11
_IPV6_RECVERR: Final = 25

MakeSocket = Callable[[socket.AddressFamily, socket.SocketKind, int], socket.socket]
"""Makes a socket of a family, kind and protocol, as `socket.socket` does."""


class Letter(NamedTuple):
    """A question: how to open a connected socket to an address (or why not), what to say, what is an answer."""

    open: Callable[[str], socket.socket | Reason]
    write: Callable[[str], bytes]
    is_answer: Callable[[bytes], bool]


class Heard(NamedTuple):
    """An answer, and the address that it came from."""

    data: bytes
    address: str


async def ask(letter: Letter, addresses: tuple[str, ...], pause: float, seconds: float) -> Heard | Reason:
    """Give the answer of one of `addresses`, or why there is none after `seconds` at most.

    The next address has its turn after `pause` seconds, or as soon as the ones before it have failed; all of them
    are listened to until the end. An address that is named twice is sent the question twice.
    """
    loop = asyncio.get_running_loop()
    until = loop.time() + seconds
    mailbox = _Mailbox(letter)
    heard: Heard | Reason = Reason.TIMEOUT
    try:
        for number, address in enumerate(addresses, 1):
            left = until - loop.time()
            if left <= 0:
                return Reason.TIMEOUT
            mailbox.send(address)
            heard = await mailbox.hear(left if number == len(addresses) else min(left, pause))
            if isinstance(heard, Heard):
                break
    finally:
        mailbox.close()
    return heard


def connected(
    kind: socket.SocketKind, protocol: int, address: str, port: int, make: MakeSocket = socket.socket
) -> socket.socket | Reason:
    """Give a datagram socket that talks to one address only, or why there is none.

    NotPermitted means that the kernel lets us have no such socket at all.
    """
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        sock = make(family, kind, protocol)
    except PermissionError:
        return Reason.NOT_PERMITTED
    except OSError as error:
        return of_error(error)
    try:
        sock.setblocking(False)
        _tell_of_errors(sock)
        sock.connect((address, port))
    except OSError as error:
        sock.close()
        return of_error(error)
    return sock


def _tell_of_errors(sock: socket.socket) -> None:
    if sock.family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, _IPV6_RECVERR, 1)
    else:
        sock.setsockopt(socket.IPPROTO_IP, _IP_RECVERR, 1)


class _Mailbox:
    """The open sockets of one letter, by address."""

    def __init__(self, letter: Letter) -> None:
        self._letter = letter
        self._loop = asyncio.get_running_loop()
        self._sockets: dict[str, socket.socket] = {}
        self._strangers = 0
        self._heard: asyncio.Future[Heard | Reason] = self._loop.create_future()

    def send(self, address: str) -> None:
        """Send the letter; what goes wrong is heard."""
        sock = self._sockets.get(address) or self._open(address)
        if sock is None:
            return
        try:
            sock.send(self._letter.write(address))
        except OSError as error:
            self._drop(address, of_error(error))

    async def hear(self, seconds: float) -> Heard | Reason:
        """Give what came first: an answer, or why no socket is left; Timeout after `seconds`."""
        await asyncio.wait((self._heard,), timeout=seconds)
        if not self._heard.done():
            return Reason.TIMEOUT
        heard = self._heard.result()
        self._heard = self._loop.create_future()
        return heard

    def close(self) -> None:
        """Close all sockets."""
        for sock in self._sockets.values():
            self._loop.remove_reader(sock)
            sock.close()
        self._sockets.clear()

    def _open(self, address: str) -> socket.socket | None:
        sock = self._letter.open(address)
        if isinstance(sock, Reason):
            self._fail(sock)
            return None
        self._sockets[address] = sock
        self._loop.add_reader(sock, self._read, address, sock)
        return sock

    def _read(self, address: str, sock: socket.socket) -> None:
        """Take one datagram: the loop has its turn before the next, however many there are."""
        try:
            data = sock.recv(_MOST_BYTES)
        except BlockingIOError:  # the kernel woke us for a datagram that it then threw away
            return
        except OSError as error:
            self._drop(address, of_error(error))
            return
        if self._letter.is_answer(data):
            self._settle(Heard(data, address))
            return
        self._strangers += 1
        if self._strangers > _MOST_STRANGERS:
            self._drop(address, Reason.PROTOCOL_ERROR)

    def _drop(self, address: str, reason: Reason) -> None:
        sock = self._sockets.pop(address, None)
        if sock is not None:
            self._loop.remove_reader(sock)
            sock.close()
        self._fail(reason)

    def _fail(self, reason: Reason) -> None:
        if not self._sockets:
            self._settle(reason)

    def _settle(self, heard: Heard | Reason) -> None:
        if not self._heard.done():
            self._heard.set_result(heard)
