"""Stop processes for a while: a ptrace stop of all their threads, which the kernel ends with the tracer.

SIGSTOP would outlive whoever sent it; this does not. A stopped process still dies of SIGKILL, and other signals wait.
"""

from typing_extensions import override

from homeostat.agent.fault import Fault, Refused
from homeostat.agent.processes.listing import Process, named, threads_of
from homeostat.agent.processes.permission import may_trace
from homeostat.agent.processes.ptrace import Hold, hold_process, let_ends_be_seen
from homeostat.core.orders import Order, RefusalReason


class ProcessPause(Fault):
    """Hold every process of a name, those that appear meanwhile included.

    settings: `name`; `containerId` (optional) where several containers share one PID namespace.
    """

    def __init__(self, order: Order) -> None:
        super().__init__(order)
        self.name = str(self.settings["name"])
        self._container_id = str(self.settings.get("containerId", ""))
        self._held: set[int] = set()

    @override
    def check(self) -> None:
        if not all(may_trace(process.pid) for process in self._targets()):
            raise Refused(RefusalReason.NOT_PERMITTED, f"the kernel does not let us trace {self.name}")
        self.mechanism = "ptrace stop"

    @override
    def begin(self) -> None:
        for process in self._targets():
            self._hold(process)
        if not self._held:
            raise Refused(RefusalReason.NO_PROCESS, f"no process is called {self.name} any more")

    @override
    def renew(self, seconds: float) -> None:
        """Hold those that came since; the hold's own limit is the holder's life."""
        let_ends_be_seen()
        self._held = {pid for pid in self._held if threads_of(pid)}
        for process in named(self.name, self._container_id):
            if process.pid not in self._held:
                self._hold(process)

    @override
    def counters(self) -> dict[str, int]:
        return {"processes": len(self._held), "threads": sum(len(threads_of(pid)) for pid in self._held)}

    def _targets(self) -> list[Process]:
        found = named(self.name, self._container_id)
        if not found:
            raise Refused(RefusalReason.NO_PROCESS, f"no process is called {self.name}")
        return found

    def _hold(self, process: Process) -> None:
        hold = hold_process(process.pid)
        if hold is Hold.DENIED:
            raise Refused(RefusalReason.NOT_PERMITTED, f"{self.name} cannot be traced: perhaps a debugger holds it")
        if hold is Hold.HELD:
            self._held.add(process.pid)
