"""Delay, jitter and bandwidth: packets that wait in the kernel until it is their time."""

import random

from typing_extensions import override

from homeostat.agent import rules
from homeostat.agent.held_fault import HeldFault
from homeostat.agent.lateness import Bottleneck, Delay
from homeostat.agent.network.peers import resolved
from homeostat.agent.network.settings import Harm, NetworkSettings
from homeostat.agent.nfqueue import Packet, PacketQueue, Verdict
from homeostat.agent.resending import MARK, fits
from homeostat.agent.rules import Direction, Scope
from homeostat.agent.surroundings import need_net_raw
from homeostat.core.orders import Order

_SHOWN_BYTES = 64
_WHOLE_PACKET = 0xFFFF
_FAST_BITS = 200_000_000
"""From here on segments stay whole: there are too many packets otherwise, and the link is quick enough for them."""


class LateFault(HeldFault):
    """Packets arrive later."""

    def __init__(self, order: Order, settings: NetworkSettings) -> None:
        super().__init__(order)
        self._read = settings
        self._scope = Scope(settings.direction, settings.ports)
        self._delay = Delay(settings.seconds, settings.jitter, random.random)
        self._links = {True: Bottleneck(max(settings.bits, 1)), False: Bottleneck(max(settings.bits, 1))}
        self._delayed = 0
        self._dropped = 0

    @override
    def prepare(self) -> None:
        if self._resends:
            need_net_raw()
        self._scope = Scope(self._read.direction, self._read.ports, resolved(self._read.peers))

    @override
    def bind(self) -> PacketQueue:
        if self._resends:
            return PacketQueue(_WHOLE_PACKET, whole_segments=False, resends=True)
        is_fast = self._read.harm is Harm.DELAY or self._read.bits >= _FAST_BITS
        return PacketQueue(_SHOWN_BYTES, whole_segments=is_fast)

    @property
    def _resends(self) -> bool:
        """Whether some of the packets are delayed on their way out."""
        return self._read.harm is Harm.DELAY and self._read.direction is not Direction.INGRESS

    @override
    def chains(self) -> tuple[list[str], list[str]]:
        ways = self._scope.direction.ways
        return [self._hook(way) for way in ways], [*rules.scope_sets(self._scope), *map(rules.to_hold, ways)]

    def _hook(self, way: Direction) -> str:
        lines = [rules.not_on_loopback(way), *rules.scope_lines(self._scope, way)]
        return rules.host_hook(way, [f"meta mark {MARK} accept", *lines] if way is Direction.EGRESS else lines)

    @override
    def decide(self, packet: Packet, now: float) -> Verdict:
        if self._read.harm is Harm.DELAY:
            self._delayed += 1
            return Verdict(self._delay.due(now, packet.start), is_sent_again=packet.is_outgoing and fits(packet.start))
        due = self._links[packet.is_outgoing].due(now, packet.size)
        self._delayed += due is not None
        self._dropped += due is None
        return Verdict(due)

    @override
    def counters(self) -> dict[str, int]:
        packets = self.packets()["met"]
        return {"packets": packets, "delayed": self._delayed, "dropped": self._dropped}
