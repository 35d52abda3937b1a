"""How fast an error budget burns, and which alerts that sets off: two windows, one factor (S2, S3, S6, S10).

B is the share of events that may be bad, burn = (bad / total) / B; at a burn rate of 1 the budget is used up
in exactly the objective's window. An alert fires while its long window (enough has happened) and its short
window (it still happens) both reach the factor at which `budget` would be gone within the long window. The
method, and the four pairs used by default, are those of the multiwindow, multi-burn-rate alerts in Google's
"The Site Reliability Workbook", chapter 5.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal

from homeostat.api.objective import BurnRate
from homeostat.api.objective_status import Severity
from homeostat.core.window import MINUTE, Counts

SHORTS_IN_LONG = 12
"""A short window is this part of its long window, unless it is given."""
COVERED = Decimal("0.95")
"""The share of a window that must have data before it counts as covered: restarts may leave small gaps."""
SLOW_FROM = timedelta(hours=12)
"""Alerts with a long window from here on are slow: they are held until that window is covered (S6)."""
SHORTEST = timedelta(minutes=1)
SAMPLES_IN_SHORT = 2
_MICROSECOND = timedelta(microseconds=1)
_EVENT = Decimal("0.000001")


@dataclass(frozen=True, slots=True)
class Pair:
    """An alert: `budget` is the share of the error budget that may go within `long`."""

    budget: Decimal
    long: timedelta
    short: timedelta
    severity: Severity

    @property
    def name(self) -> str:
        """What humans call it: its two windows in hours and minutes, such as `6h/30m`."""
        return f"{_short(self.long)}/{_short(self.short)}"


def _hours(budget: str, hours: int, severity: Severity) -> Pair:
    long = timedelta(hours=hours)
    return Pair(Decimal(budget), long, long / SHORTS_IN_LONG, severity)


DEFAULT_PAIRS = (
    _hours("0.02", 1, Severity.PAGE),
    _hours("0.05", 6, Severity.PAGE),
    _hours("0.10", 24, Severity.TICKET),
    _hours("0.10", 72, Severity.TICKET),
)


@dataclass(frozen=True, slots=True)
class Terms:
    """What an objective promises: B (the share of events that may be bad) and over which period."""

    bad_share: Decimal
    period: timedelta


def pairs(listed: Sequence[BurnRate], period: timedelta) -> tuple[Pair, ...]:
    """Give the alerts of an objective: those listed, else those of the default that fit into its period."""
    if not listed:
        return tuple(pair for pair in DEFAULT_PAIRS if pair.long <= period)
    given = (Pair(rate.budget, rate.long, rate.short or rate.long / SHORTS_IN_LONG, rate.severity) for rate in listed)
    return tuple(dict.fromkeys(given))


def factor(budget: Decimal, period: timedelta, long: timedelta) -> Decimal:
    """Give the burn rate at which `budget` (a share) of a period's error budget is gone within `long` (S2)."""
    return budget * _decimal(period) / _decimal(long)


def bad_events(counts: Counts) -> Decimal:
    """Give the bad events of a window; sums of weighted floats are cleaned of their noise."""
    return max(Decimal(counts.bad).quantize(_EVENT), Decimal(0))


def bad_ratio(counts: Counts) -> Decimal | None:
    """Give bad of total, from 0 to 1; None where there is no data, which is neither good nor bad (S4, S5)."""
    total = Decimal(counts.total).quantize(_EVENT)
    return min(bad_events(counts) / total, Decimal(1)) if total > 0 else None


def burn(counts: Counts, bad_share: Decimal) -> Decimal | None:
    """Give the burn rate of a window; None where there is no data."""
    ratio = bad_ratio(counts)
    return None if ratio is None else ratio / bad_share


def coverage(counts: Counts, interval: timedelta) -> Decimal:
    """Give the share of a window that has data, from 0 to 1, for results that come every `interval`.

    A result speaks for its interval: of a check that runs every five minutes one minute in five has data.
    """
    if not counts.span_seconds:
        return Decimal(0)
    speaks_for = max(_decimal(interval) / 60, Decimal(1))
    return min(Decimal(counts.observed_seconds) * speaks_for / counts.span_seconds, Decimal(1))


def filled(counts: Counts, interval: timedelta) -> Counts:
    """Give a window with the time that has no data filled up by good events at the rate of the rest."""
    covered = coverage(counts, interval)
    if not 0 < covered < 1:
        return counts
    total = counts.total / max(float(covered), MINUTE / counts.span_seconds)  # what has data is a minute at least
    return replace(counts, good=total - counts.bad, total=total)


def can_fire(pair: Pair, terms: Terms) -> bool:
    """Whether even a total outage, whose burn rate is 1 / B, reaches the factor (S3)."""
    return factor(pair.budget, terms.period, pair.long) * terms.bad_share <= 1


def is_sampled(pair: Pair, interval: timedelta) -> bool:
    """Whether the short window is long enough for results that come every `interval` (S3)."""
    return pair.short >= max(SAMPLES_IN_SHORT * interval, SHORTEST)


def is_held(pair: Pair, counts: Mapping[timedelta, Counts], interval: timedelta) -> bool:
    """Whether a slow alert waits for its long window to be covered (S6)."""
    return pair.long >= SLOW_FROM and coverage(counts.get(pair.long, Counts()), interval) < COVERED


def is_reached(
    pair: Pair, counts: Mapping[timedelta, Counts], terms: Terms, interval: timedelta, min_bad_events: int
) -> bool:
    """Whether both windows burn at the factor or faster, and enough bad events are behind it (S2, S10).

    Time that the long window has not seen yet counts as good: `budget` is gone only when that much really is
    spent, so the first failed run of a new objective wakes nobody, and an outage from the start pages in the
    same time as any other.
    """
    long, short = counts.get(pair.long, Counts()), counts.get(pair.short, Counts())
    rates = (burn(filled(long, interval), terms.bad_share), burn(short, terms.bad_share))
    limit = factor(pair.budget, terms.period, pair.long)
    return bad_events(long) >= min_bad_events and all(rate is not None and rate >= limit for rate in rates)


def _decimal(duration: timedelta) -> Decimal:
    return Decimal(duration // _MICROSECOND) / 1_000_000


def _short(duration: timedelta) -> str:
    minutes, seconds = divmod(round(duration.total_seconds()), 60)
    hours, minutes = divmod(minutes, 60)
    parts = ((hours, "h"), (minutes, "m"), (seconds, "s"))
    return "".join(f"{count}{unit}" for count, unit in parts if count)
