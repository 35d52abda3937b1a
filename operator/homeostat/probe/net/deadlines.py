"""Deadlines by the hundred: those that fall into the same hundredth of a second share one timer.

`asyncio.timeout` sets and cancels a timer for each wait, which costs as much as all else that a probe on a kept
connection does in Python. The price of this is that a wait may end up to 10 ms late; it never ends early. When the
loop was busy, it ends once the loop has read what came meanwhile.
"""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Final

PER_SECOND: Final = 100
_LATE_SECONDS: Final = 0.02
_TURN_SECONDS: Final = 0.01


class Watch:
    """One wait of one task."""

    __slots__ = ("_cancellations", "_is_over", "_slot", "_task")

    def __init__(self, task: "asyncio.Task[object]", slot: "set[Watch]") -> None:
        self._task = task
        self._cancellations = task.cancelling()
        self._slot = slot
        self._is_over = False
        slot.add(self)

    def expire(self) -> None:
        """End the wait."""
        self._is_over = True
        self._task.cancel()

    def close(self) -> bool:
        """Stop watching; say whether it was we, and nobody else, who cancelled the task since."""
        self._slot.discard(self)
        if not self._is_over:
            return False
        self._is_over = False
        return self._task.uncancel() <= self._cancellations


class Deadlines:
    """Watches the waits of tasks. `monotonic` gives seconds that never jump."""

    __slots__ = ("_monotonic", "_slots")

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._slots: dict[int, set[Watch]] = {}

    def watch(self, deadline: float) -> Watch:
        """Cancel the current task at `deadline` (monotonic seconds), unless the watch is closed before.

        Whoever asks closes the watch in any case, and by what that gives tells this cancellation from any other.
        """
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("only a task can be watched")
        number = int(deadline * PER_SECOND) + 1
        slot = self._slots.get(number)
        if slot is None:
            slot = self._slots[number] = set()
            seconds = number / PER_SECOND - self._monotonic()
            asyncio.get_running_loop().call_later(max(seconds, 0.0), self._expire, number)
        return Watch(task, slot)

    def _expire(self, number: int, *, is_last: bool = False) -> None:
        """End the waits of a slot; when it was we who slept, only after the loop has read what came meanwhile."""
        if not is_last and self._monotonic() - number / PER_SECOND > _LATE_SECONDS:
            asyncio.get_running_loop().call_later(_TURN_SECONDS, partial(self._expire, number, is_last=True))
            return
        for watch in tuple(self._slots.pop(number)):
            watch.expire()
