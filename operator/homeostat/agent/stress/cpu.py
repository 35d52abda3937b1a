"""Use up CPU time: a child for each core that the pod may use, busy for a share of each period.

The share is of CPU time, not of time: a child that waits for its turn makes up for it within the period, not beyond.
An ephemeral container has the smallest weight there is: on a core that others want it gets next to nothing, unless the
pod has a quota, which all of its containers spend together. The counters say what was really used.
"""

import math
import os
import time
from functools import partial
from typing import Final

from typing_extensions import override

from homeostat.agent.fault import Fault
from homeostat.agent.settings import share_of
from homeostat.agent.stress.bounds import cores_bound
from homeostat.agent.stress.child import Board, cpu_seconds_of, is_running, orphans, start_child
from homeostat.core.orders import Order

PERIOD: Final = 0.1
"""Seconds within which a child is busy for its share: the period of the kernel's own quotas."""
_ROUNDS: Final = 1000
"""How often a child counts before it looks at the time: some tens of microseconds."""


class CpuStress(Fault):
    """Use a share of each core. settings: `load` ("80%"), `bounds.cpu` (optional: the pod's sum of limits)."""

    def __init__(self, order: Order) -> None:
        super().__init__(order)
        self.load = share_of(self.settings["load"])
        self.cores = cores_bound(self.settings)
        self._board = Board()
        self._children: dict[int, int] = {}

    @property
    def workers(self) -> int:
        """How many children there are to be: one for each core or part of a core."""
        return max(1, math.ceil(self.cores))

    @property
    def duty(self) -> float:
        """What share of a core each child uses."""
        return self.load * self.cores / self.workers

    @override
    def check(self) -> None:
        self.mechanism = f"busy on {self.workers} x {self.duty:.0%} of a core"

    @override
    def begin(self) -> None:
        self._board.allow(self.order.beat_seconds * self.order.misses)
        self._start()

    @override
    def renew(self, seconds: float) -> None:
        self._board.allow(seconds)
        self._start()

    @override
    def counters(self) -> dict[str, int]:
        used = sum(map(cpu_seconds_of, self._children.values()))
        return {"cores": len(self._children), "cpuMilliseconds": round(used * 1000)}

    @override
    def remains(self) -> list[str]:
        return orphans()

    def _start(self) -> None:
        """Start the children that are not there: at first all, later those that somebody killed."""
        cores = sorted(os.sched_getaffinity(0))
        has_all = self.workers >= len(cores)
        for number in range(self.workers):
            child = self._children.get(number)
            if child is not None and is_running(child):
                continue
            core = cores[number % len(cores)] if has_all else None
            self._children[number] = start_child(partial(burn, self.duty, self._board, core))


def burn(duty: float, board: Board, core: int | None) -> None:
    """Be busy for `duty` of each period, on one core if there is a child for each."""
    if core is not None:
        os.sched_setaffinity(0, {core})
    period_ends = time.monotonic()
    while board.is_allowed:
        period_ends = max(period_ends, time.monotonic() - PERIOD) + PERIOD
        enough = time.thread_time() + duty * PERIOD
        while time.thread_time() < enough and time.monotonic() < period_ends:
            for _ in range(_ROUNDS):
                pass
        time.sleep(max(0.0, period_ends - time.monotonic()))
