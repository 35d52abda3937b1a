"""What `homeostat report` prints: how an objective was kept in a month, as Markdown, JSON or CSV. Pure.

Whatever is rounded is rounded against the service: good down, bad and consumed up.
"""

import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from math import ceil, floor
from typing import Any

from homeostat.api.meta import format_decimal, format_duration
from homeostat.api.objective import BudgetingMethod, Exclusion, ExclusionMode
from homeostat.core.compliance import Compliance, Course, Month, Row, Stretch, Verdict

NOTHING = "-"
MOST_GAPS = 50
"""Stretches without data that are listed: the longest."""
LEAST_DECIMALS, MOST_DECIMALS = 3, 12
NOTES = """\
- The budget is that of the calendar month, whatever window the objective itself has. Consumed of it is the share of bad
  events of the time with data; time without data spends nothing and proves nothing.
- Hours are the finest that is kept: where a day or an exclusion cuts through an hour, the hour counts with the share of
  it that is inside.
- Figures are rounded against the service. All months are held against the objective as it is today. Alerts are not
  kept, so none are reported."""
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~!&])")
_COLUMNS = (
    "part", "name", "start", "end", "verdict", "objective_percent", "sli_percent", "good", "bad", "consumed_percent",
    "coverage_percent",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Paper:
    """A report: whose, what was measured, where the terms came from, and what was found.

    `terms` says where objective, method and exclusions were read: the cluster, a file or the command line.
    """

    namespace: str
    name: str
    uid: str
    service: str
    description: str
    indicator: str
    terms: str
    found: Compliance


# --- figures --------------------------------------------------------------------------------------------


def _down(value: Fraction, decimals: int) -> str:
    return _written(floor(value * 10**decimals), decimals)


def _up(value: Fraction, decimals: int) -> str:
    return _written(ceil(value * 10**decimals), decimals)


def _written(units: int, decimals: int) -> str:
    return format_decimal(Decimal(units).scaleb(-decimals))


def _decimals(paper: Paper) -> int:
    """Give the decimals of an SLI: two finer than the objective."""
    written = -int(paper.found.measure.objective.normalize().as_tuple().exponent)
    return min(max(written + 2, LEAST_DECIMALS), MOST_DECIMALS)


def _sli(row: Row, paper: Paper) -> str | None:
    return None if row.sli is None else _down(row.sli * 100, _decimals(paper))


def _consumed(row: Row) -> str | None:
    return None if row.consumed is None else _up(row.consumed * 100, 1)


def _remaining(row: Row) -> str | None:
    consumed = _consumed(row)
    return None if consumed is None else format_decimal(100 - Decimal(consumed))


def _bad(row: Row) -> str:
    return _up(row.kept.bad, 3)


def _good(row: Row) -> str:
    return _down(max(row.events - row.kept.bad, Fraction(0)), 3)


def _coverage(row: Row) -> str:
    return _down(row.kept.coverage * 100, 1)


def _minutes(seconds: Fraction, *, is_up: bool) -> str:
    return (_up if is_up else _down)(seconds / 60, 2)


def _allowed(paper: Paper) -> str:
    """Give how many bad events those that there were allow."""
    return _down(paper.found.whole.events * paper.found.measure.bad_share, 3)


def _events(paper: Paper) -> str:
    return "events" if paper.found.measure.method is BudgetingMethod.OCCURRENCES else "slices"


def _longest(gaps: Sequence[Stretch]) -> list[Stretch]:
    return sorted(sorted(gaps, key=lambda gap: gap.since - gap.until)[:MOST_GAPS])


def _seconds_without(gaps: Iterable[Stretch]) -> int:
    return sum(gap.until - gap.since for gap in gaps)


# --- Markdown -------------------------------------------------------------------------------------------


def as_markdown(paper: Paper) -> str:
    """Write the report for humans."""
    found = paper.found
    parts = [
        _head(paper),
        _table(("", ""), _summary(paper)),
        _section(
            "Months", _rows("Month", paper, (found.whole, *found.previous), _month_named) if found.previous else ""
        ),
        _section("Groups", _rows("Group", paper, found.groups, lambda row, _: _text(row.name)) if found.groups else ""),
        _section("Days", _rows("Day", paper, found.days, _day_named)),
        _section("Time without data", _without_data(paper)),
        _section("Exclusions", _exclusions(paper)),
        _section("How to read this", NOTES),
    ]
    return "\n\n".join(part for part in parts if part)


def _head(paper: Paper) -> str:
    found = paper.found
    objective = f"{format_decimal(found.measure.objective)} %"
    so_far = "" if found.is_over else f", so far: until {_moment(found.whole.stretch.until, found.month)}"
    title = f"# {_text(paper.namespace)}/{_text(paper.name)}, {_month(found.month)}{so_far}"
    sli = _sli(found.whole, paper)
    kept = f"{sli} % good, {objective} asked for." if sli is not None else f"There is no data; {objective} asked for."
    verdict = {Verdict.MET: "Met", Verdict.MISSED: "Missed", Verdict.NO_DATA: "Not known"}[found.whole.verdict]
    description = f"\n\n{_text(paper.description)}" if paper.description else ""
    return f"{title}{description}\n\n**{verdict}{'' if found.is_over else ' so far'}.** {kept}"


def _summary(paper: Paper) -> Iterator[tuple[str, ...]]:
    found, whole = paper.found, paper.found.whole
    if paper.service:
        yield "Service", _text(paper.service)
    yield "Measured by", _text(paper.indicator)
    yield "Terms from", _text(paper.terms)
    yield "Counted in", _method(paper)
    month = found.month.stretch
    hours = _down(Fraction(month.until - month.since, 3600), 2)
    span = f"{_moment(month.since, found.month)} to {_moment(month.until, found.month)}"
    yield "Month", f"{span}, {_text(found.month.zone.key)} ({hours} h)"
    share = f"{format_decimal(100 - found.measure.objective)} %"
    yield "Budget", f"{share} of it: {_minutes(found.budget_seconds, is_up=False)} min of the month"
    if whole.sli is not None:
        yield (
            "Counted",
            f"{_good(whole)} good and {_bad(whole)} bad {_events(paper)}; {_allowed(paper)} bad are allowed",
        )
        lost = _minutes(found.lost_seconds, is_up=True)
        yield "Consumed", f"{_consumed(whole)} % of the budget ({lost} min); {_remaining(whole)} % left"
    yield "Data", f"{_coverage(whole)} % of the time"
    for what, worst in (("Worst day", found.worst_day), ("Worst hour", found.worst_hour)):
        if worst is not None:
            when = _day_named(worst, paper) if what == "Worst day" else _moment(worst.stretch.since, found.month)
            yield what, f"{when}: {_bad(worst)} bad, {_sli(worst, paper)} % good, {_consumed(worst)} % of the budget"
    if found.previous:
        yield "Compared", _compared(found)


def _compared(found: Compliance) -> str:
    count = sum(row.sli is not None for row in found.previous)
    before = "the month before" if count == 1 else f"the {count} months before together"
    return {
        Course.BETTER: f"Better than {before}",
        Course.SAME: f"The same as {before}, within the noise",
        Course.WORSE: f"Worse than {before}",
        Course.UNKNOWN: "Not known: there is no data to compare",
    }[found.course]


def _method(paper: Paper) -> str:
    measure = paper.found.measure
    if measure.method is BudgetingMethod.OCCURRENCES:
        return "events"
    slices = f"slices of {format_duration(timedelta(seconds=measure.slice_seconds))}"
    return f"{slices}, {'bad of all' if measure.method is BudgetingMethod.TIMESLICES else 'the mean of their ratios'}"


def _rows(title: str, paper: Paper, rows: Iterable[Row], named: Any) -> str:  # noqa: ANN401 - (Row, Paper) -> str
    head = (title, "Kept", "Good %", "Good", "Bad", "Consumed %", "Data %")
    cells = (
        (
            named(row, paper), row.verdict.value if row.sli is not None else NOTHING, _sli(row, paper) or NOTHING,
            _good(row), _bad(row), _consumed(row) or NOTHING, _coverage(row),
        )
        for row in rows
    )  # fmt: skip
    return _table(head, cells)


def _without_data(paper: Paper) -> str:
    gaps, month = paper.found.gaps, paper.found.month
    if not gaps:
        return "None: each hour has data."
    lines = [f"- {_moment(gap.since, month)} to {_moment(gap.until, month)}" for gap in _longest(gaps)]
    if len(gaps) > MOST_GAPS:
        lines.append(f"- and {len(gaps) - MOST_GAPS} shorter ones")
    total = format_duration(timedelta(seconds=_seconds_without(gaps)))
    return f"{total} in whole hours, for which nothing is claimed:\n\n" + "\n".join(lines)


def _exclusions(paper: Paper) -> str:
    found = paper.found
    if not found.exclusions:
        return ""
    modes = {ExclusionMode.REMOVE: "removed", ExclusionMode.COUNT_AS_GOOD: "counted as good"}
    rows = (
        (*(_moment(int(moment.timestamp()), found.month) for moment in (one.from_, one.to)),
         modes[one.mode], _text(one.reason) or NOTHING)
        for one in found.exclusions
    )  # fmt: skip
    return _table(("From", "To", "Mode", "Reason"), rows)


def _section(title: str, text: str) -> str:
    return f"## {title}\n\n{text}" if text else ""


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _text(text: str) -> str:
    """Show what somebody wrote as text: no character of it is markup, or commands a terminal."""
    plain = "".join(character if character.isprintable() else " " for character in text)
    return _SPECIAL.sub(r"\\\1", plain)


def _month(month: Month) -> str:
    return f"{month.year:04}-{month.month:02}"


def _month_named(row: Row, paper: Paper) -> str:
    return f"{datetime.fromtimestamp(row.stretch.since, paper.found.month.zone):%Y-%m}"


def _day_named(row: Row, paper: Paper) -> str:
    return f"{datetime.fromtimestamp(row.stretch.since, paper.found.month.zone):%Y-%m-%d}"


def _moment(at: int, month: Month) -> str:
    """Write a time by the clocks of the month, with their distance from UTC: an hour may come twice."""
    return datetime.fromtimestamp(at, month.zone).isoformat(sep=" ", timespec="minutes")


# --- JSON -----------------------------------------------------------------------------------------------


def as_data(paper: Paper) -> dict[str, Any]:
    """Give the report as data: numbers that must stay exact are strings, what is not known is null."""
    found = paper.found
    return {
        "namespace": paper.namespace,
        "name": paper.name,
        "uid": paper.uid,
        "service": paper.service,
        "description": paper.description,
        "indicator": paper.indicator,
        "terms": paper.terms,
        "month": _month(found.month),
        "timeZone": found.month.zone.key,
        "over": found.is_over,
        "objective": format_decimal(found.measure.objective),
        "method": found.measure.method.value,
        "sliceSeconds": found.measure.slice_seconds or None,
        "verdict": found.whole.verdict.value,
        "budget": {
            "total": format_decimal(100 - found.measure.objective),
            "consumed": _consumed(found.whole),
            "remaining": _remaining(found.whole),
            "minutes": _minutes(found.budget_seconds, is_up=False),
            "consumedMinutes": None if found.whole.sli is None else _minutes(found.lost_seconds, is_up=True),
            "allowedBad": None if found.whole.sli is None else _allowed(paper),
        },
        "whole": _row_data(found.whole, paper),
        "course": found.course.value,
        "previous": [_row_data(row, paper) | {"month": _month_named(row, paper)} for row in found.previous],
        "groups": [_row_data(row, paper) | {"name": row.name} for row in found.groups],
        "days": [_row_data(row, paper) | {"day": _day_named(row, paper)} for row in found.days],
        "worstDay": found.worst_day and _row_data(found.worst_day, paper),
        "worstHour": found.worst_hour and _row_data(found.worst_hour, paper),
        "withoutData": {
            "seconds": _seconds_without(found.gaps),
            "stretches": [_stretch_data(gap, found.month) for gap in found.gaps],
        },
        "exclusions": [_exclusion_data(one, found.month) for one in found.exclusions],
    }


def _row_data(row: Row, paper: Paper) -> dict[str, Any]:
    return _stretch_data(row.stretch, paper.found.month) | {
        "verdict": row.verdict.value,
        "sli": _sli(row, paper),
        "good": _good(row),
        "bad": _bad(row),
        "consumed": _consumed(row),
        "coverage": _coverage(row),
    }


def _stretch_data(stretch: Stretch, month: Month) -> dict[str, str]:
    start, end = (datetime.fromtimestamp(at, month.zone).isoformat() for at in stretch)
    return {"start": start, "end": end}


def _exclusion_data(one: Exclusion, month: Month) -> dict[str, str]:
    stretch = Stretch(int(one.from_.timestamp()), int(one.to.timestamp()))
    return _stretch_data(stretch, month) | {"mode": one.mode.value, "reason": one.reason}


# --- CSV ------------------------------------------------------------------------------------------------


def as_csv(paper: Paper) -> str:
    """Give a line for the month, each earlier one, each group and each day, for a spreadsheet (RFC 4180)."""
    found, text = paper.found, io.StringIO()
    writer = csv.writer(text)
    writer.writerow(_COLUMNS)
    whose = f"{paper.namespace}/{paper.name}"
    for part, rows in (
        ("month", (found.whole,)),
        ("previous", found.previous),
        ("group", found.groups),
        ("day", found.days),
    ):
        writer.writerows(_csv_cells(part, row, paper, row.name or whose) for row in rows)
    return text.getvalue()


def _csv_cells(part: str, row: Row, paper: Paper, name: str) -> Sequence[str]:
    moments = (_moment(at, paper.found.month) for at in row.stretch)
    return (
        part, _inert(name), *moments, row.verdict.value, format_decimal(paper.found.measure.objective),
        _sli(row, paper) or "", _good(row), _bad(row), _consumed(row) or "", _coverage(row),
    )  # fmt: skip


def _inert(text: str) -> str:
    """Keep a spreadsheet from taking a name for a formula."""
    plain = "".join(character if character.isprintable() else " " for character in text)
    return f"'{plain}" if text.lstrip(" ").startswith(_FORMULA) else plain
