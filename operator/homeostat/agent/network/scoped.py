"""What network faults that the kernel alone carries out have in common: whose packets they meet, and no queue."""

from typing_extensions import override

from homeostat.agent.network.peers import resolved
from homeostat.agent.network.settings import NetworkSettings
from homeostat.agent.rules import Scope
from homeostat.agent.table_fault import TableFault
from homeostat.core.orders import Order


class ScopedFault(TableFault):
    """A fault that rules are enough for. `_read`: its settings; `_scope`: the packets, with peers once prepared."""

    def __init__(self, order: Order, settings: NetworkSettings) -> None:
        super().__init__(order)
        self._read = settings
        self._scope = Scope(settings.direction, settings.ports)

    @override
    def prepare(self) -> None:
        self._scope = Scope(self._read.direction, self._read.ports, resolved(self._read.peers))

    @override
    def open_queue(self) -> int:
        return 0
