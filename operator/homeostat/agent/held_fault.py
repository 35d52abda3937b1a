"""What faults that hold packets back have in common: a queue of the kernel, and a table that leads packets to it."""

import asyncio
from abc import abstractmethod

from typing_extensions import override

from homeostat.agent import rules
from homeostat.agent.nfqueue import Packet, PacketQueue, Verdict
from homeostat.agent.table_fault import Means, TableFault

_FAMILY = "inet"


class HeldFault(TableFault):
    """A fault that says of each packet when it goes on, and as what."""

    queue: PacketQueue

    @abstractmethod
    def decide(self, packet: Packet, now: float) -> Verdict:
        """Say what becomes of a packet."""

    @abstractmethod
    def bind(self) -> PacketQueue:
        """Bind to a queue, in the way that this fault needs. Raises OSError."""

    @abstractmethod
    def chains(self) -> tuple[list[str], list[str]]:
        """Give the hooks of the table, and the sets and chains that they lead to, which end in the chain `hold`."""

    @override
    def open_queue(self) -> int:
        self.queue = self.bind()
        return self.queue.number

    @override
    def means(self, queue: int) -> list[Means]:
        hooks, chains = self.chains()

        def text(own: int | None) -> str:
            return rules.table_text(_FAMILY, self.table, hooks, [rules.holding(own), *chains])

        return [
            Means("nftables queue", _FAMILY, text(queue)),
            Means("nftables and the target NFQUEUE", _FAMILY, text(None), queue),
        ]

    @override
    async def run(self) -> None:
        await asyncio.to_thread(self.queue.serve, self.decide)
