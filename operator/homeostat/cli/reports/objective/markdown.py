"""What `homeostat report` prints of an objective for humans: how it was kept in a month, as Markdown. Pure."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

from homeostat.api.meta import format_decimal, format_duration
from homeostat.api.objective import BudgetingMethod, ExclusionMode
from homeostat.cli.markdown import page, section, table, text
from homeostat.cli.reports.objective.paper import (
    Paper,
    allowed_of,
    bad_of,
    consumed_of,
    coverage_of,
    day_named,
    good_of,
    grain_of,
    is_below,
    minutes_of,
    moment_of,
    month_named,
    month_of,
    remaining_of,
    rounded_down,
    rounded_up,
    seconds_without,
    sli_of,
)
from homeostat.core.objective.compliance import COVERED, Compliance, Course, Row, Stretch, Verdict

NOTHING = "-"
MOST_GAPS = 50
"""Stretches without data that are listed: the longest."""
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


def as_markdown(paper: Paper) -> str:
    """Write the report for humans."""
    found = paper.found
    parts = [
        _head(paper),
        table(("", ""), _summary(paper)),
        section("Months", _rows("Month", paper, (found.whole, *found.previous), month_named) if found.previous else ""),
        section("Groups", _rows("Group", paper, found.groups, lambda row, _: text(row.name)) if found.groups else ""),
        section("Days", _days(paper)),
        section("Time without data", _without_data(paper)),
        section("Exclusions", _exclusions(paper)),
        section("How to read this", NOTES),
    ]
    return page(parts)


def _head(paper: Paper) -> str:
    found = paper.found
    so_far = "" if found.is_over else f", so far: until {moment_of(found.whole.stretch.until, found.month)}"
    title = f"# {text(paper.namespace)}/{text(paper.name)}, {month_of(found.month)}{so_far}"
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
        return f"**{named}.** {sli_of(whole, paper)} % good, {objective} asked for."
    if whole.kept.coverage < COVERED:
        named += f": only {_share(whole.kept.coverage)} of the time has data"
    left = "none is left" if Decimal(remaining_of(whole) or 0) <= 0 else f"{remaining_of(whole)} % left"
    return f"**{named}.** {consumed_of(whole)} % of the month's budget is consumed; {left}. {_counted(paper)}"


def _counted(paper: Paper) -> str:
    """Say how good what was counted is, and why that may be another thing than the budget of the whole month."""
    found, whole = paper.found, paper.found.whole
    objective = f"{format_decimal(found.measure.objective)} %"
    told = f"What was counted, {_share(found.counted_share)} of the month, is {sli_of(whole, paper)} % good"
    if not is_below(whole, paper):
        return f"{told}; {objective} asked for."
    told += f", below the {objective} asked for"
    if whole.verdict is Verdict.MISSED:
        return f"{told}."
    told += f": a whole month like it would consume {rounded_up((found.burn or Fraction(0)) * 100, 1)} % of the budget."
    is_close = whole.verdict is Verdict.INCOMPLETE and whole.kept.coverage >= COVERED
    return f"{told} The time without data decides." if is_close else told


def _share(share: Fraction) -> str:
    percent = rounded_down(share * 100, 1)
    return "less than 0.1 %" if share > 0 and percent == "0" else f"{percent} %"


def _summary(paper: Paper) -> Iterator[tuple[str, ...]]:
    found, whole, grain = paper.found, paper.found.whole, grain_of(paper)
    if paper.service:
        yield "Service", text(paper.service)
    yield "Measured by", text(paper.indicator)
    yield "Terms from", text(paper.terms)
    yield "Counted in", _method(paper)
    month = found.month.stretch
    hours = rounded_down(Fraction(month.until - month.since, 3600), 2)
    span = f"{moment_of(month.since, found.month)} to {moment_of(month.until, found.month)}"
    yield "Month", f"{span}, {text(found.month.zone.key)} ({hours} h)"
    share = f"{format_decimal(100 - found.measure.objective)} %"
    yield "Budget", f"{share} of it: {minutes_of(found.budget_seconds, is_up=False)} min of the month"
    if whole.sli is not None:
        counted = f"{good_of(whole, grain)} good and {bad_of(whole, grain)} bad {_events(paper)}"
        yield "Counted", f"{counted}; of so many {allowed_of(paper, grain)} may be bad"
        lost = minutes_of(found.lost_seconds, is_up=True)
        yield "Consumed", f"{consumed_of(whole)} % of the budget ({lost} min); {remaining_of(whole)} % left"
    yield "Data", f"{coverage_of(whole)} % of the time{'' if found.is_over else ' so far'}"
    for what, worst in (("Worst day", found.worst_day), ("Worst hour", found.worst_hour)):
        if worst is not None:
            when = day_named(worst, paper) if what == "Worst day" else moment_of(worst.stretch.since, found.month)
            counted = f"{bad_of(worst, grain)} bad, {sli_of(worst, paper)} % good"
            yield what, f"{when}: {counted}, {consumed_of(worst)} % of the budget"
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
    grain = grain_of(paper)
    head = (title, "Kept", "Good %", "Good", "Bad", "Consumed %", "Data %")
    cells = (
        (
            named(row, paper), row.verdict.value if row.sli is not None else NOTHING, sli_of(row, paper) or NOTHING,
            good_of(row, grain), bad_of(row, grain), consumed_of(row) or NOTHING, coverage_of(row),
        )
        for row in rows
    )  # fmt: skip
    return table(head, cells)


def _days(paper: Paper) -> str:
    """Give a line for each day, those without any data at the ends left out."""
    days, grain = paper.found.days, grain_of(paper)
    known = [at for at, day in enumerate(days) if day.sli is not None or day.kept.observed > 0]
    first, last = (known[0], known[-1] + 1) if known else (len(days), len(days))
    left_out = [f"{day_named(some[0], paper)} to {day_named(some[-1], paper)}" for some in (days[:first], days[last:])
                if some]  # fmt: skip
    note = f"Without any data, and left out: {' and '.join(left_out)}." if left_out else ""
    if not known:
        return note
    head = ("Day", "By itself", "Good %", "Good", "Bad", "Consumed %", "Data %")
    cells = (
        (
            day_named(day, paper), _by_itself(day, paper), sli_of(day, paper) or NOTHING,
            good_of(day, grain), bad_of(day, grain), consumed_of(day) or NOTHING, coverage_of(day),
        )
        for day in days[first:last]
    )  # fmt: skip
    return page((table(head, cells), note))


def _by_itself(day: Row, paper: Paper) -> str:
    return {None: NOTHING, True: "below", False: "kept"}[is_below(day, paper)]


def _without_data(paper: Paper) -> str:
    gaps, month = paper.found.gaps, paper.found.month
    if not gaps:
        return "None: each hour has data."
    lines = [f"- {moment_of(gap.since, month)} to {moment_of(gap.until, month)}" for gap in _longest(gaps)]
    if len(gaps) > MOST_GAPS:
        lines.append(f"- and {len(gaps) - MOST_GAPS} shorter ones")
    total = format_duration(timedelta(seconds=seconds_without(gaps)))
    return f"{total} in whole hours, for which nothing is claimed:\n\n" + "\n".join(lines)


def _exclusions(paper: Paper) -> str:
    found = paper.found
    if not found.exclusions:
        return ""
    modes = {ExclusionMode.REMOVE: "removed", ExclusionMode.COUNT_AS_GOOD: "counted as good"}
    rows = (
        (*(moment_of(int(moment.timestamp()), found.month) for moment in (one.from_, one.to)),
         modes[one.mode], text(one.reason) or NOTHING)
        for one in found.exclusions
    )  # fmt: skip
    return table(("From", "To", "Mode", "Reason"), rows)


def _events(paper: Paper) -> str:
    return "events" if paper.found.measure.method is BudgetingMethod.OCCURRENCES else "slices"


def _longest(gaps: Sequence[Stretch]) -> list[Stretch]:
    return sorted(sorted(gaps, key=lambda gap: gap.since - gap.until)[:MOST_GAPS])
