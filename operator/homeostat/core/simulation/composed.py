"""The past of an objective that is made of others, made anew for each moment from the pasts of its members.

What it comes to is worked out by the composite that the operator has (`objective.composite`), which is shown no more
than it would have had: minutes of the last six hours, five minutes of three days, and before that hours.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np

from homeostat.api.objective import NoData, ServiceLevelObjectiveSpec
from homeostat.api.objective_indicator import WhenMissing
from homeostat.core.history.series import Buckets, Numbers, Series, Table, end_of_minute
from homeostat.core.history.window import DAY, HOUR, MINUTE, Counts
from homeostat.core.objective.composite import Composite, Part
from homeostat.core.objective.tally import exclusions_of_members, member, slice_seconds
from homeostat.core.simulation.recorded import Recorded, Replayable, Stretch

FIVE_MINUTES = 5 * MINUTE
MINUTES_REACH, FIVES_REACH = 6 * HOUR, 3 * DAY


@dataclass(frozen=True, slots=True)
class Member:
    """An objective that a composite reaches. `series` None: nothing is known of it, or it is a composite itself."""

    spec: ServiceLevelObjectiveSpec
    series: Recorded | None = None
    interval: timedelta = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class _Seen:
    """A member as its composite sees it; `past` None: it is missing."""

    name: str
    weight: int
    spec: ServiceLevelObjectiveSpec | None
    past: "Replayable | None"
    interval: timedelta

    def at(self, now: datetime) -> Part:
        """Give what it counts, as it was: by its method, without what is excluded."""
        if self.spec is None or self.past is None:
            return Part(self.name, self.weight, None)
        series = member(self.spec, self.past.at(now), self.interval, now)
        return Part(self.name, self.weight, series, self.interval)


class Composed:
    """The past of a composite (`recorded.Replayable`). `known`: all objectives that it reaches, by name.

    That its members do not lead back to it is for whoever makes it to see to.
    """

    def __init__(self, spec: ServiceLevelObjectiveSpec, known: Mapping[str, Member]) -> None:
        composite = spec.indicator.composite
        if composite is None:
            raise ValueError("the objective is no composite")
        self._indicator = composite
        self._seen = tuple(_seen_of(spec, known))
        pasts = [one.past for one in self._seen if one.past is not None and len(one.past)]
        self._pasts = pasts
        self._ends = sorted({end for past in pasts for end in past.ends})
        self._latest: tuple[datetime, Composite] | None = None
        self._is_missing_bad = composite.when_missing is WhenMissing.BAD or any(
            is_missing_bad(one.spec) for one in self._seen if one.spec
        )

    def __len__(self) -> int:
        return len(self._ends)

    @property
    def interval(self) -> timedelta:
        """Give how often results come of the member of which they come most seldom."""
        return max((one.interval for one in self._seen if one.past is not None), default=timedelta(minutes=1))

    @property
    def ends(self) -> list[int]:
        """Give the times (epoch s) at which buckets of members end, oldest first."""
        return self._ends

    @property
    def begin(self) -> datetime:
        """Give when the oldest bucket of a member begins."""
        return min(past.begin for past in self._pasts)

    @property
    def end(self) -> datetime:
        """Give when the newest bucket of a member ends."""
        return datetime.fromtimestamp(self._ends[-1], UTC)

    def resolutions(self) -> list[tuple[int, datetime]]:
        """Give the lengths of members' buckets (s), each with the end of the last of them."""
        found: dict[int, datetime] = {}
        for past in self._pasts:
            for length, end in past.resolutions():
                found[length] = max(end, found.get(length, end))
        return sorted(found.items(), reverse=True)

    def gaps(self, since: int, until: int) -> list[Stretch]:
        """Give the stretches of which nothing is known of any member."""
        found = [(since, until)]
        for past in self._pasts:
            found = [gap for start, end in found for gap in past.gaps(start, end)]
        return found

    def next_bad(self, now: datetime) -> datetime | None:
        """Give the next time at which something bad may have been counted; at once where missing data is bad."""
        if self._is_missing_bad:
            return now
        found = [moment for moment in (past.next_bad(now) for past in self._pasts) if moment is not None]
        return min(found, default=None)

    def at(self, now: datetime) -> Composite:
        """Look at it as it was; what a composite was asked once it remembers."""
        if self._latest is None or self._latest[0] != now:
            parts = [one.at(now) for one in self._seen]
            self._latest = now, Composite(self._indicator.mode, self._indicator.when_missing, parts, now)
        return self._latest[1]


def is_missing_bad(spec: ServiceLevelObjectiveSpec) -> bool:
    """Whether an objective counts what is missing as bad: slices alone can."""
    return spec.no_data is NoData.BAD and slice_seconds(spec) > 0


def _seen_of(spec: ServiceLevelObjectiveSpec, known: Mapping[str, Member]) -> Iterator[_Seen]:
    excluded = exclusions_of_members(spec)
    for one in spec.indicator.composite.members if spec.indicator.composite else ():
        found = known.get(one.name)
        if found is None:
            yield _Seen(one.name, one.weight, None, None, timedelta(minutes=1))
            continue
        own = found.spec.model_copy(update={"exclusions": (*found.spec.exclusions, *excluded)})
        past: Replayable | None = None if found.series is None else _Kept(found.series)
        interval = found.interval
        if own.indicator.composite is not None:
            past = composed = Composed(own, known)
            interval = composed.interval
        yield _Seen(one.name, one.weight, own, past, interval)


class _Kept:
    """A past in the buckets that the operator keeps of it (`recorded.Replayable`)."""

    def __init__(self, recorded: Recorded) -> None:
        self._recorded = recorded
        kept = (_summed_up(recorded.table, HOUR), _summed_up(recorded.table, FIVE_MINUTES), recorded.table)
        self._tables = tuple((one, one.ends) for one in kept)
        self._end = 0

    def __len__(self) -> int:
        return len(self._recorded)

    @property
    def ends(self) -> list[int]:
        return self._recorded.ends

    @property
    def begin(self) -> datetime:
        return self._recorded.begin

    @property
    def end(self) -> datetime:
        return self._recorded.end

    def resolutions(self) -> list[tuple[int, datetime]]:
        return self._recorded.resolutions()

    def gaps(self, since: int, until: int) -> list[Stretch]:
        return self._recorded.gaps(since, until)

    def next_bad(self, now: datetime) -> datetime | None:
        return self._recorded.next_bad(now)

    def at(self, now: datetime) -> Series:
        self._recorded.at(now)
        self._end = end_of_minute(now)
        return self

    def last(self, seconds: int) -> Counts:
        return self._recorded.last(seconds)

    def between(self, since: int, until: int) -> Counts:
        return self._recorded.between(since, until)

    def buckets(self, since: int, until: int) -> Buckets:
        """Give the buckets that begin in a range, or before it and end in it; each time in the length it is kept in."""
        fives = (self._end - FIVES_REACH) // HOUR * HOUR
        minutes = (self._end - MINUTES_REACH) // HOUR * HOUR
        until = min(until, self._end)
        bounds = (since, max(since, fives), max(since, minutes), max(since, until))
        parts = [
            _begun_in(*table, first, last, self._end, with_edge=first == since)
            for table, first, last in zip(self._tables, bounds, bounds[1:], strict=False)
            if first < last
        ]
        return Buckets(np.concatenate(parts, axis=1) if parts else np.zeros((5, 0)))


def _begun_in(kept: Buckets, ends: Numbers, since: int, until: int, now: int, *, with_edge: bool) -> Table:
    first = np.searchsorted(ends, since, "right") if with_edge else np.searchsorted(kept.starts, since)
    last = min(np.searchsorted(kept.starts, until), np.searchsorted(ends, now, "right"))
    return kept.table[:, int(first) : max(int(last), int(first))]


def _summed_up(buckets: Buckets, length: int) -> Buckets:
    """Sum buckets up to ones of a length; those that are as long or longer stay as they are."""
    if not len(buckets):
        return buckets
    is_finer = buckets.seconds < length
    starts = np.where(is_finer, buckets.starts // length * length, buckets.starts)
    firsts = np.flatnonzero(np.concatenate(([True], starts[1:] != starts[:-1])))
    sums = np.add.reduceat(buckets.table[2:], firsts, axis=1)
    seconds = np.where(is_finer, length, buckets.seconds)[firsts]
    return Buckets(np.vstack((starts[firsts], seconds, sums)))
