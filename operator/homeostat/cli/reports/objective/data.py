"""What `homeostat report` prints of an objective for programs: how it was kept in a month, as JSON or CSV. Pure."""

import csv
import io
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from homeostat.api.meta import format_decimal
from homeostat.api.objective import Exclusion
from homeostat.cli.reports.objective.paper import (
    Paper,
    allowed_of,
    bad_of,
    consumed_of,
    counted_share_of,
    coverage_of,
    day_named,
    good_of,
    is_below,
    minutes_of,
    moment_of,
    month_named,
    month_of,
    remaining_of,
    rounded_up,
    seconds_without,
    sli_of,
)
from homeostat.core.objective.compliance import Month, Row, Stretch

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
_COLUMNS = (
    "part", "name", "start", "end", "verdict", "objective_percent", "sli_percent", "good", "bad", "consumed_percent",
    "coverage_percent", "below_objective",
)  # fmt: skip


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
        "month": month_of(found.month),
        "timeZone": found.month.zone.key,
        "over": found.is_over,
        "complete": found.is_complete,
        "objective": format_decimal(found.measure.objective),
        "method": found.measure.method.value,
        "sliceSeconds": found.measure.slice_seconds or None,
        "verdict": found.whole.verdict.value,
        "budget": {
            "total": format_decimal(100 - found.measure.objective),
            "consumed": consumed_of(found.whole),
            "remaining": remaining_of(found.whole),
            "minutes": minutes_of(found.budget_seconds, is_up=False),
            "consumedMinutes": None if found.whole.sli is None else minutes_of(found.lost_seconds, is_up=True),
            "burnRate": None if found.burn is None else rounded_up(found.burn, 2),
            "countedShare": counted_share_of(paper),
            "allowedBad": None if found.whole.sli is None else allowed_of(paper),
        },
        "whole": _row_data(found.whole, paper),
        "course": found.course.value,
        "previous": [_row_data(row, paper) | {"month": month_named(row, paper)} for row in found.previous],
        "groups": [_row_data(row, paper) | {"name": row.name} for row in found.groups],
        "days": [_row_data(row, paper) | {"day": day_named(row, paper)} for row in found.days],
        "worstDay": found.worst_day and _row_data(found.worst_day, paper),
        "worstHour": found.worst_hour and _row_data(found.worst_hour, paper),
        "withoutData": {
            "seconds": seconds_without(found.gaps),
            "stretches": [_stretch_data(gap, found.month) for gap in found.gaps],
        },
        "exclusions": [_exclusion_data(one, found.month) for one in found.exclusions],
    }


def _row_data(row: Row, paper: Paper) -> dict[str, Any]:
    return _stretch_data(row.stretch, paper.found.month) | {
        "verdict": row.verdict.value,
        "sli": sli_of(row, paper),
        "below": is_below(row, paper),
        "good": good_of(row),
        "bad": bad_of(row),
        "consumed": consumed_of(row),
        "coverage": coverage_of(row),
    }


def _stretch_data(stretch: Stretch, month: Month) -> dict[str, str]:
    start, end = (datetime.fromtimestamp(at, month.zone).isoformat() for at in stretch)
    return {"start": start, "end": end}


def _exclusion_data(one: Exclusion, month: Month) -> dict[str, str]:
    stretch = Stretch(int(one.from_.timestamp()), int(one.to.timestamp()))
    return _stretch_data(stretch, month) | {"mode": one.mode.value, "reason": one.reason}


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
    moments = (moment_of(at, paper.found.month) for at in row.stretch)
    return (
        part, _inert(name), *moments, row.verdict.value, format_decimal(paper.found.measure.objective),
        sli_of(row, paper) or "", good_of(row), bad_of(row), consumed_of(row) or "", coverage_of(row),
        {None: "", True: "true", False: "false"}[is_below(row, paper)],
    )  # fmt: skip


def _inert(text: str) -> str:
    """Keep a spreadsheet from taking a name for a formula."""
    plain = "".join(character if character.isprintable() else " " for character in text)
    return f"'{plain}" if text.lstrip(" ").startswith(_FORMULA) else plain
