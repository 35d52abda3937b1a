"""What an objective's counts amount to: exact figures first, then what the status shows of them.

consumed = burn x elapsed share of the window, remaining = 1 - consumed. The elapsed share is the coverage: a
minute without data spends nothing, neither before the objective existed nor while nobody measured. Of slices
(Timeslices) there are as many as the window has room for, so that consumed is bad / (B x all).
Everything shown is rounded against the service, so that no figure claims better than the truth.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from homeostat.api.meta import format_duration
from homeostat.api.objective import Window
from homeostat.api.objective_status import Budget, ObservedWindow, WindowBurnRate
from homeostat.core.objective.burn import COVERED, MOST_EVENTS, Terms, bad_events, bad_ratio, burn, time_to_exhaustion
from homeostat.core.objective.calendar import Period
from homeostat.core.objective.tally import Tally

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
    """Exact figures of an objective; all ratios, None where there is no data. `consumed` is of the budget.

    `coverage` is of the whole period, `elapsed_coverage` of what has passed of it.
    """

    bad_ratio: Decimal | None
    consumed: Decimal | None
    coverage: Decimal
    elapsed_coverage: Decimal
    good: int
    bad: int
    rates: tuple[tuple[timedelta, Decimal], ...]

    @property
    def is_covered(self) -> bool:
        """Whether what has passed of the window has data enough for the budget to be more than provisional (S6)."""
        return self.elapsed_coverage >= COVERED

    @property
    def remaining(self) -> Decimal | None:
        """The share of the budget that is left; below 0 when more than all is gone."""
        return None if self.consumed is None else 1 - self.consumed


def measure(tally: Tally, terms: Terms, windows: Iterable[timedelta] = ()) -> Figures:
    """Work out the figures of a series, and the burn rates of `windows`."""
    standing = tally.standing()
    counts, rate = standing.counts, burn(standing.counts, terms.bad_share)
    bad = int(bad_events(counts).to_integral_value(ROUND_CEILING))
    rates = ((window, burn(tally.last(window), terms.bad_share)) for window in windows)
    return Figures(
        bad_ratio=bad_ratio(counts),
        consumed=None if rate is None else rate * standing.share,
        coverage=standing.coverage,
        elapsed_coverage=standing.elapsed_coverage,
        good=max(round(min(standing.counted, MOST_EVENTS)) - bad, 0),
        bad=bad,
        rates=tuple((window, rate) for window, rate in rates if rate is not None),
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


def shown_remaining(figures: Figures) -> Decimal | None:
    """Give the percentage of the budget that is left, rounded down to 0.1."""
    return None if figures.consumed is None else 100 - _rounded_up(figures.consumed * 100, _TENTH)


def shown_window(figures: Figures, window: Window, period: Period) -> ObservedWindow:
    """Give the window, and its coverage in percent, rounded down to 0.1."""
    covered = (figures.coverage * 100).quantize(_TENTH, ROUND_FLOOR)
    start, end = (bound.replace(microsecond=0) for bound in (period.start, period.end))
    length = window.calendar.unit.value if window.calendar else format_duration(period.length)
    return ObservedWindow(start=start, end=end, coverage=covered, length=length)


def exhaustion(figures: Figures, terms: Terms, now: datetime, ends_at: datetime | None) -> datetime | None:
    """Project when the budget will be gone, to the minute, rounded down: remaining x period / burn rate.

    None while it is not on its way to be: nothing is left already; a period of the calendar is over before (it
    `ends_at` then); or, of a rolling window, the burn rate is below 1, and old errors leave it faster than new ones
    enter it.
    """
    rate = dict(figures.rates).get(PROJECTED_FROM)
    if not rate or figures.remaining is None or figures.remaining <= 0:
        return None
    left = figures.remaining / rate
    if (rate < 1) if ends_at is None else (left * _seconds(terms.period) >= _seconds(ends_at - now)):
        return None
    at = now + time_to_exhaustion(1 / left, terms.period)
    return max(at.replace(second=0, microsecond=0), now.replace(microsecond=0))


def _seconds(duration: timedelta) -> Decimal:
    return Decimal(duration.total_seconds())


def _rounded_up(value: Decimal, to: Decimal) -> Decimal:
    return min(value.quantize(to, ROUND_CEILING), _MOST)
