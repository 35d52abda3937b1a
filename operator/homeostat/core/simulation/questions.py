"""What Prometheus is asked for a replay, and what its answers come to.

The queries are those that the operator asks, over ranges that end where its own would. The time that is replayed, and
the days before it that alerts look back on, are asked for by the minute, or where that were too many questions, by
five minutes or by hours; what only the budget's window reaches is asked for by hours, as the operator does itself.
"""

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from math import isfinite, lcm
from typing import Final

import numpy as np

from homeostat.api.objective_indicator import MOST_GROUPS, PrometheusIndicator
from homeostat.core.history.window import DAY, HOUR, MINUTE, Bucket
from homeostat.core.prometheus.answer import Sample
from homeostat.core.prometheus.collecting import (
    MOST_POINTS,
    Entry,
    Finding,
    Memory,
    Points,
    Problem,
    Segment,
    count_up,
    entries,
    explain,
    needs_start,
    read,
)
from homeostat.core.prometheus.comparing import Comparison
from homeostat.core.prometheus.queries import Queries, period_of, queries_of
from homeostat.core.simulation.recorded import Recorded, Stretch, gaps_between

MOST_QUERIES: Final = 400
"""Queries for one objective, with all members that it is made of, or for one trigger."""
SETTLE: Final = 5
"""Seconds after which what was scraped is there."""
POINTS_OF_MANY: Final = 120
"""Points of time that one query asks for where it may give many series."""
FEWEST_POINTS: Final = 24
"""Points of time of a query than which it is not divided further."""
LOOKED_BACK: Final = 3 * DAY
"""How far back of what is replayed the grain stays fine: the longest window of an alert, unless one is given."""
GRAINS: Final = (MINUTE, 5 * MINUTE, HOUR)
_FEWER: Final = 4


@dataclass(frozen=True, slots=True)
class Times:
    """From when windows reach back, from when it is replayed, and until when."""

    begin: datetime
    since: datetime
    until: datetime


def plan(
    indicator: PrometheusIndicator, times: Times, slice_seconds: int = 0, most: int = MOST_QUERIES
) -> tuple[Segment, ...] | None:
    """Give what is asked for, oldest first, in the finest grain that takes at most so many queries; None for none.

    Slices are counted from events of all the time that windows reach, and of buckets no longer than themselves.
    """
    queries, period = queries_of(indicator), period_of(indicator.resolution)
    for grain in GRAINS:
        found = tuple(_segments(queries, period, times, grain, is_even=slice_seconds > 0))
        is_fine = not slice_seconds or grain <= slice_seconds
        if is_fine and len(found) * (1 if queries.total is None else 2) <= most:
            return found
    return None


def _segments(queries: Queries, period: int, times: Times, grain: int, *, is_even: bool) -> Iterator[Segment]:
    step = lcm(period, grain)
    begin = int(times.begin.timestamp()) // HOUR * HOUR
    fine = (
        begin if is_even or grain == HOUR else max(begin, (int(times.since.timestamp()) - LOOKED_BACK) // HOUR * HOUR)
    )
    newest = int(times.until.timestamp()) - SETTLE
    end, last = newest // step * step, newest // period * period
    points = POINTS_OF_MANY if queries.groups or queries.has_counters else MOST_POINTS
    yield from chunks(Segment(begin, min(fine, end), HOUR, HOUR), points)
    yield from chunks(Segment(fine, end, step, grain), points)
    yield from chunks(Segment(max(fine, end), last, period, MINUTE), points)  # what is not a whole step yet


def chunks(whole: Segment, points: int) -> Iterator[Segment]:
    """Divide a segment into ones of so many points at most."""
    longest = points * whole.step
    for start in range(whole.start, whole.end, longest):
        yield replace(whole, start=start, end=min(whole.end, start + longest))


def fewer(segment: Segment) -> tuple[Segment, ...]:
    """Divide a segment that was too much for one answer; () where it is not to be divided further."""
    points = (segment.end - segment.start) // segment.step
    if points <= FEWEST_POINTS:
        return ()
    return tuple(chunks(segment, max(FEWEST_POINTS, points // _FEWER)))


class Gathering:
    """What the answers about one indicator come to, taken in one after another, in the order of time."""

    def __init__(self, indicator: PrometheusIndicator) -> None:
        self.indicator = indicator
        self.queries = queries_of(indicator)
        self._memory: Memory | None = None
        self._entries: dict[str, list[Bucket]] = {}
        self._troubles: Counter[tuple[Problem, bool]] = Counter()
        self._periods = self._clamped = self._partial = 0
        self.until = 0
        """Up to when (epoch s) it was asked for."""

    def asked(self, segment: Segment) -> Segment:
        """Say what a segment is asked for: counters also as they were at its start."""
        if not needs_start(self.queries, self._memory, segment):
            return segment
        return replace(segment, start=segment.start - segment.step)

    def take(self, segment: Segment, part: Points, total: Points, *, is_partial: bool) -> None:
        """Take in what was answered for a segment."""
        self._memory, part, total = count_up(self.queries, self._memory, part, total, segment)
        readings = read(self.queries, part, total, segment)
        self.until = segment.end
        self._periods += len(readings)
        self._partial += len(readings) * is_partial
        self._clamped += sum(reading.is_clamped for reading in readings)
        self._troubles.update((one.problem, one.is_of_part) for one in readings if one.problem is not None)
        for (group, start, seconds), entry in entries(readings, segment).items():
            if seconds == segment.bucket:
                self._entries.setdefault(group, []).append(_bucket(start, seconds, entry))

    def series(self) -> dict[str, Recorded]:
        """Give what was counted: "" is the whole, the others are groups, as many as the operator would count."""
        kept = [group for group in self._entries if group][:MOST_GROUPS]
        return {group: Recorded(self._entries[group]) for group in ("", *kept) if group in self._entries}

    def remarks(self) -> Iterator[str]:
        """Say what was wrong with the answers, and how often; what is merely not there is told by the gaps."""
        for (problem, is_of_part), count in self._troubles.most_common():
            if problem is not Finding.NO_SAMPLES:
                said = explain(problem, self.indicator, is_of_part=is_of_part)[1]
                yield f"{said} ({count} of {self._periods} periods)"
        if len(self._entries) > MOST_GROUPS + 1:
            yield f"there are {len(self._entries) - 1} groups, of which {MOST_GROUPS} are counted"
        if self._clamped:
            yield f"{self._clamped} of {self._periods} periods counted less than none or more than all: taken for those"
        if self._partial:
            yield f"Prometheus warned that {self._partial} of {self._periods} periods are not answered completely"

    def why_nothing(self) -> str:
        """Say why nothing was counted."""
        named = next((one for one, _ in self._troubles.most_common()), (Finding.NO_SAMPLES, False))
        return explain(named[0], self.indicator, is_of_part=named[1])[1]


def _bucket(start: int, seconds: int, entry: Entry) -> Bucket:
    return Bucket("", start, seconds, entry.total - entry.bad, entry.total, entry.observed)


# --- triggers -------------------------------------------------------------------------------------------


def plan_of_values(times: Times, most: int = MOST_QUERIES) -> tuple[Segment, ...] | None:
    """Give when the value of a trigger's query is asked for, in the finest grain that takes at most so many queries."""
    for grain in GRAINS:
        start = -(-int(times.since.timestamp()) // grain) * grain - grain
        found = tuple(chunks(Segment(start, int(times.until.timestamp()) // grain * grain, grain, grain), MOST_POINTS))
        if len(found) <= most:
            return found
    return None


class Values:
    """What the query of a trigger gave over time, and what that means for the trigger (`policy.Watched`).

    The operator takes one finite number for a value, and anything else for none; so does this.
    """

    def __init__(self, points: Points, step: int, comparison: Comparison) -> None:
        self._step = step
        self._comparison = comparison
        self._values = {at: samples[0].value for at, samples in points.items() if _is_value(samples)}
        self._firing = sorted(at for at, value in self._values.items() if comparison.holds(value))
        self.refused = len(points) - len(self._values)
        """Times at which there was an answer, but not one finite number."""

    def __len__(self) -> int:
        return len(self._values)

    @property
    def ends(self) -> list[int]:
        """Give up to when (epoch s) each value counts."""
        return [at + self._step for at in sorted(self._values)]

    def verdict(self, now: datetime) -> bool | None:
        """Say whether the trigger fires; None where there is no value."""
        value = self._values.get(int(now.timestamp()) // self._step * self._step)
        return None if value is None else self._comparison.holds(value)

    def next_look(self, now: datetime) -> datetime | None:
        """Give the next time at which it may fire; None when there is none."""
        place = bisect_right(self._firing, now.timestamp())
        return datetime.fromtimestamp(self._firing[place], UTC) if place < len(self._firing) else None

    def gaps(self, since: int, until: int) -> list[Stretch]:
        """Give the stretches of a range in which there is no value."""
        times = np.array(sorted(self._values), np.float64)
        return gaps_between(times, times + self._step, since, until)

    def resolutions(self) -> list[tuple[int, datetime]]:
        """Give how far its values are apart (s), with when the last of them ends."""
        return [(self._step, datetime.fromtimestamp(max(self._values) + self._step, UTC))] if self._values else []


def _is_value(samples: Sequence[Sample]) -> bool:
    return len(samples) == 1 and isfinite(samples[0].value)
