"""`homeostat report`: how an objective was kept in a month, from the history store; `report chaos/NAME` is of a run.

What is asked for is read from the cluster if there is one, else from a file or the command line; nothing is written.
"""

import argparse
import asyncio
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from fractions import Fraction
from math import ceil
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import ValidationError
from sqlalchemy import Connection

from homeostat.api.objective import KIND, BudgetingMethod, NoData, ServiceLevelObjectiveSpec
from homeostat.api.objective_indicator import Indicator
from homeostat.cli import desk
from homeostat.cli.arguments import BadArguments
from homeostat.cli.asked import credentials_of
from homeostat.cli.carrying_out import FAILED, carry_out
from homeostat.cli.checks.check_file import BadInput, objects
from homeostat.cli.parsers.report import MOST_MONTHS, parser
from homeostat.cli.past import store_url
from homeostat.cli.reports import experiment_command as chaos_report_command
from homeostat.cli.reports import gameday_command as gameday_report_command
from homeostat.cli.reports.objective import Paper, as_csv, as_data, as_markdown
from homeostat.cli.streams import complain, in_lines, print_out
from homeostat.core.history import FIVE_MINUTES, Known
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
from homeostat.core.ranges import Cell, Grid, Step
from homeostat.core.window import HOUR, MINUTE
from homeostat.engine.clock import SystemClock
from homeostat.engine.objects import explain
from homeostat.kube.client import ApiClient
from homeostat.kube.credentials import Credentials, CredentialsError
from homeostat.kube.objects import ApiObjects
from homeostat.ports import Forbidden, Gone, Rejected, Unavailable
from homeostat.store import reading
from homeostat.store.opening import open_reader, translated

EVENTS, SLICES = "slo/", "slice/"
_MONTH = re.compile(r"([0-9]{4})-([0-9]{2})")
_FIRST_YEAR = 1972
"""Twelve months before it there is still an epoch."""
_DENOMINATOR = 1_000_000


@dataclass(frozen=True, slots=True)
class Terms:
    """What is asked for, and where that was read. `uid` is "" where only the name is known."""

    measure: Measure
    source: str
    uid: str = ""
    service: str = ""
    description: str = ""
    indicator: str = "not told: the objective was given on the command line"
    zone: str = "UTC"


def main(arguments: Sequence[str]) -> int:
    """Run the command; give the exit code."""
    if chaos_report_command.is_meant(arguments):
        return chaos_report_command.main(arguments)
    if gameday_report_command.is_meant(arguments):
        return gameday_report_command.main(arguments)
    return carry_out(parser(), arguments, lambda asked: 0 if print_out(answer(asked, SystemClock().now())) else FAILED)


def answer(asked: argparse.Namespace, now: datetime) -> str:
    """Read what was asked for, and write it down. Raises BadArguments, BadInput and HistoryUnavailable."""
    namespace, _, name = asked.slo.partition("/")
    if not (namespace and name):
        raise BadArguments(f"report: {asked.slo!r} is not NAMESPACE/NAME")
    terms = _terms(asked, namespace, name)
    month = _month(asked.month, _zone(asked.time_zone or terms.zone), now)
    engine = open_reader(store_url(asked.store_url))
    try:
        with translated(), engine.connect() as connection:
            paper = _paper(connection, (namespace, name), terms, month, _Range(asked.uid, asked.months, now))
    finally:
        engine.dispose()
    if asked.output == "json":
        return json.dumps(as_data(paper), indent=2) + "\n"
    return as_csv(paper) if asked.output == "csv" else in_lines(as_markdown(paper)) + "\n"


# --- what is asked for ----------------------------------------------------------------------------------


def _terms(asked: argparse.Namespace, namespace: str, name: str) -> Terms:
    """Find the objective: in a file, on the command line, else in the cluster."""
    if asked.file:
        return _of_spec(_in_file(asked.file, namespace, name), f"file {asked.file}")
    if asked.objective is not None:
        return Terms(Measure(asked.objective), "command line: events are counted, nothing is excluded")
    try:
        body = asyncio.run(_read(credentials_of(asked), namespace, name))
    except (CredentialsError, Unavailable, Forbidden, Gone, Rejected) as error:
        told = " ".join(str(error).split())
        raise BadArguments(f"the objective was not read: {told}; give -f slo.yaml or --objective 99.9") from error
    return replace(_of_spec(body, "cluster"), uid=str(body["metadata"]["uid"]))


async def _read(credentials: Credentials, namespace: str, name: str) -> dict[str, Any]:
    async with ApiClient(credentials, patience=desk.PATIENCE) as client:
        return await ApiObjects(client).get(KIND, namespace, name)


def _in_file(path: str, namespace: str, name: str) -> Mapping[str, Any]:
    for body in (one.body for one in objects(path)):
        metadata = body.get("metadata") if isinstance(body, dict) and body.get("kind") == KIND.kind else None
        if isinstance(metadata, dict) and metadata.get("name") == name:
            if metadata.get("namespace", namespace) != namespace:
                continue
            found: Mapping[str, Any] = body
            return found
    raise BadInput(f"{path}: there is no ServiceLevelObjective {namespace}/{name}")


def _of_spec(body: Mapping[str, Any], source: str) -> Terms:
    try:
        spec = ServiceLevelObjectiveSpec.model_validate(body.get("spec") or {})
    except ValidationError as error:
        raise BadInput(f"{source}: {explain(error, 'spec')}") from error
    if spec.indicator.composite:
        members = ", ".join(member.name for member in spec.indicator.composite.members)
        raise BadInput(f"a composite counts nothing itself: report its members ({members})")
    calendar, length = spec.window.calendar, spec.budgeting.slice
    return Terms(
        Measure(
            spec.objective,
            spec.budgeting.method,
            0 if length is None else int(length.total_seconds()),
            spec.exclusions,
            are_missing_bad=spec.no_data is NoData.BAD,
        ),
        source,
        service=spec.service,
        description=spec.description,
        indicator=_told(spec.indicator),
        zone=calendar.time_zone if calendar else "UTC",
    )


def _told(indicator: Indicator) -> str:
    """Say in a few words what is measured."""
    check, prometheus = indicator.health_check, indicator.prometheus
    if check:
        limit = "" if check.threshold is None else f" within {check.threshold.total_seconds():g} s"
        return f"runs of HealthCheck {check.name}: good are those that passed{limit}"
    if prometheus is None:
        return "events pushed through the API"
    if prometheus.latency:
        latency = prometheus.latency
        seconds = f"{latency.threshold.total_seconds():g} s"
        return f"Prometheus: {latency.histogram}{{{latency.selector}}} within {seconds}"
    if prometheus.ratio:
        of = f"bad {prometheus.ratio.bad}" if prometheus.ratio.bad else f"good {prometheus.ratio.good}"
        return f"Prometheus: {of} of {prometheus.ratio.total}"
    return f"Prometheus: error ratio {prometheus.ratio_query}"


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise BadArguments(f"--time-zone: {name!r} is no zone, like Europe/Paris") from error


def _month(text: str, zone: ZoneInfo, now: datetime) -> Month:
    today = now.astimezone(zone)
    current = Month(today.year, today.month, zone)
    if text in {"last", "this"}:
        return current.back(1) if text == "last" else current
    parts = _MONTH.fullmatch(text)
    if parts is None or not 1 <= int(parts[2]) <= MOST_MONTHS or int(parts[1]) < _FIRST_YEAR:
        raise BadArguments(f"--month: {text!r} is not a month, like 2026-10, last or this")
    month = Month(int(parts[1]), int(parts[2]), zone)
    if (month.year, month.month) > (current.year, current.month):
        raise BadArguments(f"--month: {text} has not begun")
    return month


# --- what history has -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Range:
    """Which incarnation is meant, how many months before to compare with, and what time it is."""

    uid: str
    months: int
    now: datetime

    @property
    def until(self) -> int:
        """The end of the minute (epoch s) that is not over yet."""
        return ceil(self.now.timestamp() / MINUTE) * MINUTE


def _paper(connection: Connection, whose: tuple[str, str], terms: Terms, month: Month, asked: _Range) -> Paper:
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


def _previous(hours: Sequence[Hour], measure: Measure, month: Month, asked: _Range) -> Iterator[Row]:
    """Give the months before, newest first, as far back as there is data."""
    oldest = next((hour.end for hour in hours if hour.total), asked.until)
    months = (month.back(back) for back in range(1, asked.months + 1))
    yield from (outline("", one, hours, measure, asked.until) for one in months if one.stretch.until >= oldest)


def _groups(
    connection: Connection, known: Sequence[Known], measure: Measure, month: Month, asked: _Range
) -> Iterator[Row]:
    stretch = Stretch(month.stretch.since, min(month.stretch.until, asked.until))
    for one in sorted(known, key=lambda one: one.service):
        yield outline(one.service, month, _hours(connection, one, measure, stretch), measure, asked.until)


# --- arguments ------------------------------------------------------------------------------------------
