"""Reset: some TCP connections are made and then break.

Each packet of a chosen connection, from the first after the SYN on, is rejected with a RST to its sender: with the
direction Egress the pod sees its connections reset, with Ingress its peers do, and the other side learns of it when it
sends something, as after a real reset that was lost.
"""

import zlib

from typing_extensions import override

from homeostat.agent import rules
from homeostat.agent.network.scoped import ScopedFault
from homeostat.agent.table_fault import Means


class ResettingFault(ScopedFault):
    """Some connections are reset."""

    @override
    def means(self, queue: int) -> list[Means]:
        ways = self._scope.direction.ways
        seed = zlib.crc32(self.table.encode())
        met = [rules.resetting(way, self._read.share, seed) for way in ways]
        hooks = [
            rules.host_hook(way, [rules.not_on_loopback(way), *rules.scope_lines(self._scope, way)]) for way in ways
        ]
        text = rules.table_text("inet", self.table, hooks, [*rules.scope_sets(self._scope), *met])
        return [Means("nftables jhash and reject", "inet", text)]

    @override
    def counters(self) -> dict[str, int]:
        packets = self.packets()
        return {"packets": packets["met"], "reset": packets["hit"]}
