"""What the windows of an objective hold, as its method counts (S4, S7), and its exclusions applied (S9).

Whatever is counted, a window comes out the same: bad, total, the seconds that are spoken for and the span, so that
bad / total is its ratio, observed / span its coverage, and the burn rate follows.

Occurrences      events; a result speaks for its interval
Timeslices       bad slices of all slices that the span has room for, not of those with data alone
RatioTimeslices  the sum of the slices' ratios, of the slices with data: their mean

A slice without data is bad if `noData: Bad` says so, from the first data on, as far back as a period goes, and once
it had time to arrive. Otherwise it is not bad: of Timeslices it is then as good as a good one, of RatioTimeslices no
part of the mean. One in which there was nothing to count is not without data (S5). A window in which nothing was
counted has no data, however it is sliced.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal

from homeostat.api.objective import BudgetingMethod, Exclusion, NoData, ServiceLevelObjectiveSpec
from homeostat.api.objective_indicator import CompositeMode
from homeostat.core.history.series import Series, counted, end_of_minute, first_data
from homeostat.core.history.window import MINUTE, Bucket, Counts
from homeostat.core.objective.burn import coverage, filled
from homeostat.core.objective.calendar import Period, longest
from homeostat.core.objective.exclusions import cut, excluded

NOTHING = Counts()


class Sliced:
    """A series of slices, seen by its method."""

    def __init__(self, series: Series, spec: ServiceLevelObjectiveSpec, interval: timedelta, now: datetime) -> None:
        self._series = series
        self._slice = slice_seconds(spec)
        self._is_of_all = spec.budgeting.method is BudgetingMethod.TIMESLICES
        self._are_missing_bad = spec.no_data is NoData.BAD
        self._end = end_of_minute(now)
        self._reach = int(longest(spec.window).total_seconds())
        self._lived_since: int | None = None
        grace = max(self._slice, int(interval.total_seconds()))
        self._settled = (int(now.timestamp()) - grace) // self._slice * self._slice

    def last(self, seconds: int) -> Counts:
        """Count the last `seconds`."""
        return self._seen(self._series.last(seconds), self._end - seconds, self._end)

    def between(self, since: int, until: int) -> Counts:
        """Count a range."""
        return self._seen(self._series.between(since, until), since, until)

    def buckets(self, since: int, until: int) -> Iterable[Bucket]:
        """Give the slices as they were counted."""
        return self._series.buckets(since, until)

    def _seen(self, counts: Counts, since: int, until: int) -> Counts:
        known = max(counts.total, counts.observed_seconds / MINUTE)
        is_complete = known >= counts.span_seconds / self._slice - 1  # but for the one that is not over
        missing = self._missing(since, until) if self._are_missing_bad and not is_complete else 0.0
        total, observed = counts.total + missing, min(known * self._slice, float(counts.span_seconds))
        if total > 0 and self._is_of_all:
            total = max(counts.span_seconds / self._slice, total)
        return counted(counts.bad + missing, total, observed, counts.span_seconds)

    def _missing(self, since: int, until: int) -> float:
        """Count the slices that had time to arrive and did not."""
        since, until = max(since, self._first()), min(until, self._settled)
        if since >= until:
            return 0.0
        lived = self._series.between(since, until)
        return max(lived.span_seconds / self._slice - max(lived.total, lived.observed_seconds / MINUTE), 0.0)

    def _first(self) -> int:
        """Give the first slice after the first data there is, as far back as a period goes; asked for once."""
        if self._lived_since is None:
            found = first_data(self._series, self._end - self._reach, self._settled)
            self._lived_since = self._end if found is None else -(-found // self._slice) * self._slice
        return self._lived_since


def member(spec: ServiceLevelObjectiveSpec, series: Series, interval: timedelta, now: datetime) -> Series:
    """Give what an objective counts, as a composite sees it: by its method, and without what it excludes.

    `interval` is how often results come.
    """
    grain = slice_seconds(spec)
    counts = excluded(series, _own_exclusions(spec), now, interval, grain)
    return Sliced(counts, spec, interval, now) if grain else counts


def exclusions_of_members(spec: ServiceLevelObjectiveSpec) -> tuple[Exclusion, ...]:
    """Give what a composite excludes of each of its members.

    A mean of ratios over a window says nothing of a part of it, so nothing can be taken out of it afterwards. Where
    it is made up minute by minute (All) it can, and a minute that is taken out is none in which a member is missing.
    """
    composite = spec.indicator.composite
    return () if composite is None or composite.mode is CompositeMode.ALL else spec.exclusions


def _own_exclusions(spec: ServiceLevelObjectiveSpec) -> tuple[Exclusion, ...]:
    """Give what is excluded of an objective's own series: what its members do without already is not in it."""
    return () if exclusions_of_members(spec) else spec.exclusions


def slice_seconds(spec: ServiceLevelObjectiveSpec) -> int:
    """Give the length of a slice; 0 where events are counted."""
    budgeting = spec.budgeting
    if budgeting.method is BudgetingMethod.OCCURRENCES or budgeting.slice is None:
        return 0
    return max(int(budgeting.slice.total_seconds()), MINUTE)


@dataclass(frozen=True, slots=True)
class Standing:
    """What an objective's period holds so far.

    consumed = bad / total / B x `share`: the share of the period that is spent, at the rate of what was counted.
    `coverage` is observed / period (S6), `elapsed_coverage` that of the part of the period that has passed.
    """

    counts: Counts
    counted: float
    share: Decimal
    coverage: Decimal
    elapsed_coverage: Decimal


class Tally:
    """Answers what the windows of one series hold, each asked for once."""

    def __init__(
        self,
        spec: ServiceLevelObjectiveSpec,
        series: Series | None,
        interval: timedelta,
        period: Period,
        now: datetime,
    ) -> None:
        self._spec = spec
        self._period = period
        self._end = end_of_minute(now)
        self._slice = slice_seconds(spec)
        self._speaks_for = 1.0 if self._slice else max(interval.total_seconds() / MINUTE, 1.0)
        self._events: Series | None = None
        self._series: Series | None = None
        if series is not None:
            self._events = excluded(series, _own_exclusions(spec), now, interval, self._slice)
            self._series = Sliced(self._events, spec, interval, now) if self._slice else self._events
        self._known: dict[timedelta, Counts] = {}

    def last(self, window: timedelta) -> Counts:
        """Count the time that ends now."""
        known = self._known.get(window)
        if known is None:
            counts = NOTHING if self._series is None else self._series.last(int(window.total_seconds()))
            known = self._known[window] = self._spoken(counts)
        return known

    def events(self, window: timedelta) -> Counts:
        """Count what really was there in the time that ends now: slices with data alone."""
        if not self._slice or self._events is None:
            return self.last(window)
        return self._events.last(int(window.total_seconds()))

    def filled(self, window: timedelta) -> Counts:
        """Count the time that ends now, what has no data filled up by good events; all slices are there anyway."""
        return self.last(window) if self._is_of_all else filled(self.last(window))

    def standing(self) -> Standing:
        """Count the objective's own period."""
        if self._spec.window.calendar is None:
            counts = self.last(self._period.length)
            length = counts.span_seconds
        else:
            start, end = (int(bound.timestamp()) for bound in (self._period.start, self._period.end))
            counts = NOTHING if self._series is None else self._spoken(self._series.between(start, self._end))
            length = end - start - self._removed(start, end)
        of_slices = counts.observed_seconds / self._slice if self._is_of_all else counts.total
        whole = self._over(counts, length)
        covered = coverage(replace(counts, span_seconds=max(length, counts.span_seconds)))
        return Standing(whole, of_slices, Decimal(1) if self._is_of_all else covered, covered, coverage(counts))

    @property
    def _is_of_all(self) -> bool:
        return self._spec.budgeting.method is BudgetingMethod.TIMESLICES and self._slice > 0

    def _spoken(self, counts: Counts) -> Counts:
        if self._speaks_for <= 1:
            return counts
        observed = min(counts.observed_seconds * self._speaks_for, float(counts.span_seconds))
        return replace(counts, observed_seconds=observed)

    def _over(self, counts: Counts, length: int) -> Counts:
        """Give the counts of a whole period, whose slices still to come are none of the bad."""
        if not self._is_of_all or counts.total <= 0:
            return counts
        return counted(counts.bad, max(length / self._slice, counts.total), counts.observed_seconds, length)

    def _removed(self, start: int, end: int) -> int:
        if not self._spec.exclusions:
            return 0
        return cut(self._spec.exclusions, self._slice or MINUTE).removed_seconds(start, end)
