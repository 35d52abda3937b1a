"""Objectives made of others: the mean of their members, the worst of them, or the sum of their events (S12).

A composite is a series like any other. What it counts depends on its mode:

Weighted  the mean of the members' ratios over the window, by weight, of as many events as all members have together
All       minutes: of each, the ratio of the member that was worst in it; of old time in as long buckets as are kept
Sum       the events of all members, as if they were one

A member is missing when nothing was known of it throughout the window, nor in the hour before its end: a short window
without traffic is no outage (S5), and the others speak for it. What a missing member counts as is `whenMissing`. Where
all are missing there is no data, whatever that says.
"""

from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from homeostat.api.objective_indicator import CompositeMode, WhenMissing
from homeostat.core.health.dependencies import Graph, find_cycle
from homeostat.core.history.ring import Flags
from homeostat.core.history.series import Buckets, Numbers, Series, Table, counted, end_of_minute, has_data
from homeostat.core.history.window import HOUR, MINUTE, Counts

MOST_MEMBERS, MOST_LEVELS = 256, 8
"""Members on one level of a composite, each as often as it is met, and levels that it has at most."""


@dataclass(frozen=True, slots=True)
class Part:
    """A member: what it counts, exclusions and slices applied, and how often results come; no series: it is missing."""

    name: str
    weight: int
    series: Series | None
    interval: timedelta = timedelta(minutes=1)


@dataclass(frozen=True, slots=True, eq=False)
class _Shares:
    """What members have to say of stretches of time: a row a member, a column a stretch; nothing where total is 0."""

    weights: Numbers
    bad: Table
    total: Table


@dataclass(frozen=True, slots=True, eq=False)
class _Timeline:
    """Stretches of time (epoch s), in each of which one bucket of a member counts at most; what they make up."""

    starts: Numbers
    ends: Numbers
    bad: Numbers
    total: Numbers

    def where(self, chosen: slice | Flags) -> "_Timeline":
        """Give those that are chosen."""
        return _Timeline(self.starts[chosen], self.ends[chosen], self.bad[chosen], self.total[chosen])


class Composite:
    """The series of a composite objective, made anew for each evaluation, as it remembers what it was told."""

    def __init__(self, mode: CompositeMode, when_missing: WhenMissing, parts: Sequence[Part], now: datetime) -> None:
        self._mode = mode
        self._when_missing = when_missing
        self._parts = tuple(parts)
        self._weights = np.array([[float(part.weight)] for part in parts])
        self._end = end_of_minute(now)
        self._known_from = self._end
        self._known: _Timeline | None = None

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

    def buckets(self, since: int, until: int) -> Buckets:
        """Give the range in stretches, each as long as the shortest bucket of a member that counts in it."""
        known = self._timeline(since, until)
        seconds = known.ends - known.starts
        return Buckets(np.stack((known.starts, seconds, known.bad, known.total, np.ceil(seconds / MINUTE))))

    def _together(self, counts: Sequence[Counts], since: int, until: int) -> Counts:
        """Make the members' counts of a range one. What is covered is what any of them covers."""
        missing = sum(
            part.weight
            for part, held in zip(self._parts, counts, strict=True)
            if not has_data(held) and self._is_missing(part, since, until)
        )
        bad, total = self._made(
            np.array([[held.bad] for held in counts]), np.array([[held.total] for held in counts]), np.array([missing])
        )
        observed = max((_spoken_for(part, held) for part, held in zip(self._parts, counts, strict=True)), default=0)
        return counted(
            bad.item(), total.item(), min(observed, _span(counts, until - since)), _span(counts, until - since)
        )

    def _is_missing(self, part: Part, since: int, until: int) -> bool:
        if self._when_missing is WhenMissing.IGNORE:
            return False
        if part.series is None or until - since >= HOUR:
            return True
        return not has_data(part.series.between(until - HOUR, until))

    def _made(self, bad: Table, total: Table, missing: Numbers) -> tuple[Numbers, Numbers]:
        """Give bad and total of what members say, a row each; `missing` is the weight of those that are, by column."""
        if not self._parts:
            return np.zeros(len(missing)), np.zeros(len(missing))
        if self._when_missing is WhenMissing.IGNORE:
            missing = np.zeros(len(missing))
        shares = _Shares(self._weights, bad, total)
        made = _SUMS[self._mode](shares, missing, float(self._when_missing is WhenMissing.BAD))
        is_known = (total > 0).any(axis=0)
        return np.where(is_known, made[0], 0.0), np.where(is_known, made[1], 0.0)

    # --- bucket by bucket ---------------------------------------------------------------------------------

    def _over_time(self, since: int, until: int) -> Counts:
        known = self._timeline(since, until)
        lengths = np.minimum(known.ends, until) - np.maximum(known.starts, since)
        has_events = known.total > 0
        ratios = known.bad[has_events] / known.total[has_events]
        bad, total = float(ratios @ lengths[has_events]), float(lengths[has_events].sum())
        return counted(bad / MINUTE, total / MINUTE, float(lengths.sum()), until - since)

    def _timeline(self, since: int, until: int) -> _Timeline:
        """Give the stretches that touch a range; what was asked for once is remembered."""
        if self._known is None or since < self._known_from:
            self._known = self._swept(since, self._end)
            self._known_from = since
        first = np.searchsorted(self._known.ends, since, "right")
        last = np.searchsorted(self._known.starts, min(until, self._end) - 1, "right")
        return self._known.where(slice(int(first), int(last)))

    def _swept(self, since: int, until: int) -> _Timeline:
        """Lay the members' buckets over each other, and the hour before, as that decides who is missing."""
        lanes = [_Lane(part, since - HOUR, until) for part in self._parts]
        bounds = np.unique(np.concatenate(([since], *(lane.starts for lane in lanes), *(lane.ends for lane in lanes))))
        starts, ends = bounds[:-1], bounds[1:]
        bad, total = np.zeros((2, len(lanes), len(starts)))
        missing, is_known = np.zeros(len(starts)), np.zeros(len(starts), dtype=np.bool_)
        for row, lane in enumerate(lanes):
            bad[row], total[row], has_bucket, known_until = lane.over(starts, ends)
            is_known |= has_bucket
            missing += self._parts[row].weight * (~has_bucket & (ends - known_until >= HOUR))
        return _Timeline(starts, ends, *self._made(bad, total, missing)).where(is_known)


class _Lane:
    """The buckets of one member; each speaks for its interval, as far as to the next."""

    def __init__(self, part: Part, since: int, until: int) -> None:
        self._since = since
        self._buckets = Buckets.of(part.series.buckets(since, until) if part.series else ())
        self.starts = self._buckets.starts
        following = np.append(self.starts[1:], until)[: len(self.starts)]
        spoken_for = np.minimum(self.starts + int(part.interval.total_seconds()), following)
        self.ends = np.maximum(self._buckets.ends, spoken_for)

    def over(self, starts: Numbers, ends: Numbers) -> tuple[Numbers, Numbers, Flags, Numbers]:
        """Give bad and total of stretches that no bucket begins or ends in, where there is one, and since when none."""
        at = np.searchsorted(self.ends, starts, "right")
        known_until = np.append(self._since, self.ends)[at]
        if not len(self.starts):
            return np.zeros(len(starts)), np.zeros(len(starts)), np.zeros(len(starts), dtype=np.bool_), known_until
        inside, of = at < len(self.starts), np.minimum(at, len(self.starts) - 1)
        has_bucket = inside & (self.starts[of] <= starts)
        shares = np.minimum((ends - starts) / self._buckets.seconds[of], 1.0) * has_bucket
        return self._buckets.bad[of] * shares, self._buckets.total[of] * shares, has_bucket, known_until


# --- the modes --------------------------------------------------------------------------------------------


def _weighted(shares: _Shares, missing: Numbers, ratio: float) -> tuple[Numbers, Numbers]:
    total = shares.total.sum(axis=0)
    has_events = shares.total > 0
    weights = (shares.weights * has_events).sum(axis=0) + missing
    mean = (shares.weights * _ratios(shares)).sum(axis=0) + missing * ratio
    return _divided(mean, weights) * total, total


def _worst(shares: _Shares, missing: Numbers, ratio: float) -> tuple[Numbers, Numbers]:
    total = shares.total.sum(axis=0)
    worst = _ratios(shares).max(axis=0)
    return np.maximum(worst, np.where(missing > 0, ratio, 0.0)) * total, total


def _summed(shares: _Shares, missing: Numbers, ratio: float) -> tuple[Numbers, Numbers]:
    """Sum up; a member that is missing has as many events as the others have by weight."""
    bad, total = shares.bad.sum(axis=0), shares.total.sum(axis=0)
    unseen = _divided(total * missing, (shares.weights * (shares.total > 0)).sum(axis=0))
    return bad + unseen * ratio, total + unseen


def _ratios(shares: _Shares) -> Table:
    return _divided(shares.bad, shares.total)


def _divided(what: Table, by: Table) -> Table:
    """Divide; 0 where there is nothing to divide by."""
    return np.divide(what, by, out=np.zeros(what.shape), where=by > 0)


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
