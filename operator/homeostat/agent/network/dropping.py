"""Loss and partition: packets that never arrive, and of which the sender is told nothing.

What is sent is taken from the device, after the kernel's own queue, and given to the loopback device, which has no use
for it: so the sender's TCP finds the loss out as it does on a real network, and sendto() of UDP reports no error.
"""

import socket

from typing_extensions import override

from homeostat.agent import rules
from homeostat.agent.network.scoped import ScopedFault
from homeostat.agent.rules import Direction
from homeostat.agent.table_fault import Means


class DroppingFault(ScopedFault):
    """Some packets, or all, are lost."""

    @override
    def means(self, queue: int) -> list[Means]:
        return [
            Means("nftables egress and fwd", "netdev", self._on_devices('fwd to "lo"')),
            Means("nftables egress and drop", "netdev", self._on_devices("drop")),
            Means("nftables output and drop", "inet", self._on_host()),
        ]

    def _on_devices(self, verdict: str) -> str:
        devices = [name for _, name in socket.if_nameindex() if name != "lo"]
        hooks = [rules.device_hook(way, devices, rules.scope_lines(self._scope, way)) for way in self._ways]
        return rules.table_text("netdev", self.table, hooks, self._chains(verdict))

    def _on_host(self) -> str:
        hooks = [
            rules.host_hook(way, [rules.not_on_loopback(way), *rules.scope_lines(self._scope, way)])
            for way in self._ways
        ]
        return rules.table_text("inet", self.table, hooks, self._chains("drop"))

    def _chains(self, verdict: str) -> list[str]:
        verdicts = {Direction.EGRESS: verdict, Direction.INGRESS: "drop"}
        met = [rules.dropping(way, self._read.share, verdicts[way]) for way in self._ways]
        return [*rules.scope_sets(self._scope), *met]

    @property
    def _ways(self) -> tuple[Direction, ...]:
        return self._scope.direction.ways

    @override
    def counters(self) -> dict[str, int]:
        packets = self.packets()
        return {"packets": packets["met"], "dropped": packets["hit"]}
