"""One delay queue for everything that must happen later: by key, and the earlier of two requests wins.

Times are monotonic seconds given by the caller. The canonical due time of a key is `_due`; the heap may hold
superseded entries, which are skipped when they surface and swept when they outnumber the living.
"""

import heapq
import math
from collections.abc import Hashable, Iterator
from datetime import datetime, timedelta
from hashlib import blake2b
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)

_SWEEP_FLOOR = 1024


class Schedule(Generic[K]):
    """Keys and when each is due."""

    __slots__ = ("_due", "_heap", "_sequence")

    def __init__(self) -> None:
        self._due: dict[K, float] = {}
        self._heap: list[tuple[float, int, K]] = []
        self._sequence = 0

    def __len__(self) -> int:
        return len(self._due)

    def add(self, key: K, at: float) -> None:
        """Ask for `key` at time `at`; an earlier request that still waits is kept."""
        due = self._due.get(key)
        if due is not None and due <= at:
            return
        self._due[key] = at
        self._sequence += 1
        heapq.heappush(self._heap, (at, self._sequence, key))
        self._sweep()

    def forget(self, key: K) -> None:
        """Drop whatever was asked for `key`."""
        self._due.pop(key, None)
        self._sweep()

    def next_at(self) -> float:
        """When the next key is due; infinity when none waits."""
        while self._heap and not self._is_living(self._heap[0]):
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else math.inf

    def pop_due(self, now: float) -> Iterator[tuple[K, float]]:
        """Take the keys that are due at `now`, soonest first, each with the time it was due."""
        while self.next_at() <= now:
            at, _, key = heapq.heappop(self._heap)
            del self._due[key]
            yield key, at

    def _is_living(self, entry: tuple[float, int, K]) -> bool:
        at, _, key = entry
        return self._due.get(key) == at

    def _sweep(self) -> None:
        if len(self._heap) <= max(_SWEEP_FLOOR, 2 * len(self._due)):
            return
        self._heap = [entry for entry in self._heap if self._is_living(entry)]
        heapq.heapify(self._heap)


EARLY_WITHIN = 30.0  # seconds


def phase(uid: str, interval: float) -> float:
    """Give the offset of an object inside its interval: stable over restarts, spread evenly (H3)."""
    digest = int.from_bytes(blake2b(uid.encode(), digest_size=8).digest(), "big")
    return digest / 2**64 * interval


def first_run_in(uid: str, interval: float, now: datetime) -> float:
    """Give the seconds from `now` to the next point of wall time that belongs to `uid` (H3)."""
    into = math.fmod(now.timestamp() - phase(uid, interval), interval)
    return interval - into if into > 0 else -into


def early_run_in(uid: str, interval: float, now: datetime) -> tuple[float, float | None]:
    """Give the seconds until a run that shall not wait for its own point of time, and until that if it is later.

    The early run is within half a minute, however long the interval is, and spread like all others (H3).
    """
    early, regular = (first_run_in(uid, span, now) for span in (min(interval, EARLY_WITHIN), interval))
    return early, regular if early < regular else None


def next_run(due: float, interval: float, now: float) -> tuple[float, int]:
    """Give the next start after one that was due at `due`, and how many starts were missed meanwhile.

    Start-to-start: the next is counted from when the last was due, not from when it ended.
    """
    following = due + interval
    missed = max(0, math.floor((now - due) / interval))
    return following + missed * interval, missed


def until(moment: datetime, now: datetime) -> float:
    """Give the seconds from `now` to `moment`, never negative."""
    return max(timedelta(0), moment - now).total_seconds()
