"""What becomes of a slice of time when it is over: good or bad as a whole, or as bad as its events were (S5, S7).

A slice without data is neither. It is not counted here: that it is part of the period all the same is for those to
say who make an SLI of it.
"""

from decimal import Decimal

from homeostat.api.objective import BudgetingMethod
from homeostat.core.history.window import Counts

ONE = Decimal(1)
ROUNDING = Decimal("0.000002")
"""How far fractions may be off in cells, of themselves: a slice that close to its objective is good."""


def verdict(method: BudgetingMethod, objective: Decimal | None, counts: Counts) -> tuple[float, float] | None:
    """Give what a slice counts as: (bad, 1); (0, 0) if it was observed and nothing happened; None without data.

    `objective` is the share of good events from which a slice is good. A share of exactly that much is good.
    """
    if counts.total <= 0:
        return (0.0, 0.0) if counts.observed_seconds > 0 else None
    if method is BudgetingMethod.RATIO_TIMESLICES or objective is None:
        return min(counts.bad / counts.total, 1.0), 1.0
    bad, total = Decimal(counts.bad), Decimal(counts.total)
    is_whole = not bad % 1 and not total % 1
    return float(bad > (ONE - objective) * total * (ONE if is_whole else ONE + ROUNDING)), 1.0


def ended(seconds: int, since: int, until: int) -> range:
    """Give the ends of the slices that overlap a stretch (epoch s), of those that are over at its end or after it."""
    return range((since // seconds + 1) * seconds, (-(-until // seconds)) * seconds + 1, seconds)
