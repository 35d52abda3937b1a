"""What `homeostat report` prints: how an objective was kept in a month, as Markdown, JSON or CSV. Pure.

Whatever is rounded is rounded against the service: good down, bad and consumed up.
"""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from math import ceil, floor
from typing import Any

from homeostat.api.meta import format_decimal, format_duration
from homeostat.api.objective import BudgetingMethod, Exclusion, ExclusionMode
from homeostat.cli.markdown import page, section, table, text
from homeostat.core.objective.compliance import COVERED, Compliance, Course, Month, Row, Stretch, Verdict

NOTHING = "-"
MOST_GAPS = 50
"""Stretches without data that are listed: the longest."""
EXACT = 3
"""Decimals of a count for machines."""
LEAST_DECIMALS, MOST_DECIMALS = 3, 12
NOTES = """\
- The budget is that of the calendar month, whatever window the objective itself has. Consumed of it is the share of bad
  events of the time with data; time without data spends nothing and proves nothing.
- A month is missed once more than its budget is consumed; met while budget is left; incomplete, which is neither, if
  less than 95 % of its time so far has data, or if the budget would be gone had the time without data been as the rest.
  Good % is of what was counted. A day is only held against the objective by itself.
- Hours are the finest that is kept for long: where a day cuts through an hour, the hour counts with the share of it
  that is inside. So it does where an exclusion cuts through one, if its minutes or five minutes are gone.
- Figures are rounded against the service. All months are held against the objective as it is today. Alerts are not
  kept, so none are reported."""
_VERDICTS = {
    Verdict.MET: "Met",
    Verdict.INCOMPLETE: "Incomplete",
    Verdict.MISSED: "Missed",
    Verdict.NO_DATA: "Not known",
}
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
_COLUMNS = (
    "part", "name", "start", "end", "verdict", "objective_percent", "sli_percent", "good", "bad", "consumed_percent",
    "coverage_percent", "below_objective",
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


def _bad(row: Row, decimals: int = EXACT) -> str:
    return _up(row.kept.bad, decimals)


def _good(row: Row, decimals: int = EXACT) -> str:
    return _down(max(row.events - row.kept.bad, Fraction(0)), decimals)


def _grain(paper: Paper) -> int:
    """Give the decimals of counts for humans: events and slices are whole, the ratios of slices are not."""
    return EXACT if paper.found.measure.method is BudgetingMethod.RATIO_TIMESLICES else 0


def _coverage(row: Row) -> str:
    return _down(row.kept.coverage * 100, 1)


def _is_below(row: Row, paper: Paper) -> bool | None:
    """Whether what was counted is below the objective; None without data."""
    return None if row.sli is None else row.sli < 1 - paper.found.measure.bad_share


def _counted_share(paper: Paper) -> str:
    return _down(paper.found.counted_share * 100, 3)


def _minutes(seconds: Fraction, *, is_up: bool) -> str:
    return (_up if is_up else _down)(seconds / 60, 2)


def _allowed(paper: Paper, decimals: int = EXACT) -> str:
    """Give how many bad events those that there were allow."""
    return _down(paper.found.whole.events * paper.found.measure.bad_share, decimals)


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
        table(("", ""), _summary(paper)),
        section(
            "Months", _rows("Month", paper, (found.whole, *found.previous), _month_named) if found.previous else ""
        ),
        section("Groups", _rows("Group", paper, found.groups, lambda row, _: text(row.name)) if found.groups else ""),
        section("Days", _days(paper)),
        section("Time without data", _without_data(paper)),
        section("Exclusions", _exclusions(paper)),
        section("How to read this", NOTES),
    ]
    return page(parts)


def _head(paper: Paper) -> str:
    found = paper.found
    so_far = "" if found.is_over else f", so far: until {_moment(found.whole.stretch.until, found.month)}"
    title = f"# {text(paper.namespace)}/{text(paper.name)}, {_month(found.month)}{so_far}"
    description = f"\n\n{text(paper.description)}" if paper.description else ""
    return f"{title}{description}\n\n{_verdict(paper)}"


def _verdict(paper: Paper) -> str:
    """Say whether the month was kept, and by how much of it that is known."""
    found, whole = paper.found, paper.found.whole
    objective = f"{format_decimal(found.measure.objective)} %"
    named = f"{_VERDICTS[whole.verdict]}{'' if found.is_over else ' so far'}"
    if whole.sli is None:
        return f"**{named}.** There is no data; {objective} asked for."
    if found.is_complete:
        return f"**{named}.** {_sli(whole, paper)} % good, {objective} asked for."
    if whole.kept.coverage < COVERED:
        named += f": only {_share(whole.kept.coverage)} of the time has data"
    left = "none is left" if Decimal(_remaining(whole) or 0) <= 0 else f"{_remaining(whole)} % left"
    return f"**{named}.** {_consumed(whole)} % of the month's budget is consumed; {left}. {_counted(paper)}"


def _counted(paper: Paper) -> str:
    """Say how good what was counted is, and why that may be another thing than the budget of the whole month."""
    found, whole = paper.found, paper.found.whole
    objective = f"{format_decimal(found.measure.objective)} %"
    told = f"What was counted, {_share(found.counted_share)} of the month, is {_sli(whole, paper)} % good"
    if not _is_below(whole, paper):
        return f"{told}; {objective} asked for."
    told += f", below the {objective} asked for"
    if whole.verdict is Verdict.MISSED:
        return f"{told}."
    told += f": a whole month like it would consume {_up((found.burn or Fraction(0)) * 100, 1)} % of the budget."
    is_close = whole.verdict is Verdict.INCOMPLETE and whole.kept.coverage >= COVERED
    return f"{told} The time without data decides." if is_close else told


def _share(share: Fraction) -> str:
    percent = _down(share * 100, 1)
    return "less than 0.1 %" if share > 0 and percent == "0" else f"{percent} %"


def _summary(paper: Paper) -> Iterator[tuple[str, ...]]:
    found, whole, grain = paper.found, paper.found.whole, _grain(paper)
    if paper.service:
        yield "Service", text(paper.service)
    yield "Measured by", text(paper.indicator)
    yield "Terms from", text(paper.terms)
    yield "Counted in", _method(paper)
    month = found.month.stretch
    hours = _down(Fraction(month.until - month.since, 3600), 2)
    span = f"{_moment(month.since, found.month)} to {_moment(month.until, found.month)}"
    yield "Month", f"{span}, {text(found.month.zone.key)} ({hours} h)"
    share = f"{format_decimal(100 - found.measure.objective)} %"
    yield "Budget", f"{share} of it: {_minutes(found.budget_seconds, is_up=False)} min of the month"
    if whole.sli is not None:
        counted = f"{_good(whole, grain)} good and {_bad(whole, grain)} bad {_events(paper)}"
        yield "Counted", f"{counted}; of so many {_allowed(paper, grain)} may be bad"
        lost = _minutes(found.lost_seconds, is_up=True)
        yield "Consumed", f"{_consumed(whole)} % of the budget ({lost} min); {_remaining(whole)} % left"
    yield "Data", f"{_coverage(whole)} % of the time{'' if found.is_over else ' so far'}"
    for what, worst in (("Worst day", found.worst_day), ("Worst hour", found.worst_hour)):
        if worst is not None:
            when = _day_named(worst, paper) if what == "Worst day" else _moment(worst.stretch.since, found.month)
            yield (
                what,
                f"{when}: {_bad(worst, grain)} bad, {_sli(worst, paper)} % good, {_consumed(worst)} % of the budget",
            )
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
    grain = _grain(paper)
    head = (title, "Kept", "Good %", "Good", "Bad", "Consumed %", "Data %")
    cells = (
        (
            named(row, paper), row.verdict.value if row.sli is not None else NOTHING, _sli(row, paper) or NOTHING,
            _good(row, grain), _bad(row, grain), _consumed(row) or NOTHING, _coverage(row),
        )
        for row in rows
    )  # fmt: skip
    return table(head, cells)


def _days(paper: Paper) -> str:
    """Give a line for each day, those without any data at the ends left out."""
    days, grain = paper.found.days, _grain(paper)
    known = [at for at, day in enumerate(days) if day.sli is not None or day.kept.observed > 0]
    first, last = (known[0], known[-1] + 1) if known else (len(days), len(days))
    left_out = [f"{_day_named(some[0], paper)} to {_day_named(some[-1], paper)}" for some in (days[:first], days[last:])
                if some]  # fmt: skip
    note = f"Without any data, and left out: {' and '.join(left_out)}." if left_out else ""
    if not known:
        return note
    head = ("Day", "By itself", "Good %", "Good", "Bad", "Consumed %", "Data %")
    cells = (
        (
            _day_named(day, paper), _by_itself(day, paper), _sli(day, paper) or NOTHING,
            _good(day, grain), _bad(day, grain), _consumed(day) or NOTHING, _coverage(day),
        )
        for day in days[first:last]
    )  # fmt: skip
    return page((table(head, cells), note))


def _by_itself(day: Row, paper: Paper) -> str:
    return {None: NOTHING, True: "below", False: "kept"}[_is_below(day, paper)]


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
         modes[one.mode], text(one.reason) or NOTHING)
        for one in found.exclusions
    )  # fmt: skip
    return table(("From", "To", "Mode", "Reason"), rows)


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
        "complete": found.is_complete,
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
            "burnRate": None if found.burn is None else _up(found.burn, 2),
            "countedShare": _counted_share(paper),
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
        "below": _is_below(row, paper),
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
        {None: "", True: "true", False: "false"}[_is_below(row, paper)],
    )  # fmt: skip


def _inert(text: str) -> str:
    """Keep a spreadsheet from taking a name for a formula."""
    plain = "".join(character if character.isprintable() else " " for character in text)
    return f"'{plain}" if text.lstrip(" ").startswith(_FORMULA) else plain
