"""What an objective's counts amount to: exact figures first, then what the status shows of them.

consumed = burn x elapsed share of the window, remaining = 1 - consumed. The elapsed share is the coverage: a
minute without data spends nothing, neither before the objective existed nor while nobody measured.
Everything shown is rounded against the service, so that no figure claims better than the truth.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from homeostat.api.objective_status import Budget, ObservedWindow, WindowBurnRate
from homeostat.core.burn import COVERED, Terms, bad_events, bad_ratio, burn, coverage
from homeostat.core.window import Counts

BURN_WINDOWS = tuple(timedelta(minutes=minutes) for minutes in (5, 30, 60, 2 * 60, 6 * 60, 24 * 60, 3 * 24 * 60))
"""The windows whose burn rates the status shows, as far as they fit into the objective's window."""
PROJECTED_FROM = timedelta(hours=1)
"""The window whose burn rate is taken to go on: long enough not to jump, short enough to follow an incident."""
LEAST_DECIMALS, MOST_DECIMALS = 3, 12
_TENTH, _HUNDREDTH = Decimal("0.1"), Decimal("0.01")
_MOST = Decimal(999_999_999_999)
"""The largest number that an exact decimal of the API holds; objectives with twelve decimals can go beyond."""


@dataclass(frozen=True, slots=True)
class Figures:
    """Exact figures of an objective; all ratios, None where there is no data. `consumed` is of the budget."""

    bad_ratio: Decimal | None
    consumed: Decimal | None
    coverage: Decimal
    good: int
    bad: int
    rates: tuple[tuple[timedelta, Decimal], ...]

    @property
    def is_covered(self) -> bool:
        """Whether the window has enough data for the budget to be more than provisional (S6)."""
        return self.coverage >= COVERED

    @property
    def is_exhausted(self) -> bool:
        """Whether no budget is left."""
        return self.consumed is not None and self.consumed >= 1


def measure(counts: Mapping[timedelta, Counts], interval: timedelta, terms: Terms) -> Figures:
    """Work out the figures of an objective from the counts of its windows."""
    window = counts.get(terms.period, Counts())
    covered, rate = coverage(window, interval), burn(window, terms.bad_share)
    bad = int(bad_events(window).to_integral_value(ROUND_CEILING))
    rates = ((each, burn(counts.get(each, Counts()), terms.bad_share)) for each in burn_windows(terms.period))
    return Figures(
        bad_ratio=bad_ratio(window),
        consumed=None if rate is None else rate * covered,
        coverage=covered,
        good=max(round(window.total) - bad, 0),
        bad=bad,
        rates=tuple((each, rate) for each, rate in rates if rate is not None),
    )


def burn_windows(period: timedelta) -> tuple[timedelta, ...]:
    """Give the windows whose burn rates an objective of this period shows."""
    return tuple(window for window in BURN_WINDOWS if window <= period)


def shown_sli(figures: Figures, objective: Decimal) -> Decimal | None:
    """Give the percentage of good events, two decimals finer than the objective, rounded down."""
    if figures.bad_ratio is None:
        return None
    written = -int(objective.normalize().as_tuple().exponent)
    decimals = min(max(written + 2, LEAST_DECIMALS), MOST_DECIMALS)
    return (100 * (1 - figures.bad_ratio)).quantize(Decimal(1).scaleb(-decimals), ROUND_FLOOR)


def shown_budget(figures: Figures, terms: Terms) -> Budget | None:
    """Give the budget, to 0.1 percent of it: consumed rounded up, remaining down."""
    if figures.consumed is None:
        return None
    consumed = _rounded_up(figures.consumed * 100, _TENTH)
    return Budget(
        total=terms.bad_share * 100, consumed=consumed, remaining=100 - consumed, provisional=not figures.is_covered
    )


def shown_rates(figures: Figures) -> tuple[WindowBurnRate, ...]:
    """Give the burn rates, rounded up to 0.01."""
    return tuple(WindowBurnRate(window=window, rate=_rounded_up(rate, _HUNDREDTH)) for window, rate in figures.rates)


def shown_window(figures: Figures, terms: Terms, now: datetime) -> ObservedWindow:
    """Give the window that ends now, and its coverage in percent, rounded down to 0.1."""
    end = now.replace(microsecond=0)
    covered = (figures.coverage * 100).quantize(_TENTH, ROUND_FLOOR)
    return ObservedWindow(start=end - terms.period, end=end, coverage=covered)


def exhaustion(figures: Figures, terms: Terms, now: datetime) -> datetime | None:
    """Project when the budget will be gone, to the minute, rounded down: remaining x window / burn rate.

    None while it is not on its way to be: nothing is left already, or at a burn rate of 1 or less old errors
    leave the rolling window as fast as new ones enter it.
    """
    rate = dict(figures.rates).get(PROJECTED_FROM)
    if rate is None or rate <= 1 or figures.consumed is None or figures.is_exhausted:
        return None
    left = terms.period * float((1 - figures.consumed) / rate)
    return max((now + left).replace(second=0, microsecond=0), now.replace(microsecond=0))


def _rounded_up(value: Decimal, to: Decimal) -> Decimal:
    return min(value.quantize(to, ROUND_CEILING), _MOST)
