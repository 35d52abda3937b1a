"""Packets that the kernel holds for us (NFQUEUE): each waits in the kernel until we say what becomes of it.

When nobody is bound to a queue any more, or it is full, packets pass as if it were not there.
"""

import heapq
import itertools
import select
import socket
import struct
import time
from collections.abc import Callable
from typing import Final, NamedTuple

from homeostat.agent import netlink
from homeostat.agent.netlink import Message, Netlink
from homeostat.agent.resending import Resender

_QUEUE: Final = 3 << 8
_PACKET, _VERDICT, _CONFIG = _QUEUE | 0, _QUEUE | 1, _QUEUE | 2
_BIND: Final = 1
_COPY_PACKET: Final = 2
_FAIL_OPEN, _GSO = 1, 4
_PACKET_HEADER, _VERDICT_HEADER = 1, 2
_OUT_INTERFACE, _PAYLOAD, _WHOLE_LENGTH = 6, 10, 13
_DROP, _ACCEPT = 0, 1
_HOOK_LOCAL_OUT: Final = 3

_FIRST_QUEUE: Final = 4242
_QUEUES: Final = 64
_LONGEST: Final = 10_000
"""Packets that wait at most; those that come then pass at once."""
_RECEIVE_BYTES: Final = 8 << 20
_SO_RCVBUFFORCE: Final = 33
_SOL_NETLINK: Final = 270
_NETLINK_NO_ENOBUFS: Final = 5
_MOST_AT_ONCE: Final = 64
_LARGEST: Final = 1 << 17
_VERDICT_MESSAGE: Final = struct.Struct("=IHHIIBBHHHII")


class Packet(NamedTuple):
    """One packet that waits. `start`: its first bytes, from the IP header on; `size`: all of its bytes.

    `interface`: the index of that on which it would leave, 0 for none.
    """

    number: int
    is_outgoing: bool
    start: bytes
    size: int
    interface: int = 0


class Verdict(NamedTuple):
    """What becomes of a packet: it goes on at `due` (monotonic) as it is, or as `changed`; None drops it."""

    due: float | None
    changed: bytes | None = None
    is_sent_again: bool = False
    """Whether we take it off the kernel at once, and send it again ourselves when it is due (see `resending`)."""


Decide = Callable[[Packet, float], Verdict]
"""Gives the verdict on a packet that came at a monotonic time."""


class PacketQueue:
    """A queue of the kernel to which we are bound, until the process ends."""

    def __init__(self, copied: int, *, whole_segments: bool, resends: bool = False) -> None:
        """Bind to a free queue. `copied`: how many bytes of each packet are shown to us.

        With `whole_segments` large segments stay whole, else they are cut to what the network carries and have their
        checksums. With `resends` packets can be sent again. Raises OSError.
        """
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, netlink.NETFILTER)
        self._socket.bind((0, 0))
        self.number = self._bind(Netlink(self._socket))
        flags = _FAIL_OPEN | (_GSO if whole_segments else 0)
        self._configure(
            netlink.attribute(2, struct.pack("!IB", copied, _COPY_PACKET))
            + netlink.number(3, _LONGEST)
            + netlink.number(4, _FAIL_OPEN | _GSO)
            + netlink.number(5, flags)
        )
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _RECEIVE_BYTES)
        self._socket.setsockopt(_SOL_NETLINK, _NETLINK_NO_ENOBUFS, 1)
        self._socket.setblocking(False)
        self._resender = Resender() if resends else None
        self._count = itertools.count()
        self._waiting: list[tuple[float, int, bytes]] = []
        """Verdicts by when they are due."""
        self._taken: list[tuple[float, int, Packet]] = []
        """Packets that we send again, by when they are due."""

    def _bind(self, link: Netlink) -> int:
        command = netlink.attribute(1, struct.pack("!BxH", _BIND, 0))
        for number in range(_FIRST_QUEUE, _FIRST_QUEUE + _QUEUES):
            try:
                link.exchange([_config(number, command)])
            except PermissionError:  # another process is bound to it
                continue
            return number
        raise OSError("no queue of netfilter is free")

    def _configure(self, settings: bytes) -> None:
        Netlink(self._socket).exchange([_config(self.number, settings)])

    def serve(self, decide: Decide) -> None:
        """Let `decide` say what becomes of each packet, for ever; meant for a thread of its own."""
        while True:
            dues = [heap[0][0] for heap in (self._waiting, self._taken) if heap]
            wait = max(min(dues) - time.monotonic(), 0) if dues else None
            select.select([self._socket], [], [], wait)
            self._take(decide)
            now = time.monotonic()
            self._release(now)
            self._resend(now)

    def _take(self, decide: Decide) -> None:
        """Take what has come, but not so much at once that those whose time is over have to wait."""
        now = time.monotonic()
        for _ in range(_MOST_AT_ONCE):
            try:
                data = self._socket.recv(_LARGEST)
            except BlockingIOError:
                return
            for message in netlink.unpack(data):
                if message.kind == _PACKET:
                    self._judge(_packet(message.body), decide, now)

    def _judge(self, packet: Packet, decide: Decide, now: float) -> None:
        due, changed, is_sent_again = decide(packet, now)
        if due is not None and is_sent_again:
            heapq.heappush(self._taken, (due, next(self._count), packet))
            due = None
        message = self._verdict(packet.number, _DROP if due is None else _ACCEPT, changed)
        heapq.heappush(self._waiting, (now if due is None else due, next(self._count), message))

    def _release(self, now: float) -> None:
        """Tell the kernel the verdicts whose time has come, many in one call."""
        while self._waiting and self._waiting[0][0] <= now:
            messages: list[bytes] = []
            while self._waiting and self._waiting[0][0] <= now and len(messages) < _MOST_AT_ONCE:
                messages.append(heapq.heappop(self._waiting)[2])
            self._socket.send(b"".join(messages))

    def _resend(self, now: float) -> None:
        while self._taken and self._taken[0][0] <= now and self._resender is not None:
            packet = heapq.heappop(self._taken)[2]
            self._resender.send(packet.start, packet.interface)

    def _verdict(self, number: int, verdict: int, changed: bytes | None) -> bytes:
        payload = b"" if changed is None else netlink.attribute(_PAYLOAD, changed)
        length = _VERDICT_MESSAGE.size + len(payload)
        queue = socket.htons(self.number)
        head = (length, _VERDICT, netlink.REQUEST, 0, 0, 0, 0, queue, 12, _VERDICT_HEADER)
        return _VERDICT_MESSAGE.pack(*head, socket.htonl(verdict), socket.htonl(number)) + payload


def _config(queue: int, settings: bytes) -> Message:
    return Message(_CONFIG, netlink.REQUEST | netlink.ACK, struct.pack("!BBH", 0, 0, queue) + settings)


def _packet(body: bytes) -> Packet:
    found = netlink.attributes(body[4:])
    number, _, hook = struct.unpack_from("!IHB", found[_PACKET_HEADER])
    start = found.get(_PAYLOAD, b"")
    whole = found.get(_WHOLE_LENGTH)
    size = len(start) if whole is None else int.from_bytes(whole, "big")
    interface = int.from_bytes(found.get(_OUT_INTERFACE, b""), "big")
    return Packet(number, hook == _HOOK_LOCAL_OUT, start, size, interface)
