"""Use up memory: a child that takes it in steps and holds it. Only in a pod that has a limit of its own.

What the agent's own processes take is part of the amount: the pod pays for them too.

The child is the first that the kernel kills when the pod's memory is short, before anything of the target; the next
beat starts another. With cgroup v2 the kubelet has all of a container killed at once: then the agent ends as a whole.
"""

import os
import time
from functools import partial
from pathlib import Path
from typing import Final

from typing_extensions import override

from homeostat.agent.fault import Fault, Refused
from homeostat.agent.settings import bytes_of
from homeostat.agent.stress.bounds import memory_bound
from homeostat.agent.stress.child import Board, is_running, orphans, start_child
from homeostat.core.orders import Order, RefusalReason

_STEP: Final = 8 * 2**20
_STEP_SECONDS: Final = 0.01
_LOOK_SECONDS: Final = 0.1


class MemoryStress(Fault):
    """Hold so many bytes. settings: `bytes` ("256Mi"), `bounds.memory` (the pod's sum of limits; absent: none)."""

    def __init__(self, order: Order) -> None:
        super().__init__(order)
        self.amount = bytes_of(self.settings["bytes"])
        self._board = Board()
        self._child = 0
        self._killed = 0

    @override
    def check(self) -> None:
        if memory_bound(self.settings) is None:
            raise Refused(RefusalReason.UNBOUNDED, "the pod has no memory limit: it would take the node's memory")
        self.mechanism = "a process that holds memory"

    @override
    def begin(self) -> None:
        self._board.allow(self.order.beat_seconds * self.order.misses)
        self._start()

    @override
    def renew(self, seconds: float) -> None:
        self._board.allow(seconds)
        if not is_running(self._child):
            self._killed += 1
            self._start()

    @override
    def counters(self) -> dict[str, int]:
        return {"bytes": self._board.taken, "killed": self._killed}

    @override
    def remains(self) -> list[str]:
        return orphans()

    def _start(self) -> None:
        self._board.taken = min(own_bytes(os.getpid(), os.getppid()), self.amount)
        self._child = start_child(partial(hold_memory, self.amount, self._board))


def own_bytes(*processes: int) -> int:
    """Give the memory that these processes take, what they share counted once; a process that cannot be seen as 0."""
    return sum(_own_bytes(process) for process in processes)


def _own_bytes(process: int) -> int:
    try:
        lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))


def hold_memory(amount: int, board: Board) -> None:
    """Take memory in steps and keep it for as long as it is allowed, full of noise: no page is like another."""
    held = []
    while board.is_allowed:
        size = min(_STEP, amount - board.taken)
        if size > 0:
            held.append(os.urandom(size))
            board.taken += size
        time.sleep(_STEP_SECONDS if size > 0 else _LOOK_SECONDS)
