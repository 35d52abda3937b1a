"""Time that does not count against an objective: taken out of its windows, or counted as good (S9).

Nothing is ever dropped: what was counted stays, and each figure is worked out anew from it, so that an exclusion may be
set, moved or taken back as long as its time is in the window. A minute that an exclusion touches is excluded as a
whole, and so is a slice. Where the minutes are gone (after six hours there are buckets of five minutes, after three
days of an hour), a bucket that is excluded in part counts with the share of it that is left: an exclusion's error is at
most what the two buckets at its ends hold.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil

import numpy as np

from homeostat.api.objective import Exclusion, ExclusionMode
from homeostat.core.history.series import Buckets, Numbers, Series, counted, end_of_minute
from homeostat.core.history.window import MINUTE, Counts

Stretch = tuple[int, int]
"""From (epoch s), and up to, without."""


@dataclass(frozen=True, slots=True)
class Cut:
    """What is excluded: stretches in order, none of which meet or overlap. What is removed is not forgiven too."""

    removed: tuple[Stretch, ...]
    forgiven: tuple[Stretch, ...]

    def removed_seconds(self, since: int, until: int) -> int:
        """Say how much of a range is taken out."""
        return sum(end - start for start, end in inside(self.removed, since, until))


def cut(exclusions: Sequence[Exclusion], grain: int = MINUTE) -> Cut:
    """Lay exclusions over each other, each widened to whole `grain` seconds; where they overlap Remove wins."""
    by_mode: dict[ExclusionMode, list[Stretch]] = {mode: [] for mode in ExclusionMode}
    for one in exclusions:
        start = int(one.from_.timestamp() // grain) * grain
        by_mode[one.mode].append((start, ceil(one.to.timestamp() / grain) * grain))
    removed = _joined(by_mode[ExclusionMode.REMOVE])
    return Cut(removed, tuple(_without(_joined(by_mode[ExclusionMode.COUNT_AS_GOOD]), removed)))


def excluded(
    series: Series,
    exclusions: Sequence[Exclusion],
    now: datetime,
    interval: timedelta = timedelta(minutes=1),
    slice_seconds: int = 0,
) -> Series:
    """Give a series without what is excluded; the series itself where nothing is.

    `interval` is how often results come, `slice_seconds` how long a slice is, of a series that counts slices.
    """
    if not exclusions:
        return series
    grain = slice_seconds or MINUTE
    return Excluded(series, cut(exclusions, grain), end_of_minute(now), interval.total_seconds(), slice_seconds)


class Excluded:
    """A series without what is excluded. Time that is removed is not part of the span either.

    What is forgiven is good: the bad events, and time without data, which counts as covered, by good events at the
    rate of the rest of the window (by good slices, where slices are counted), so that it neither earns nor costs.
    """

    def __init__(self, series: Series, cut: Cut, end: int, interval: float, slice_seconds: int) -> None:
        self._series = series
        self._cut = cut
        self._end = end
        self._speaks_for = max(interval / MINUTE, 1.0)
        self._slice = slice_seconds

    def last(self, seconds: int) -> Counts:
        """Count the last `seconds`."""
        return self._apply(self._series.last(seconds), self._end - seconds, self._end)

    def between(self, since: int, until: int) -> Counts:
        """Count a range."""
        return self._apply(self._series.between(since, until), since, until)

    def buckets(self, since: int, until: int) -> Buckets:
        """Give the buckets of a range, each with the share of it that counts; those taken out are not there."""
        whole = Buckets.of(self._series.buckets(since, until))
        removed, forgiven = _shares(self._cut.removed, whole), _shares(self._cut.forgiven, whole)
        table = whole.table.copy()
        table[2] *= np.maximum(1 - removed - forgiven, 0)
        table[3] *= 1 - removed
        return Buckets(table[:, removed < 1], whole.series)

    def _apply(self, counts: Counts, since: int, until: int) -> Counts:
        for start, end in inside(self._cut.removed, since, until):
            out = self._series.between(start, end)
            counts = counted(
                counts.bad - out.bad,
                counts.total - out.total,
                counts.observed_seconds - out.observed_seconds,
                counts.span_seconds - (end - start),
            )
        if not counts.span_seconds:
            return Counts()
        return self._forgive(counts, tuple(inside(self._cut.forgiven, since, until)))

    def _forgive(self, counts: Counts, stretches: tuple[Stretch, ...]) -> Counts:
        rate = counts.total / max(counts.observed_seconds, MINUTE)  # what has data is a minute at least
        for start, end in stretches:
            held = self._series.between(start, end)
            time, events = self._missing(held, end - start, rate)
            counts = counted(
                counts.bad - held.bad,
                counts.total + events,
                counts.observed_seconds + time,
                counts.span_seconds,
            )
        return counts

    def _missing(self, held: Counts, seconds: int, rate: float) -> tuple[float, float]:
        """Give the time that lacks data, as seconds observed, and the good events to fill it with."""
        if self._slice:
            lacking = max(seconds / self._slice - max(held.total, held.observed_seconds / MINUTE), 0.0)
            return lacking * MINUTE, lacking
        time = max(seconds / self._speaks_for - held.observed_seconds, 0.0)
        return (time, time * rate) if rate else (0.0, 0.0)


def inside(stretches: tuple[Stretch, ...], since: int, until: int) -> Iterator[Stretch]:
    """Give what of some stretches lies in a range."""
    for start, end in stretches[max(bisect_right(stretches, (since,)) - 1, 0) :]:
        if start >= until:
            return
        if end > since:
            yield max(start, since), min(end, until)


def _joined(stretches: Iterable[Stretch]) -> tuple[Stretch, ...]:
    joined: list[Stretch] = []
    for start, end in sorted(stretches):
        if joined and start <= joined[-1][1]:
            joined[-1] = joined[-1][0], max(joined[-1][1], end)
        elif start < end:
            joined.append((start, end))
    return tuple(joined)


def _without(stretches: tuple[Stretch, ...], taken: tuple[Stretch, ...]) -> Iterator[Stretch]:
    for since, until in stretches:
        start = since
        for a, b in inside(taken, since, until):
            if start < a:
                yield start, a
            start = b
        if start < until:
            yield start, until


def _shares(stretches: tuple[Stretch, ...], buckets: Buckets) -> Numbers:
    """Give the share of each bucket that lies in some stretches."""
    ends = buckets.ends
    shares = np.zeros(len(buckets))
    if len(buckets):
        for start, end in inside(stretches, int(buckets.starts[0]), int(ends[-1])):
            shares += np.maximum(np.minimum(ends, end) - np.maximum(buckets.starts, start), 0) / buckets.seconds
    return shares
