"""When things happen: one heap and one timer of the event loop, for probes and evaluations alike.

There is no task, timer or daemon per object. Wake-ups are coalesced to 5 ms: uvloop's timers tick in
milliseconds, and an exact heap would spin on short sleeps (measured: 37 % of a core against 3 %).
"""

import asyncio
import math
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from homeostat.core.schedule import Schedule
from homeostat.ports import Clock

K = TypeVar("K", bound=Hashable)

COALESCE = 0.005  # seconds


class Timetable(Generic[K]):
    """Starts `start(key, due)` for each key when its time has come. `start` must not block."""

    def __init__(self, clock: Clock, start: Callable[[K, float], None]) -> None:
        self._clock = clock
        self._start = start
        self._schedule: Schedule[K] = Schedule()
        self._timer: asyncio.TimerHandle | None = None
        self._armed_for = math.inf
        self._is_open = False

    def __len__(self) -> int:
        return len(self._schedule)

    def open(self) -> None:
        """Begin to start what is due."""
        self._is_open = True
        self._arm()

    def close(self) -> None:
        """Start nothing any more."""
        self._is_open = False
        self._disarm()

    def add(self, key: K, at: float) -> None:
        """Ask for `key` at monotonic time `at`; the earlier of two requests wins."""
        self._schedule.add(key, at)
        if self._is_open and at < self._armed_for:
            self._arm()

    def add_now(self, key: K) -> None:
        """Ask for `key` as soon as possible."""
        self.add(key, self._clock.monotonic())

    def forget(self, key: K) -> None:
        """Drop whatever was asked for `key`."""
        self._schedule.forget(key)

    def _tick(self) -> None:
        self._timer = None
        self._armed_for = math.inf
        try:
            for key, due in self._schedule.pop_due(self._clock.monotonic()):
                self._start(key, due)
        finally:
            self._arm()  # whatever one start may raise, the clock goes on

    def _arm(self) -> None:
        at = self._schedule.next_at()
        if not self._is_open or at >= self._armed_for:
            return
        self._disarm()
        delay = max(COALESCE, at - self._clock.monotonic())
        self._timer = asyncio.get_running_loop().call_later(delay, self._tick)
        self._armed_for = at

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None
        self._armed_for = math.inf
