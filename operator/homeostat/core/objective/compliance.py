"""How an objective was kept in a calendar month: exact fractions, from the hours that history has of it.

The budget of a month is B of its time, less what exclusions take out. Consumed of it is the share of bad events of
the time that had data (Occurrences, RatioTimeslices), or the bad slices (Timeslices): as in the status, time without
data spends nothing, and proves nothing. A month is so missed once more than its budget is gone, whatever the share of
bad events of the time that was measured; and while the time without data could change that, it is not met either.

Hours are the finest that lasts: where a day or an exclusion cuts through one, it counts with the share of it that is
inside, unless finer ones are given of it.
"""

from bisect import bisect_left, bisect_right
from calendar import monthrange
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from functools import reduce
from itertools import pairwise
from math import ceil, floor, sqrt
from typing import NamedTuple
from zoneinfo import ZoneInfo

from homeostat.api.objective import BudgetingMethod, Exclusion, ExclusionMode
from homeostat.core.history.window import HOUR, MINUTE

NOISE = Fraction(1, 20)
"""A change by less than this share of the budget is none; nor is one that two standard deviations explain."""
COVERED = Fraction(95, 100)
"""The share of the time that must have data for a month to be met: as in the status, where less is provisional."""
_MONTHS = 12
_ROUNDED = Fraction(1, 1_000_000)
"""How far, in parts, sums of stored numbers may be off."""


class Verdict(StrEnum):
    """Whether the objective was kept. Of a day or an hour: whether what was counted in it was good enough."""

    MET = "Met"  # budget is left, and time without data cannot change that
    INCOMPLETE = "Incomplete"  # budget is left, but too much time has no data, or what little has none decides
    MISSED = "Missed"  # more than the budget is gone
    NO_DATA = "NoData"


class Course(StrEnum):
    """How a month compares with those before it."""

    BETTER = "Better"
    SAME = "Same"  # the difference is within the noise
    WORSE = "Worse"
    UNKNOWN = "Unknown"  # one side has no data


class Stretch(NamedTuple):
    """From `since` up to, without, `until` (epoch s)."""

    since: int
    until: int


@dataclass(frozen=True, slots=True)
class Month:
    """A month of a calendar, by the clocks of a zone."""

    year: int
    month: int
    zone: ZoneInfo

    def back(self, months: int) -> "Month":
        """Give the month so many before this one."""
        year, month = divmod(self.year * _MONTHS + self.month - 1 - months, _MONTHS)
        return Month(year, month + 1, self.zone)

    @property
    def stretch(self) -> Stretch:
        """From its first midnight to that of the next: an hour longer or shorter where clocks are changed."""
        following = self.back(-1)
        return Stretch(self._midnight(1), following._midnight(1))  # noqa: SLF001 - another of ourselves

    def days(self) -> tuple[Stretch, ...]:
        """Give its days."""
        _, count = monthrange(self.year, self.month)
        midnights = (*(self._midnight(day) for day in range(1, count + 1)), self.stretch.until)
        return tuple(Stretch(*each) for each in pairwise(midnights))

    def _midnight(self, day: int) -> int:
        return int(datetime(self.year, self.month, day, tzinfo=self.zone).timestamp())


@dataclass(frozen=True, slots=True)
class Hour:
    """What history has of an hour, or of a part of one: `observed` is the time (s) with data.

    A part can have been observed for longer than it lasts: of slices, or where a result speaks for the time after it.
    """

    start: int
    end: int
    bad: Fraction = Fraction(0)
    total: Fraction = Fraction(0)
    observed: Fraction = Fraction(0)

    def cut(self, since: int, until: int) -> "Hour":
        """Give the part of it that lies in a range, with its share of all."""
        if since <= self.start and self.end <= until:
            return self
        start, end = max(self.start, since), min(self.end, until)
        share = Fraction(end - start, self.end - self.start)
        return Hour(start, end, self.bad * share, self.total * share, self.observed * share)


@dataclass(frozen=True, slots=True)
class Measure:
    """What the figures are held against. `slice_seconds` with the methods that count slices.

    `are_missing_bad`: a slice without data is bad (`noData: Bad`), from the first data of the month on.
    """

    objective: Decimal
    method: BudgetingMethod = BudgetingMethod.OCCURRENCES
    slice_seconds: int = 0
    exclusions: tuple[Exclusion, ...] = ()
    are_missing_bad: bool = False

    @property
    def bad_share(self) -> Fraction:
        """B: the share of events, or of slices, that may be bad."""
        return (100 - Fraction(self.objective)) / 100


@dataclass(frozen=True, slots=True)
class Kept:
    """What was counted in a stretch of time; `span` (s) is its length less what exclusions remove."""

    bad: Fraction = Fraction(0)
    total: Fraction = Fraction(0)
    observed: Fraction = Fraction(0)
    span: Fraction = Fraction(0)

    def __add__(self, other: "Kept") -> "Kept":
        """Put two stretches together."""
        return Kept(
            self.bad + other.bad, self.total + other.total, self.observed + other.observed, self.span + other.span
        )

    @property
    def coverage(self) -> Fraction:
        """The share of the time that had data."""
        return min(self.observed / self.span, Fraction(1)) if self.span else Fraction(0)

    def events(self, measure: Measure) -> Fraction:
        """Give what bad ones are a share of: for Timeslices all slices there were time for (S7)."""
        if measure.method is BudgetingMethod.TIMESLICES and self.total:
            return max(self.span / measure.slice_seconds, self.total)
        return self.total

    def bad_ratio(self, measure: Measure) -> Fraction | None:
        """Give the share of bad events, None without data: that is not 100 % (S5)."""
        events = self.events(measure)
        return min(max(self.bad / events, Fraction(0)), Fraction(1)) if events > 0 else None

    def counted_seconds(self, measure: Measure) -> Fraction:
        """Give the time that the share of bad events is about: for Timeslices all of it, else that with data."""
        return self.span if measure.method is BudgetingMethod.TIMESLICES else min(self.observed, self.span)

    def lost_seconds(self, measure: Measure) -> Fraction:
        """Give the time that the budget pays for."""
        if measure.method is BudgetingMethod.TIMESLICES:
            return min(self.bad * measure.slice_seconds, self.span)
        return (self.bad_ratio(measure) or Fraction(0)) * self.counted_seconds(measure)


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a report. `sli` is a ratio of what was counted; `consumed` is of the budget of the whole month.

    Both are None without data.
    """

    name: str
    stretch: Stretch
    kept: Kept
    events: Fraction
    sli: Fraction | None
    verdict: Verdict
    consumed: Fraction | None


@dataclass(frozen=True, slots=True)
class Compliance:
    """A month. `budget_seconds` and `lost_seconds` read the budget as time; `gaps` had no data at all.

    `is_over`: no more can come; else all is so far, and only the budget is that of the whole month. `counted_share`:
    the share of the month that the SLI is about; consumed = burn x that.
    """

    month: Month
    measure: Measure
    is_over: bool
    whole: Row
    budget_seconds: Fraction
    lost_seconds: Fraction
    counted_share: Fraction
    days: tuple[Row, ...]
    worst_day: Row | None
    worst_hour: Row | None
    gaps: tuple[Stretch, ...]
    exclusions: tuple[Exclusion, ...]
    groups: tuple[Row, ...] = ()
    previous: tuple[Row, ...] = ()
    course: Course = Course.UNKNOWN

    @property
    def is_complete(self) -> bool:
        """Whether nothing is to come and nothing is lacking."""
        return self.is_over and self.whole.kept.coverage == 1

    @property
    def burn(self) -> Fraction | None:
        """How much of the budget would be consumed if the whole month were as what was counted."""
        ratio = self.whole.kept.bad_ratio(self.measure)
        return None if ratio is None else ratio / self.measure.bad_share


def cut_hours(measure: Measure, stretch: Stretch) -> tuple[int, ...]:
    """Give the starts of the hours of a stretch that an exclusion cuts through: finer counts of them are of use."""
    edges = (edge for one in measure.exclusions for edge in _stretch(one, measure))
    return tuple(
        sorted({edge // HOUR * HOUR for edge in edges if edge % HOUR and stretch.since <= edge < stretch.until})
    )


def finest(hour: Hour, finer: Iterable[Sequence[Hour]]) -> tuple[Hour, ...]:
    """Choose what to know an hour by. `finer`: shorter buckets in it, by length, longest first.

    A bucket is divided only where shorter ones know all that it knows: what is past its retention is not nothing.
    """
    chosen: tuple[Hour, ...] = (hour,)
    for level in finer:
        chosen = tuple(part for whole in chosen for part in _divided(whole, level))
    return chosen


def _divided(whole: Hour, level: Iterable[Hour]) -> Sequence[Hour]:
    parts = [one for one in level if whole.start <= one.start and one.end <= whole.end]
    total, observed = (sum(part.total for part in parts), sum(part.observed for part in parts))
    return parts if parts and total >= whole.total * (1 - _ROUNDED) and observed >= whole.observed else (whole,)


def refined(hours: Iterable[Hour], finer: Iterable[Hour]) -> tuple[Hour, ...]:
    """Put finer parts in the place of the hours that they are parts of."""
    parts = tuple(finer)
    divided = {part.start // HOUR for part in parts}
    kept = (hour for hour in hours if hour.start // HOUR not in divided)
    return tuple(sorted((*kept, *parts), key=lambda hour: hour.start))


def filled(hours: Sequence[Hour], finer: Iterable[Hour] = ()) -> tuple[Hour, ...]:
    """Let each result speak for the time until the next: an hour is full when it has as much as the fullest has.

    Of a check that runs every five minutes one minute in five has data. The same for the `finer` parts of some hours.
    """
    whole = (hour.observed for hour in hours if hour.end - hour.start == HOUR)
    fullest = max(whole, default=Fraction(0))
    if not 0 < fullest < HOUR:
        return refined(hours, finer)
    scale = HOUR / fullest
    full = (replace(hour, observed=min(hour.observed * scale, Fraction(hour.end - hour.start))) for hour in hours)
    return refined(full, (replace(part, observed=part.observed * scale) for part in finer))


def report(month: Month, hours: Sequence[Hour], measure: Measure, now: int) -> Compliance:
    """Work out a month that has begun. `hours` are in order and do not overlap; more than the month may be there."""
    since, end = month.stretch
    stretch = Stretch(since, min(end, now))
    edges = [day.since for day in month.days()]
    parts = tuple(_judged(_parts(hours, stretch, measure, edges), measure))
    whole = _row("", stretch, parts, measure)
    budget = measure.bad_share * _span(Stretch(since, end), measure)
    lost = whole.kept.lost_seconds(measure)
    whole = _concluded(_consuming(whole, whole, budget, measure), budget, measure)
    days = tuple(
        _consuming(_row("", day, _inside(parts, day), measure), whole, budget, measure)
        for day in _begun(month.days(), stretch.until)
    )
    worst = max((part for part in _by_hour(parts) if part.bad > 0), key=lambda hour: hour.bad, default=None)
    return Compliance(
        month=month,
        measure=measure,
        is_over=now >= end,
        whole=whole,
        budget_seconds=budget,
        lost_seconds=lost,
        counted_share=whole.kept.counted_seconds(measure) * measure.bad_share / budget if budget else Fraction(0),
        days=days,
        worst_day=max((day for day in days if day.kept.bad > 0), key=lambda day: day.kept.bad, default=None),
        worst_hour=None if worst is None else _hourly(worst, whole, budget, measure),
        gaps=tuple(_gaps(parts)),
        exclusions=tuple(one for one in measure.exclusions if _overlaps(one, Stretch(since, end), measure)),
    )


def outline(name: str, month: Month, hours: Sequence[Hour], measure: Measure, now: int) -> Row:
    """Work out a month as one line: of a group, or of an earlier month."""
    since, end = month.stretch
    stretch = Stretch(since, min(end, now))
    row = _row(name, stretch, _judged(_parts(hours, stretch, measure, ()), measure), measure)
    budget = measure.bad_share * _span(Stretch(since, end), measure)
    return _concluded(_consuming(row, row, budget, measure), budget, measure)


def course(row: Row, earlier: Iterable[Row], measure: Measure) -> Course:
    """Compare a month with all earlier ones together."""
    before = reduce(Kept.__add__, (one.kept for one in earlier if one.sli is not None), Kept())
    now, then = row.kept.bad_ratio(measure), before.bad_ratio(measure)
    if now is None or then is None:
        return Course.UNKNOWN
    change = now - then
    deviation = sqrt(_variance(now, row.events) + _variance(then, before.events(measure)))
    if abs(change) <= measure.bad_share * NOISE or abs(change) <= 2 * deviation:
        return Course.SAME
    return Course.WORSE if change > 0 else Course.BETTER


def _variance(ratio: Fraction, events: Fraction) -> float:
    return float(ratio * (1 - ratio) / events)


# --- rows -----------------------------------------------------------------------------------------------


def _row(name: str, stretch: Stretch, parts: Iterable[Hour], measure: Measure) -> Row:
    """Sum up; `consumed` is still open."""
    with_data = [part for part in parts if part.observed or part.total]
    bad, total = sum(part.bad for part in with_data), sum(part.total for part in with_data)
    observed = sum(part.observed for part in with_data)
    kept = Kept(Fraction(bad), Fraction(total), Fraction(observed), _span(stretch, measure))
    ratio = kept.bad_ratio(measure)
    sli = None if ratio is None else 1 - ratio
    return Row(name, stretch, kept, kept.events(measure), sli, _verdict(ratio, measure), None)


def _verdict(bad_ratio: Fraction | None, measure: Measure) -> Verdict:
    if bad_ratio is None:
        return Verdict.NO_DATA
    return Verdict.MET if bad_ratio <= measure.bad_share else Verdict.MISSED


def _concluded(row: Row, budget: Fraction, measure: Measure) -> Row:
    """Say of a month whether it was kept, by its budget; were time without data as the rest, that must stay so."""
    ratio, kept = row.kept.bad_ratio(measure), row.kept
    if row.consumed is None or ratio is None:
        return row
    if row.consumed > 1:
        return replace(row, verdict=Verdict.MISSED)
    is_sure = kept.coverage >= COVERED and ratio * kept.span <= budget
    return replace(row, verdict=Verdict.MET if is_sure else Verdict.INCOMPLETE)


def _consuming(row: Row, whole: Row, budget: Fraction, measure: Measure) -> Row:
    """Say what a part of the month took of its budget: as much of all as it has of the bad events."""
    if row.sli is None or not budget:
        return row
    share = row.kept.bad / whole.kept.bad if whole.kept.bad else Fraction(0)
    return replace(row, consumed=whole.kept.lost_seconds(measure) / budget * share)


def _hourly(part: Hour, whole: Row, budget: Fraction, measure: Measure) -> Row:
    return _consuming(_row("", Stretch(part.start, part.end), [part], measure), whole, budget, measure)


def _by_hour(parts: Iterable[Hour]) -> Iterator[Hour]:
    """Join parts of one clock hour again."""
    joined: Hour | None = None
    for part in parts:
        if joined is not None and part.start // HOUR == joined.start // HOUR:
            joined = Hour(
                joined.start, part.end, joined.bad + part.bad, joined.total + part.total,
                joined.observed + part.observed,
            )  # fmt: skip
            continue
        if joined is not None:
            yield joined
        joined = part
    if joined is not None:
        yield joined


def _begun(days: Iterable[Stretch], until: int) -> Iterator[Stretch]:
    yield from (Stretch(day.since, min(day.until, until)) for day in days if day.since < until)


def _inside(parts: Iterable[Hour], stretch: Stretch) -> Iterator[Hour]:
    return (part for part in parts if stretch.since <= part.start < stretch.until)


def _gaps(parts: Iterable[Hour]) -> Iterator[Stretch]:
    """Give the stretches, whole hours or what exclusions leave of them, without any data."""
    gap: Stretch | None = None
    for part in parts:
        if part.observed > 0:
            continue
        if gap is not None and gap.until == part.start:
            gap = Stretch(gap.since, part.end)
            continue
        if gap is not None:
            yield gap
        gap = Stretch(part.start, part.end)
    if gap is not None:
        yield gap


def _judged(parts: Iterable[Hour], measure: Measure) -> Iterator[Hour]:
    """Add the slices without data as bad ones, where they are; not in the hour in which the first data came."""
    has_begun = False
    for part in parts:
        lacking = Fraction(part.end - part.start) - part.observed
        missing = floor(max(lacking, Fraction(0)) / measure.slice_seconds) if measure.slice_seconds else 0
        is_bad = has_begun and measure.are_missing_bad
        yield replace(part, bad=part.bad + missing, total=part.total + missing) if is_bad else part
        has_begun = has_begun or part.observed > 0


# --- exclusions -----------------------------------------------------------------------------------------


def _parts(hours: Iterable[Hour], stretch: Stretch, measure: Measure, edges: Iterable[int]) -> Iterator[Hour]:
    """Cut hours where a day or an exclusion begins or ends; leave out what is removed, take for good what is told."""
    excluded = [(_stretch(one, measure), one.mode) for one in measure.exclusions if _overlaps(one, stretch, measure)]
    cuts = sorted({*edges, *(edge for one, _ in excluded for edge in one)})
    found = [
        (part, modes)
        for part in _pieces(hours, stretch, cuts)
        for modes in [{mode for one, mode in excluded if one.since <= part.start and part.end <= one.until}]
        if ExclusionMode.REMOVE not in modes  # of several exclusions one that removes time is the stronger
    ]
    rate = _rate((part for part, _ in found), measure) if excluded else Fraction(0)
    for part, modes in found:
        yield _forgiven(part, rate) if ExclusionMode.COUNT_AS_GOOD in modes else part


def _pieces(hours: Iterable[Hour], stretch: Stretch, cuts: Sequence[int]) -> Iterator[Hour]:
    """Give each hour of a stretch, or each piece that cuts make of it, with what lies in it."""
    known: dict[int, list[Hour]] = {}
    for hour in hours:
        known.setdefault(hour.start // HOUR * HOUR, []).append(hour)
    for start in range(stretch.since // HOUR * HOUR, stretch.until, HOUR):
        since, until = max(start, stretch.since), min(start + HOUR, stretch.until)
        inner = cuts[bisect_right(cuts, since) : bisect_left(cuts, until)]
        for first, last in pairwise((since, *inner, until)):
            parts = [one.cut(first, last) for one in known.get(start, ()) if one.start < last and first < one.end]
            yield Hour(
                first,
                last,
                sum((part.bad for part in parts), Fraction(0)),
                sum((part.total for part in parts), Fraction(0)),
                sum((part.observed for part in parts), Fraction(0)),
            )


def _forgiven(part: Hour, rate: Fraction) -> Hour:
    """Count a part as good, the time without data too: by good events at the rate of the rest."""
    if not rate:
        return replace(part, bad=Fraction(0))
    length = Fraction(part.end - part.start)
    missing = max(length - part.observed, Fraction(0))
    return Hour(part.start, part.end, total=part.total + missing * rate, observed=max(length, part.observed))


def _rate(hours: Iterable[Hour], measure: Measure) -> Fraction:
    """Give how many events, or slices, a second with data has."""
    if measure.slice_seconds:
        return Fraction(1, measure.slice_seconds)
    total, observed = Fraction(0), Fraction(0)
    for hour in hours:
        total, observed = total + hour.total, observed + hour.observed
    return total / observed if observed else Fraction(0)


def _span(stretch: Stretch, measure: Measure) -> Fraction:
    """Give the length of a stretch (s), less what is removed of it."""
    removing = sorted(_stretch(one, measure) for one in measure.exclusions if one.mode is ExclusionMode.REMOVE)
    removed, at = 0, stretch.since
    for since, until in removing:
        first, last = max(since, at), min(until, stretch.until)
        removed, at = removed + max(last - first, 0), max(at, last)
    return Fraction(max(stretch.until - stretch.since, 0) - removed)


def _stretch(exclusion: Exclusion, measure: Measure) -> Stretch:
    """Give what an exclusion takes: each minute, or slice, that it touches as a whole, as the status does."""
    grain = measure.slice_seconds or MINUTE
    since, until = exclusion.from_.timestamp(), exclusion.to.timestamp()
    return Stretch(int(since // grain) * grain, ceil(until / grain) * grain)


def _overlaps(exclusion: Exclusion, stretch: Stretch, measure: Measure) -> bool:
    since, until = _stretch(exclusion, measure)
    return since < stretch.until and until > stretch.since
