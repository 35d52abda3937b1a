"""The DNS probe: one question, by UDP and, when the answer is too large for that, by TCP."""

import secrets
import socket
from collections.abc import Callable
from ipaddress import ip_network
from pathlib import Path
from typing import Final

from typing_extensions import override

from homeostat.core.probing.request import DnsRequest
from homeostat.core.probing.result import Phases, Reason
from homeostat.probe.dns_message import Question, all_canonical, is_answer, is_truncated, judge, question_of
from homeostat.probe.ending import Ending
from homeostat.probe.net.address import Guard, is_address, is_dialable
from homeostat.probe.net.connection import Conversation, Dialer, Peer
from homeostat.probe.net.datagram import Heard, Letter, ask, connected
from homeostat.probe.net.resolver import Found, Resolver
from homeostat.probe.net.watched_file import WatchedFile

Nameservers = Callable[[], tuple[str, ...]]
"""Gives the addresses of the name servers that the administrator set up, in their order."""

_RESOLV_CONF: Final = Path("/etc/resolv.conf")
_PORT: Final = 53
_MOST_SERVERS: Final = 3  # as the C library
_RESEND_SECONDS: Final = 1.0
_LENGTH_BYTES: Final = 2
_EVERYWHERE: Final = (ip_network("0.0.0.0/0"), ip_network("::/0"))


def nameservers_of(text: str) -> tuple[str, ...]:
    """Give the name servers of a resolv.conf; the local host when it names none (resolv.conf(5))."""
    lines = [line.split() for line in text.splitlines()]
    named = [words[1] for words in lines if len(words) > 1 and words[0] == "nameserver" and is_address(words[1])]
    return tuple(named[:_MOST_SERVERS]) or ("127.0.0.1",)


class DnsProbe:
    """Asks one question; by UDP a second time, since datagrams get lost.

    `resolver` finds and checks the servers that users name; those of `nameservers` (by default resolv.conf's) are the
    administrator's, and may be anywhere (at `port`).
    """

    def __init__(
        self,
        resolver: Resolver,
        monotonic: Callable[[], float],
        nameservers: Nameservers | None = None,
        port: int = _PORT,
    ) -> None:
        self._resolver = resolver
        self._monotonic = monotonic
        self._nameservers = nameservers or WatchedFile(_RESOLV_CONF, nameservers_of).content
        self._port = port
        self._dialer = Dialer(Guard(_EVERYWHERE), resolver, monotonic)  # to addresses that were checked before

    async def run(self, request: DnsRequest, deadline: float) -> Ending:
        """Give the ending before `deadline` (monotonic seconds)."""
        question = question_of(request.name, request.record)
        expect = all_canonical(request.record, request.expect)
        if question is None or expect is None or not _has_server(request):
            return Ending(Reason.INVALID_REQUEST)
        started = self._monotonic()
        servers, port = await self._servers(request, deadline)
        if isinstance(servers, Reason):
            return Ending(servers)
        resolve = self._monotonic() - started
        answer, phases = await _Inquiry(question, self._dialer, self._monotonic).answer(servers, port, deadline)
        phases = phases._replace(resolve=resolve)
        if isinstance(answer, Reason):
            return Ending(answer, phases=phases)
        return Ending(*judge(answer, question, request.record, expect), phases)

    async def _servers(self, request: DnsRequest, deadline: float) -> tuple[Found, int]:
        if not request.server:
            return self._nameservers(), self._port
        return await self._resolver.resolve(request.server, deadline), request.server_port


def _has_server(request: DnsRequest) -> bool:
    return not request.server or is_dialable(request.server, request.server_port)


class _Inquiry:
    """One question under way. Servers know it by a random id, on a port that the kernel picks at random."""

    def __init__(self, question: Question, dialer: Dialer, monotonic: Callable[[], float]) -> None:
        self._question = question
        self._number = secrets.randbelow(1 << 16)
        self._wire = question.message(self._number)
        self._dialer = dialer
        self._monotonic = monotonic

    async def answer(self, servers: tuple[str, ...], port: int, deadline: float) -> tuple[bytes | Reason, Phases]:
        """Give the message that answers the question, or why there is none."""
        started = self._monotonic()
        heard = await self._by_datagram(servers, port, deadline - started)
        spent = self._monotonic() - started
        if isinstance(heard, Reason):
            return heard, Phases(first_byte=spent)
        if not is_truncated(heard.data):
            return heard.data, Phases(first_byte=spent)
        answer, phases = await self._by_connection(heard.address, port, deadline)
        return answer, phases._replace(resolve=0.0, first_byte=phases.first_byte + spent)

    async def _by_datagram(self, servers: tuple[str, ...], port: int, seconds: float) -> Heard | Reason:
        tries = servers if len(servers) > 1 else servers * 2
        letter = Letter(
            open=lambda address: connected(socket.SOCK_DGRAM, 0, address, port),
            write=lambda _: self._wire,
            is_answer=self._is_answer,
        )
        return await ask(letter, tries, min(_RESEND_SECONDS, seconds / len(tries)), seconds)

    async def _by_connection(self, server: str, port: int, deadline: float) -> tuple[bytes | Reason, Phases]:
        call = _Call(self._wire)
        ending = await self._dialer.hold(call, Peer(server, port, server), deadline)
        phases = ending.phases or Phases()
        if ending.reason is not Reason.OK:
            return ending.reason, phases
        return call.answer if self._is_answer(call.answer) else Reason.PROTOCOL_ERROR, phases

    def _is_answer(self, message: bytes) -> bool:
        return is_answer(message, self._number, self._question)


class _Call(Conversation):
    """A question by TCP: each message has its length before it, and so can never be longer than 64 KiB."""

    __slots__ = ("_received", "_wire")

    def __init__(self, wire: bytes) -> None:
        super().__init__()
        self._wire = wire
        self._received = bytearray()

    @property
    def answer(self) -> bytes:
        """The message, once the conversation has ended with Ok."""
        return bytes(self._received[_LENGTH_BYTES : self._wanted()])

    @override
    def begin(self) -> None:
        self.write(len(self._wire).to_bytes(_LENGTH_BYTES) + self._wire)

    @override
    def take(self, data: bytes) -> None:
        self._received += data
        if len(self._received) >= self._wanted():
            self.end(Reason.OK)

    def _wanted(self) -> int:
        """Say how many bytes there are in all, as far as is known."""
        return _LENGTH_BYTES + int.from_bytes(self._received[:_LENGTH_BYTES])
