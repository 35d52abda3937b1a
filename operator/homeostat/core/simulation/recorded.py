"""What is known of the past of one indicator, as a series that can be looked at as it was at any time since."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Protocol

import numpy as np

from homeostat.core.history.series import Buckets, Numbers, Series, counted, end_of_minute
from homeostat.core.history.window import MINUTE, Bucket, Counts

Stretch = tuple[int, int]
"""From (epoch s), and up to, without."""


class Replayable(Protocol):
    """A past that can be replayed: of one indicator, or of a composite of several."""

    def __len__(self) -> int:
        """Give the number of buckets with data, or of times at which some end."""
        ...

    @property
    def ends(self) -> Sequence[int]:
        """Give the times (epoch s) at which buckets end, oldest first."""
        ...

    @property
    def begin(self) -> datetime:
        """Give when its oldest bucket begins."""
        ...

    @property
    def end(self) -> datetime:
        """Give when its newest bucket ends."""
        ...

    def resolutions(self) -> list[tuple[int, datetime]]:
        """Give the lengths of its buckets (s), each with the end of the last of them."""
        ...

    def gaps(self, since: int, until: int) -> list[Stretch]:
        """Give the stretches of a range of which nothing is known."""
        ...

    def next_bad(self, now: datetime) -> datetime | None:
        """Give the next time at which something bad may have been counted; None when there is none."""
        ...

    def at(self, now: datetime) -> Series:
        """Look at it as it was."""
        ...


class Recorded:
    """A series (`objective.series.Series`) of buckets that are over: of what came after `now` it knows nothing.

    A bucket at the edge of a window counts with the share of it that is inside.
    """

    def __init__(self, buckets: Iterable[Bucket], series: str = "") -> None:
        ordered = sorted(buckets, key=lambda one: one.start)
        self._buckets = Buckets.of(ordered)
        self._series = series
        self._edges = np.array([edge for one in ordered for edge in (one.start, one.start + one.seconds)], np.float64)
        zero = np.zeros(1)
        columns = (self._buckets.bad, self._buckets.total, self._buckets.table[4] * MINUTE)
        self._sums = tuple(np.repeat(np.concatenate([zero, np.cumsum(one)]), 2)[1:-1] for one in columns)
        self._end = 0

    def __len__(self) -> int:
        return len(self._buckets)

    @property
    def ends(self) -> list[int]:
        """Give the times (epoch s) at which its buckets end, oldest first."""
        return [int(end) for end in self._buckets.ends]

    @property
    def begin(self) -> datetime:
        """Give when its oldest bucket begins."""
        return datetime.fromtimestamp(int(self._buckets.starts[0]), UTC)

    @property
    def end(self) -> datetime:
        """Give when its newest bucket ends."""
        return datetime.fromtimestamp(int(self._buckets.ends[-1]), UTC)

    @property
    def table(self) -> Buckets:
        """Give all of its buckets."""
        return self._buckets

    def gaps(self, since: int, until: int) -> list[Stretch]:
        """Give the stretches of a range (epoch s) that no bucket lies in."""
        return gaps_between(self._buckets.starts, self._buckets.ends, since, until)

    def resolutions(self) -> list[tuple[int, datetime]]:
        """Give the lengths of its buckets (s), each with the end of the last of them."""
        lengths = sorted({int(seconds) for seconds in self._buckets.seconds}, reverse=True)
        ends = self._buckets.ends
        return [
            (length, datetime.fromtimestamp(int(ends[self._buckets.seconds == length].max()), UTC))
            for length in lengths
        ]

    def at(self, now: datetime) -> "Recorded":
        """Look at it as it was; gives itself."""
        self._end = end_of_minute(now)
        return self

    def last(self, seconds: int) -> Counts:
        """Count the last `seconds`, the unfinished minute included."""
        return self.between(self._end - seconds, self._end)

    def between(self, since: int, until: int) -> Counts:
        """Count a range; what is in the future has no data."""
        end = max(min(until, self._end), since)
        bad, total, observed = (self._within(sums, since, end) for sums in self._sums)
        return counted(bad, total, observed, until - since)

    def _within(self, sums: Numbers, since: int, until: int) -> float:
        if not len(self._edges):
            return 0.0
        before, after = np.interp((since, until), self._edges, sums)
        return float(after - before)

    def bucket_at(self, now: datetime) -> Bucket | None:
        """Give the bucket in which a moment, or the one before it, lies; None where nothing is recorded."""
        place = int(np.searchsorted(self._buckets.starts, now.timestamp() - 1, side="right")) - 1
        if place < 0 or self._buckets.ends[place] < now.timestamp():
            return None
        return next(iter(Buckets(self._buckets.table[:, place : place + 1], self._series)))

    def next_bad(self, now: datetime) -> datetime | None:
        """Give the minute after the beginning of the next bucket with bad events that ends after `now`."""
        is_bad = (self._buckets.bad > 0) & (self._buckets.ends > now.timestamp())
        places = np.flatnonzero(is_bad)
        if not len(places):
            return None
        return datetime.fromtimestamp(int(self._buckets.starts[places[0]]) + MINUTE, UTC)

    def buckets(self, since: int, until: int) -> Buckets:
        """Give the buckets with data that lie in a range and are over, oldest first."""
        starts, ends = self._buckets.starts, self._buckets.ends
        inside = (starts >= since) & (ends <= min(until, self._end)) & (self._buckets.total > 0)
        return Buckets(self._buckets.table[:, inside], self._series)


def gaps_between(starts: Numbers, ends: Numbers, since: int, until: int) -> list[Stretch]:
    """Give the stretches of a range that nothing covers; what does comes in order and may touch, but not overlap."""
    inside = (ends > since) & (starts < until)
    begins = np.concatenate(([since], ends[inside]))
    stops = np.concatenate((starts[inside], [until]))
    return [(int(begin), int(stop)) for begin, stop in zip(begins, stops, strict=True) if begin < stop]
