"""How often a workload's containers restarted lately: a small memory of earlier counts, since the API has only totals.

The first look only sets the baseline, so restarts from before the operator started are not held against a
workload. A pod that appears later brings all of its restarts, and what a vanished pod added stays counted.
"""

from collections import deque
from collections.abc import Iterable
from datetime import timedelta

from homeostat.core.cluster import Pod

_STEPS = 64  # a window is remembered in so many steps at most


class Restarts:
    """The restarts of one workload within one window."""

    __slots__ = ("_added", "_counts", "_window")

    def __init__(self, window: timedelta) -> None:
        self._window = window.total_seconds()
        self._counts: dict[str, int] | None = None  # by pod uid
        self._added: deque[tuple[float, int]] = deque()  # when, how many

    def observe(self, pods: Iterable[Pod], now: float) -> int:
        """Take the pods as they are at `now` (monotonic seconds); give the restarts within the window."""
        counts = {pod.ref.uid: pod.restarts for pod in pods}
        if self._counts is not None:
            before = self._counts
            self._add(sum(max(0, count - before.get(uid, 0)) for uid, count in counts.items()), now)
        self._counts = counts
        while self._added and self._added[0][0] <= now - self._window:
            self._added.popleft()
        return sum(count for _, count in self._added)

    def _add(self, count: int, now: float) -> None:
        if count <= 0:
            return
        if self._added and now - self._added[-1][0] < self._window / _STEPS:
            at, earlier = self._added.pop()
            self._added.append((at, earlier + count))
            return
        self._added.append((now, count))
