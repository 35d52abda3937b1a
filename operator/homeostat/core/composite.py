"""Objectives made of others: the mean of their members, the worst of them, or the sum of their events (S12).

A composite is a series like any other. What it counts depends on its mode:

Weighted  the mean of the members' ratios over the window, by weight, of as many events as all members have together
All       minutes: of each, the ratio of the member that was worst in it; of old time in as long buckets as are kept
Sum       the events of all members, as if they were one

A member is missing when nothing was known of it throughout the window, nor in the hour before its end: a short window
without traffic is no outage (S5), and the others speak for it. What a missing member counts as is `whenMissing`. Where
all are missing there is no data, whatever that says.
"""

from bisect import bisect_right
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import NamedTuple

from homeostat.api.objective_indicator import CompositeMode, WhenMissing
from homeostat.core.dependencies import Graph, find_cycle
from homeostat.core.series import Series, counted, end_of_minute, has_data
from homeostat.core.window import HOUR, MINUTE, Bucket, Counts

MOST_MEMBERS, MOST_LEVELS = 256, 8
"""Members on one level of a composite, each as often as it is met, and levels that it has at most."""


@dataclass(frozen=True, slots=True)
class Part:
    """A member: what it counts, exclusions and slices applied, and how often results come; no series: it is missing."""

    name: str
    weight: int
    series: Series | None
    interval: timedelta = timedelta(minutes=1)


class _Share(NamedTuple):
    """What one member has to say of a stretch of time."""

    weight: int
    bad: float
    total: float


class _Stretch(NamedTuple):
    """A stretch of time (epoch s) in which one bucket of each member counts, at most, and what they make up."""

    start: int
    end: int
    bad: float
    total: float


class Composite:
    """The series of a composite objective, made anew for each evaluation, as it remembers what it was told."""

    def __init__(self, mode: CompositeMode, when_missing: WhenMissing, parts: Sequence[Part], now: datetime) -> None:
        self._mode = mode
        self._when_missing = when_missing
        self._parts = tuple(parts)
        self._end = end_of_minute(now)
        self._known_from = self._end
        self._known: list[_Stretch] = []

    def last(self, seconds: int) -> Counts:
        """Count the last `seconds`."""
        if self._mode is CompositeMode.ALL:
            return self.between(self._end - seconds, self._end)
        return self._together([_last(part, seconds) for part in self._parts], self._end - seconds, self._end)

    def between(self, since: int, until: int) -> Counts:
        """Count a range."""
        if self._mode is CompositeMode.ALL:
            return self._over_time(since, until)
        return self._together([_between(part, since, until) for part in self._parts], since, until)

    def buckets(self, since: int, until: int) -> Sequence[Bucket]:
        """Give the range in stretches, each as long as the shortest bucket of a member that counts in it."""
        return [
            Bucket(
                "", one.start, one.end - one.start, one.total - one.bad, one.total, -(-(one.end - one.start) // MINUTE)
            )
            for one in self._timeline(since, until)
        ]

    def _together(self, counts: Sequence[Counts], since: int, until: int) -> Counts:
        """Make the members' counts of a range one. What is covered is what any of them covers."""
        shares, missing = [], 0
        for part, held in zip(self._parts, counts, strict=True):
            if held.total > 0:
                shares.append(_Share(part.weight, held.bad, held.total))
            elif not has_data(held) and self._is_missing(part, since, until):
                missing += part.weight
        bad, total = self._made(shares, missing)
        observed = max((_spoken_for(part, held) for part, held in zip(self._parts, counts, strict=True)), default=0)
        return counted(bad, total, min(observed, _span(counts, until - since)), _span(counts, until - since))

    def _is_missing(self, part: Part, since: int, until: int) -> bool:
        if self._when_missing is WhenMissing.IGNORE:
            return False
        if part.series is None or until - since >= HOUR:
            return True
        return not has_data(part.series.between(until - HOUR, until))

    def _made(self, shares: Sequence[_Share], missing: int) -> tuple[float, float]:
        """Give bad and total of what members say; `missing` is the weight of those that are."""
        if not shares:
            return 0.0, 0.0
        if self._when_missing is WhenMissing.IGNORE:
            missing = 0
        return _SUMS[self._mode](shares, missing, float(self._when_missing is WhenMissing.BAD))

    # --- bucket by bucket ---------------------------------------------------------------------------------

    def _over_time(self, since: int, until: int) -> Counts:
        bad = total = time = 0.0
        for one in self._timeline(since, until):
            length = min(one.end, until) - max(one.start, since)
            time += length
            if one.total > 0:
                bad += one.bad / one.total * length
                total += length
        return counted(bad / MINUTE, total / MINUTE, time, until - since)

    def _timeline(self, since: int, until: int) -> Sequence[_Stretch]:
        """Give the stretches that touch a range; what was asked for once is remembered."""
        until = min(until, self._end)
        if since < self._known_from:
            self._known = list(self._swept(since, self._end))
            self._known_from = since
        first = bisect_right(self._known, since, key=lambda one: one.end)
        last = bisect_right(self._known, until - 1, key=lambda one: one.start)
        return self._known[first:last]

    def _swept(self, since: int, until: int) -> Iterator[_Stretch]:
        """Go through a range, and the hour before it, as that decides who is missing."""
        lanes = [_Lane(part, since - HOUR, until) for part in self._parts]
        bounds = sorted({since, *(bound for lane in lanes for bound in lane.bounds)})
        for start, end in pairwise(bounds):
            shares, missing, is_known = [], 0, False
            for lane in lanes:
                bucket = lane.at(start)
                is_known = is_known or bucket is not None
                if bucket is not None and bucket.total > 0:
                    part = min((end - start) / bucket.seconds, 1.0)
                    shares.append(_Share(lane.weight, bucket.bad * part, bucket.total * part))
                elif bucket is None and end - lane.known_until >= HOUR:
                    missing += lane.weight
            bad, total = self._made(shares, missing)
            if is_known:
                yield _Stretch(start, end, bad, total)


class _Lane:
    """The buckets of one member, walked along from the oldest to the newest; each speaks for its interval."""

    def __init__(self, part: Part, since: int, until: int) -> None:
        self.weight = part.weight
        self.known_until = since
        self._at = 0
        buckets = part.series.buckets(since, until) if part.series else ()
        speaks_for = int(part.interval.total_seconds())
        starts = [bucket.start for bucket in buckets[1:]] + [until]
        self._buckets = [
            (bucket.start, max(bucket.start + bucket.seconds, min(bucket.start + speaks_for, following)), bucket)
            for bucket, following in zip(buckets, starts, strict=False)
        ]

    @property
    def bounds(self) -> Iterator[int]:
        """Give where buckets begin and end."""
        for start, end, _ in self._buckets:
            yield start
            yield end

    def at(self, start: int) -> Bucket | None:
        """Give the bucket that a time lies in; times are asked for in order."""
        while self._at < len(self._buckets) and self._buckets[self._at][1] <= start:
            self.known_until = self._buckets[self._at][1]
            self._at += 1
        if self._at < len(self._buckets) and self._buckets[self._at][0] <= start:
            return self._buckets[self._at][2]
        return None


# --- the modes --------------------------------------------------------------------------------------------


def _weighted(shares: Sequence[_Share], missing: int, ratio: float) -> tuple[float, float]:
    total = sum(share.total for share in shares)
    weights = sum(share.weight for share in shares) + missing
    mean = (sum(share.weight * share.bad / share.total for share in shares) + missing * ratio) / weights
    return mean * total, total


def _worst(shares: Sequence[_Share], missing: int, ratio: float) -> tuple[float, float]:
    total = sum(share.total for share in shares)
    worst = max(share.bad / share.total for share in shares)
    return max(worst, ratio if missing else 0.0) * total, total


def _summed(shares: Sequence[_Share], missing: int, ratio: float) -> tuple[float, float]:
    """Sum up; a member that is missing has as many events as the others have by weight."""
    bad, total = sum(share.bad for share in shares), sum(share.total for share in shares)
    unseen = total * missing / sum(share.weight for share in shares)
    return bad + unseen * ratio, total + unseen


_SUMS = {CompositeMode.WEIGHTED: _weighted, CompositeMode.ALL: _worst, CompositeMode.SUM: _summed}


def _last(part: Part, seconds: int) -> Counts:
    return part.series.last(seconds) if part.series else Counts()


def _between(part: Part, since: int, until: int) -> Counts:
    return part.series.between(since, until) if part.series else Counts()


def _spoken_for(part: Part, counts: Counts) -> float:
    return counts.observed_seconds * max(part.interval.total_seconds() / MINUTE, 1.0)


def _span(counts: Iterable[Counts], seconds: int) -> int:
    """Give the longest span of the members: what one of them excludes others may have lived through."""
    return max((held.span_seconds for held in counts), default=0) or seconds


# --- what can be wrong with it ----------------------------------------------------------------------------


def problem(graph: Graph, name: str) -> tuple[str, str] | None:
    """Give a reason and a message why a composite cannot be worked out at all; None when it can.

    `graph` has the members of all composites of a namespace.
    """
    way = find_loop(graph, name)
    if way:
        return "CompositeCycle", f"Members lead back to where they came from: {' -> '.join(way)}."
    if _is_too_large(graph, name):
        return "CompositeTooLarge", f"More than {MOST_LEVELS} levels of members, or {MOST_MEMBERS} on one of them."
    return None


def find_loop(graph: Graph, name: str) -> tuple[str, ...]:
    """Give a way from `name` that ends where it already was, as `a, b, c, b`; () when there is none.

    There is one where `name` is in a cycle, and where it only leads to one.
    """
    came_from: dict[str, str] = {}
    waiting = deque([name])
    seen = {name}
    while waiting:
        here = waiting.popleft()
        cycle = find_cycle(graph, here)
        if cycle:
            return (*_way(came_from, name, here), *cycle[1:])
        for there in graph.get(here, ()):
            if there not in seen:
                seen.add(there)
                came_from[there] = here
                waiting.append(there)
    return ()


def missing_members(members: Iterable[str], known: Iterable[str]) -> tuple[str, str] | None:
    """Give the reason and message of members that there are none of; None when all are there."""
    there = set(known)
    absent = sorted(name for name in members if name not in there)
    if not absent:
        return None
    return "MemberMissing", f"There is no such ServiceLevelObjective, or it is not evaluated: {', '.join(absent)}."


def _is_too_large(graph: Graph, name: str) -> bool:
    level = Counter({name: 1})
    for _ in range(MOST_LEVELS + 1):
        below: Counter[str] = Counter()
        for one, times in level.items():
            for member in graph.get(one, ()):
                below[member] += times
        if not below:
            return False
        if below.total() > MOST_MEMBERS:
            return True
        level = below
    return True


def _way(came_from: Mapping[str, str], start: str, end: str) -> tuple[str, ...]:
    way = [end]
    while way[-1] != start:
        way.append(came_from[way[-1]])
    return tuple(reversed(way))
