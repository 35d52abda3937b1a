"""What the history store has of an objective for a report of a month, as exactly as it still is."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from fractions import Fraction
from math import ceil

from sqlalchemy import Connection

from homeostat.api.objective import BudgetingMethod
from homeostat.cli.arguments import BadArguments
from homeostat.cli.reports.objective.paper import Paper
from homeostat.cli.reports.objective.terms import Terms
from homeostat.cli.streams import complain
from homeostat.core.history.ranges import Cell, Grid, Step
from homeostat.core.history.records import FIVE_MINUTES, Known
from homeostat.core.history.window import HOUR, MINUTE
from homeostat.core.objective.compliance import (
    Hour,
    Measure,
    Month,
    Row,
    Stretch,
    course,
    cut_hours,
    filled,
    finest,
    outline,
    refined,
    report,
)
from homeostat.store import reading

EVENTS, SLICES = "slo/", "slice/"
_DENOMINATOR = 1_000_000


@dataclass(frozen=True, slots=True)
class Range:
    """Which incarnation is meant, how many months before to compare with, and what time it is."""

    uid: str
    months: int
    now: datetime

    @property
    def until(self) -> int:
        """The end of the minute (epoch s) that is not over yet."""
        return ceil(self.now.timestamp() / MINUTE) * MINUTE


def paper_of(connection: Connection, whose: tuple[str, str], terms: Terms, month: Month, asked: Range) -> Paper:
    """Read what is kept of an objective, and work out the month. Raises BadArguments where nothing is."""
    prefix = EVENTS if terms.measure.method is BudgetingMethod.OCCURRENCES else SLICES
    known = [one for one in reading.known(connection, *whose) if one.series.startswith(prefix)]
    whole = _meant(known, whose, prefix, asked.uid or terms.uid)
    first = month.back(asked.months)
    hours = _hours(connection, whole, terms.measure, Stretch(first.stretch.since, asked.until))
    found = report(month, hours, terms.measure, asked.until)
    previous = tuple(_previous(hours, terms.measure, month, asked))
    groups = tuple(
        _groups(
            connection, [one for one in known if one.series.startswith(f"{whole.series}/")], terms.measure, month, asked
        )
    )
    return Paper(
        *whose,
        uid=whole.series.removeprefix(prefix),
        service=terms.service or whole.service,
        description=terms.description,
        indicator=terms.indicator,
        terms=terms.source,
        found=replace(found, groups=groups, previous=previous, course=course(found.whole, previous, terms.measure)),
    )


def _meant(known: Sequence[Known], whose: tuple[str, str], prefix: str, uid: str) -> Known:
    """Find the whole objective: of several that had the name, the last seen. Groups have a slash more."""
    wholes = [one for one in known if "/" not in one.series.removeprefix(prefix)]
    meant = [one for one in wholes if uid in {"", one.series.removeprefix(prefix)}]
    if not meant:
        what = "counts" if prefix == EVENTS else "slices"
        of = f" with uid {uid}" if uid else ""
        others = ", ".join(one.series.removeprefix(prefix) for one in wholes)
        hint = f"; --uid gives those of an earlier one: {others}" if others else ""
        raise BadArguments(f"history has no {what} of objective {'/'.join(whose)}{of}{hint}")
    if len(meant) > 1:
        uids = ", ".join(one.series.removeprefix(prefix) for one in meant[:-1])
        complain([f"earlier ones of that name are read with --uid: {uids}"])
    return meant[-1]


def _hours(connection: Connection, known: Known, measure: Measure, stretch: Stretch) -> tuple[Hour, ...]:
    number = reading.number_of(connection, known.series)
    if number is None:
        return ()
    grid = Grid(stretch.since // HOUR * HOUR, stretch.until, HOUR)
    hours = tuple(_hour(step, measure) for step in reading.span(connection, number, grid))
    finer = tuple(_finer(connection, number, hours, measure))
    return refined(hours, finer) if measure.slice_seconds else filled(hours, finer)


def _finer(connection: Connection, number: int, hours: Sequence[Hour], measure: Measure) -> Iterator[Hour]:
    """Read the hours that an exclusion cuts through in five minutes and in minutes, as far as there still are any."""
    if not hours:
        return
    starts = set(cut_hours(measure, Stretch(hours[0].start, hours[-1].end)))
    for hour in (one for one in hours if one.start in starts):
        wanted = [(hour.start, hour.end)]
        read = (reading.cells(connection, number, seconds, wanted) for seconds in (FIVE_MINUTES, MINUTE))
        parts = finest(hour, [sorted((_bucket(cell, measure) for cell in level), key=_start) for level in read])
        if parts != (hour,):
            yield from parts


def _start(hour: Hour) -> int:
    return hour.start


def _hour(step: Step, measure: Measure) -> Hour:
    return _counted((step.start, step.end), step.good, step.total, step.observed, measure)


def _bucket(cell: Cell, measure: Measure) -> Hour:
    return _counted((cell.start, cell.start + cell.seconds), cell.good, cell.total, cell.observed * MINUTE, measure)


def _counted(span: tuple[int, int], good: float, total: float, observed: int, measure: Measure) -> Hour:
    """Put together what was read of a stretch of time; `observed` in seconds.

    A slice is booked in the minute in which it ends, also one without traffic: each speaks for its length.
    """
    all_of, length = _exact(total), measure.slice_seconds
    time = max(all_of, Fraction(observed, MINUTE)) * length if length else Fraction(observed)
    return Hour(*span, bad=max(all_of - _exact(good), Fraction(0)), total=all_of, observed=time)


def _exact(count: float) -> Fraction:
    """Give a count as a fraction: a sum of floats without the noise of adding them up."""
    return Fraction(int(count)) if float(count).is_integer() else Fraction(count).limit_denominator(_DENOMINATOR)


def _previous(hours: Sequence[Hour], measure: Measure, month: Month, asked: Range) -> Iterator[Row]:
    """Give the months before, newest first, as far back as there is data."""
    oldest = next((hour.end for hour in hours if hour.total), asked.until)
    months = (month.back(back) for back in range(1, asked.months + 1))
    yield from (outline("", one, hours, measure, asked.until) for one in months if one.stretch.until >= oldest)


def _groups(
    connection: Connection, known: Sequence[Known], measure: Measure, month: Month, asked: Range
) -> Iterator[Row]:
    stretch = Stretch(month.stretch.since, min(month.stretch.until, asked.until))
    for one in sorted(known, key=lambda one: one.service):
        yield outline(one.service, month, _hours(connection, one, measure, stretch), measure, asked.until)
