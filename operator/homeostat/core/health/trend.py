"""Whether uptime goes up or down: the slope of the passing share over equal periods, with a noise floor (H7).

A line is fitted through the shares, each weighted by its runs. It is a trend only when all three hold:

    chance     with no trend at all, a slope as steep comes of chance less than once in 15,000 looks, on either side:
               it is 4 of the standard deviations that runs alone would give it (the Cochran-Armitage test)
    scatter    it is 2.5 of the standard errors that the shares' own scatter about the line gives it: bursts of
               failures scatter more than chance, and one bad period alone never gets beyond 1.73
    practice   from the first period to the last it makes at least one percentage point

docs/scores.md has the formula, its source, and what a trend can and cannot see.
"""

from collections.abc import Sequence
from typing import NamedTuple

from homeostat.api.health_check import Trend

LEAST_PERIODS = 6
"""Periods with data; with fewer nothing is said."""
LEAST_RUNS = 72
"""Runs in all of them; with fewer, even a steady fall from 100 to 0 percent would often not stand out from chance."""

_CHANCE, _SCATTER = 4.0, 2.5  # standard deviations
_PRACTICE = 0.01


def trend_of(points: Sequence[tuple[int, int]]) -> Trend | None:
    """Say where the share of good runs is going, from (good, total) of equal consecutive periods, oldest first.

    Periods without runs are gaps. None when there is too little data to say anything.
    """
    periods = [(when, good, total) for when, (good, total) in enumerate(points) if total > 0]
    if len(periods) < LEAST_PERIODS or sum(total for _, _, total in periods) < LEAST_RUNS:
        return None
    line = _fit(periods)
    if not _is_trend(line):
        return Trend.STABLE
    return Trend.IMPROVING if line.slope > 0 else Trend.WORSENING


class _Line(NamedTuple):
    """A fitted line. `chance` is the variance of one run if there were no trend.

    `explained` and `scatter` are the weighted sums of squares of the line about the mean, and of the shares about
    the line; `freedom` is how many of the shares were free to scatter.
    """

    slope: float
    change: float
    chance: float
    explained: float
    scatter: float
    freedom: int


def _fit(periods: Sequence[tuple[int, int, int]]) -> _Line:
    """Fit by least squares; (when, good, total) of at least two periods, each weighted by its total."""
    runs = sum(total for _, _, total in periods)
    share = sum(good for _, good, _ in periods) / runs
    middle = sum(when * total for when, _, total in periods) / runs
    spread = sum(total * (when - middle) ** 2 for when, _, total in periods)
    slope = sum((when - middle) * (good - share * total) for when, good, total in periods) / spread
    explained = slope * slope * spread
    whole = sum((good - share * total) ** 2 / total for _, good, total in periods)
    return _Line(
        slope=slope,
        change=slope * (periods[-1][0] - periods[0][0]),
        chance=share * (1 - share),
        explained=explained,
        scatter=max(whole - explained, 0.0),
        freedom=len(periods) - 2,
    )


def _is_trend(line: _Line) -> bool:
    return (
        abs(line.change) >= _PRACTICE
        and line.explained >= _CHANCE**2 * line.chance
        and line.explained * line.freedom >= _SCATTER**2 * line.scatter
    )
