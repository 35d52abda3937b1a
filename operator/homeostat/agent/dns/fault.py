"""The fault of name resolution: answers from port 53 wait for us, and go on late, or say that there is no such name.

Answers of a resolver in the pod itself are met as well. What does not use port 53 (DNS over TLS or HTTPS, /etc/hosts, a
cache in the client) is not. An answer by TCP that fails keeps its length, and so its records: only its code is changed.
"""

from pathlib import Path

from typing_extensions import override

from homeostat.agent import rules
from homeostat.agent.dns import message as dns
from homeostat.agent.dns.names import FailingNames, search_list
from homeostat.agent.dns.packet import carried, replaced
from homeostat.agent.held_fault import HeldFault
from homeostat.agent.lateness import Delay
from homeostat.agent.nfqueue import Packet, PacketQueue, Verdict
from homeostat.agent.rules import Direction
from homeostat.agent.settings import seconds_of
from homeostat.core.orders import Order

_RESOLV_CONF = Path("/etc/resolv.conf")
_WHOLE_PACKET = 0xFFFF


class DnsFault(HeldFault):
    """Names that do not resolve, or answers that are late."""

    def __init__(self, order: Order) -> None:
        super().__init__(order)
        self._names = [str(name) for name in order.settings.get("fail") or ()]
        delay = order.settings.get("delay")
        if bool(self._names) == bool(delay):
            raise ValueError("one of fail and delay")
        self._delay = Delay(seconds_of(delay) if delay else 0.0, 0.0, lambda: 0.0)
        self._failing = FailingNames(self._names, ())
        self._answers = 0
        self._hit = 0

    @override
    def prepare(self) -> None:
        if _RESOLV_CONF.exists():
            search = search_list(_RESOLV_CONF.read_text(encoding="utf-8", errors="replace"))
            self._failing = FailingNames(self._names, search)

    @override
    def bind(self) -> PacketQueue:
        return PacketQueue(_WHOLE_PACKET, whole_segments=False)

    @override
    def chains(self) -> tuple[list[str], list[str]]:
        way = Direction.INGRESS
        lines = [f"{protocol} sport 53 goto {rules.met(way)}" for protocol in ("udp", "tcp")]
        return [rules.host_hook(way, lines)], [rules.to_hold(way)]

    @override
    def decide(self, packet: Packet, now: float) -> Verdict:
        """Judge one packet; of TCP the handshake is late as well, but counts as no answer."""
        found = carried(packet.start)
        about = None if found is None else dns.question(found.message)
        if not self._names:
            self._answers += about is not None
            self._hit += about is not None
            return Verdict(self._delay.due(now, packet.start))
        if found is None or about is None:
            return Verdict(now)
        self._answers += 1
        name, end = about
        if name not in self._failing:
            return Verdict(now)
        self._hit += 1
        failed = dns.marked_without_name(found.message) if found.is_stream else dns.without_name(found.message, end)
        return Verdict(now, replaced(packet.start, found, failed))

    @override
    def counters(self) -> dict[str, int]:
        return {"answers": self._answers, "failed" if self._names else "delayed": self._hit}
