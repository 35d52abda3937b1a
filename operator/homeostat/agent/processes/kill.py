"""Blows to processes: a signal to those of a name, and the end of a container by the end of its first process."""

import contextlib
import os
import signal
from pathlib import Path
from typing import ClassVar

from typing_extensions import override

from homeostat.agent.fault import Fault, Refused
from homeostat.agent.processes.listing import Process, init_of, named
from homeostat.agent.processes.permission import INIT, heeds, may_signal, may_trace
from homeostat.agent.processes.ptrace import DIE_WITH_TRACER, Hold, seize
from homeostat.core.orders import Order, RefusalReason


class Blow(Fault):
    """A signal to some processes. Where PID 1 of our own namespace is one, the agent ends with it: that is success."""

    is_blow: ClassVar[bool] = True

    def __init__(self, order: Order) -> None:
        super().__init__(order)
        self._container_id = str(self.settings.get("containerId", ""))
        self._signal = signal.SIGKILL
        self._struck = 0

    def targets(self) -> list[Process]:
        """Give the processes that are meant; raises Refused (NoProcess)."""
        raise NotImplementedError

    @override
    def check(self) -> None:
        targets = self.targets()
        for process in targets:
            self._check(process)
        self.mechanism = self._signal.name
        if self._signal is signal.SIGKILL and any(process.pid == INIT for process in targets):
            self.mechanism = "death with its tracer"

    @override
    def begin(self) -> None:
        # The first process last: it takes all others of its namespace with it, and us.
        for process in sorted(self.targets(), key=lambda one: one.pid, reverse=True):
            self._check(process)
            self._strike(process)
        if not self._struck:
            raise Refused(RefusalReason.NO_PROCESS, "the processes ended by themselves meanwhile")

    @override
    def counters(self) -> dict[str, int]:
        return {"processes": self._struck}

    def _check(self, process: Process) -> None:
        by_tracer = process.pid == INIT and self._signal is signal.SIGKILL
        if not (may_trace(process.pid) if by_tracer else may_signal(process.pid)):
            raise Refused(RefusalReason.NOT_PERMITTED, f"the kernel does not let us signal {process.comm}")
        if not by_tracer and not heeds(process.pid, self._signal):
            raise Refused(
                RefusalReason.NO_MECHANISM,
                f"{process.comm} is the first process of its container and has no handler for {self._signal.name}",
            )

    def _strike(self, process: Process) -> None:
        if process.pid == INIT and self._signal is signal.SIGKILL:
            kill_with_tracer(process.pid)
            self._struck += 1
        elif _send(process, self._signal):
            self._struck += 1


class ProcessKill(Blow):
    """Send a signal to every process of a name. settings: `name`, `signal` (else KILL), `containerId` (optional)."""

    def __init__(self, order: Order) -> None:
        super().__init__(order)
        self.name = str(self.settings["name"])
        self._signal = signal.Signals[f"SIG{self.settings.get('signal', 'KILL')}"]

    @override
    def targets(self) -> list[Process]:
        found = named(self.name, self._container_id)
        if not found:
            raise Refused(RefusalReason.NO_PROCESS, f"no process is called {self.name}")
        return found


class ContainerKill(Blow):
    """Kill the first process of a container, and so all of it. settings: `containerId` (optional, see `init_of`)."""

    @override
    def targets(self) -> list[Process]:
        first = init_of(self._container_id)
        if first is None:
            raise Refused(RefusalReason.NO_PROCESS, "the first process of the container is not to be seen from here")
        return [first]


def kill_with_tracer(pid: int) -> None:
    """Kill a process by the death of its tracer: PID 1 ignores a SIGKILL from inside its namespace."""
    child = os.fork()
    if child == 0:
        held = seize(pid, DIE_WITH_TRACER) is Hold.HELD
        os._exit(0 if held else 1)
    _, status = os.waitpid(child, 0)
    if os.waitstatus_to_exitcode(status) != 0:
        raise Refused(RefusalReason.NOT_PERMITTED, "the kernel does not let us trace the first process")


def _send(process: Process, number: signal.Signals) -> bool:
    """Send it to the process that was meant, not to another that has its id by now."""
    with contextlib.suppress(ProcessLookupError):
        descriptor = os.pidfd_open(process.pid)
        try:
            now = Process.read(Path("/proc") / str(process.pid))
            if now is None or now.parent != process.parent or not now.names & process.names:
                return False
            signal.pidfd_send_signal(descriptor, number)
        finally:
            os.close(descriptor)
        return True
    return False
