"""What a report of an objective is made of, and its figures as they are written. Pure.

Whatever is rounded is rounded against the service: good down, bad and consumed up.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from math import ceil, floor

from homeostat.api.meta import format_decimal
from homeostat.api.objective import BudgetingMethod
from homeostat.core.objective.compliance import Compliance, Month, Row, Stretch

EXACT = 3
"""Decimals of a count for machines."""
LEAST_DECIMALS, MOST_DECIMALS = 3, 12


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


def rounded_down(value: Fraction, decimals: int) -> str:
    """Write a figure, rounded down."""
    return _written(floor(value * 10**decimals), decimals)


def rounded_up(value: Fraction, decimals: int) -> str:
    """Write a figure, rounded up."""
    return _written(ceil(value * 10**decimals), decimals)


def _written(units: int, decimals: int) -> str:
    return format_decimal(Decimal(units).scaleb(-decimals))


def _decimals(paper: Paper) -> int:
    """Give the decimals of an SLI: two finer than the objective."""
    written = -int(paper.found.measure.objective.normalize().as_tuple().exponent)
    return min(max(written + 2, LEAST_DECIMALS), MOST_DECIMALS)


def sli_of(row: Row, paper: Paper) -> str | None:
    """Give how much of it was good, in percent."""
    return None if row.sli is None else rounded_down(row.sli * 100, _decimals(paper))


def consumed_of(row: Row) -> str | None:
    """Give how much of the budget is consumed, in percent."""
    return None if row.consumed is None else rounded_up(row.consumed * 100, 1)


def remaining_of(row: Row) -> str | None:
    """Give how much of the budget is left, in percent."""
    consumed = consumed_of(row)
    return None if consumed is None else format_decimal(100 - Decimal(consumed))


def bad_of(row: Row, decimals: int = EXACT) -> str:
    """Give how many were bad."""
    return rounded_up(row.kept.bad, decimals)


def good_of(row: Row, decimals: int = EXACT) -> str:
    """Give how many were good."""
    return rounded_down(max(row.events - row.kept.bad, Fraction(0)), decimals)


def grain_of(paper: Paper) -> int:
    """Give the decimals of counts for humans: events and slices are whole, the ratios of slices are not."""
    return EXACT if paper.found.measure.method is BudgetingMethod.RATIO_TIMESLICES else 0


def coverage_of(row: Row) -> str:
    """Give how much of the time has data, in percent."""
    return rounded_down(row.kept.coverage * 100, 1)


def is_below(row: Row, paper: Paper) -> bool | None:
    """Whether what was counted is below the objective; None without data."""
    return None if row.sli is None else row.sli < 1 - paper.found.measure.bad_share


def counted_share_of(paper: Paper) -> str:
    """Give how much of the month was counted, in percent."""
    return rounded_down(paper.found.counted_share * 100, 3)


def minutes_of(seconds: Fraction, *, is_up: bool) -> str:
    """Give a time in minutes."""
    return (rounded_up if is_up else rounded_down)(seconds / 60, 2)


def allowed_of(paper: Paper, decimals: int = EXACT) -> str:
    """Give how many bad events those that there were allow."""
    return rounded_down(paper.found.whole.events * paper.found.measure.bad_share, decimals)


def seconds_without(gaps: Iterable[Stretch]) -> int:
    """Give how long there was no data."""
    return sum(gap.until - gap.since for gap in gaps)


# --- times ----------------------------------------------------------------------------------------------


def month_of(month: Month) -> str:
    """Name the month."""
    return f"{month.year:04}-{month.month:02}"


def month_named(row: Row, paper: Paper) -> str:
    """Name the month in which a row begins."""
    return f"{datetime.fromtimestamp(row.stretch.since, paper.found.month.zone):%Y-%m}"


def day_named(row: Row, paper: Paper) -> str:
    """Name the day in which a row begins."""
    return f"{datetime.fromtimestamp(row.stretch.since, paper.found.month.zone):%Y-%m-%d}"


def moment_of(at: int, month: Month) -> str:
    """Write a time by the clocks of the month, with their distance from UTC: an hour may come twice."""
    return datetime.fromtimestamp(at, month.zone).isoformat(sep=" ", timespec="minutes")
