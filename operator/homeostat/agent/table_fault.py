"""What faults that are made of packet rules have in common: one nftables table, which the holder owns."""

from abc import abstractmethod
from dataclasses import dataclass

from typing_extensions import override

from homeostat.agent import rules
from homeostat.agent.compat import add_queue_rule, has_queue_target
from homeostat.agent.fault import Fault, Refused
from homeostat.agent.nft import Nft, NftError, table_name, table_remains
from homeostat.agent.surroundings import need_net_admin, need_no_foreigners
from homeostat.core.orders import Order, RefusalReason


@dataclass(frozen=True, slots=True)
class Means:
    """One way to make a fault: a table's text, and what it is called in `mechanism`.

    `queue`: the number of the queue for which a rule has to be added by hand (see `compat`); None for no such rule.
    """

    name: str
    family: str
    text: str
    queue: int | None = None


class TableFault(Fault):
    """A fault that is one table; the first of its means that the kernel has is used."""

    def __init__(self, order: Order) -> None:
        super().__init__(order)
        self.table = table_name(order)
        self._choice = 0
        self._family = ""
        self._nft: Nft | None = None

    @abstractmethod
    def prepare(self) -> None:
        """Find out what the text needs to know, such as addresses. Raises Refused."""

    @abstractmethod
    def open_queue(self) -> int:
        """Bind to a queue for packets and give its number; 0 for a fault that has none. Raises OSError."""

    @abstractmethod
    def means(self, queue: int) -> list[Means]:
        """Give the ways to make the fault, the best first; `queue` is what `open_queue` gave, or 0 to try."""

    @override
    def check(self) -> None:
        need_net_admin()
        need_no_foreigners()
        self.prepare()
        self._nft = Nft()
        complaints = []
        for choice, means in enumerate(self.means(0)):
            complaint = self._complaint(self._nft, means)
            if not complaint:
                self._choice = choice
                self.mechanism = means.name
                return
            complaints.append(f"{means.name}: {complaint}")
        raise Refused(RefusalReason.NO_MECHANISM, "; ".join(complaints))

    def _complaint(self, nft: Nft, means: Means) -> str:
        if means.queue is not None and not has_queue_target(self.table):
            return "no queue"
        return nft.check(means.text)

    @override
    def begin(self) -> None:
        need_no_foreigners()
        nft = self._connected()
        try:
            means = self.means(self.open_queue())[self._choice]
            nft.run(means.text)
            if means.queue is not None:
                add_queue_rule(nft, self.table, rules.HOLD, means.queue)
        except (NftError, OSError) as error:
            raise Refused(RefusalReason.NO_MECHANISM, str(error)) from error
        self._family = means.family

    @override
    def renew(self, seconds: float) -> None:
        self._connected().run(rules.renewal(self._family, self.table, seconds))

    def packets(self) -> dict[str, int]:
        """Give the table's counters: `met`: packets in scope, and `hit`: those on which something was done."""
        return self._connected().packets(self._family, self.table)

    @override
    def remains(self) -> list[str]:
        return table_remains(self.order)

    def _connected(self) -> Nft:
        if self._nft is None:
            raise RuntimeError("not checked yet")
        return self._nft
