"""How fast an error budget burns, and which alerts that sets off: two windows, one factor (S2, S3, S6, S10).

B is the share of events that may be bad, burn = (bad / total) / B; at a burn rate of 1 the budget is used up
in exactly the objective's window. An alert fires while its long window (enough has happened) and its short
window (it still happens) both reach the factor at which `budget` would be gone within the long window. The
method, and the four pairs used by default, are those of the multiwindow, multi-burn-rate alerts in Google's
"The Site Reliability Workbook", chapter 5.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal

from homeostat.api.objective import BurnRate
from homeostat.api.objective_status import Severity
from homeostat.core.history.window import MINUTE, Counts

SHORTS_IN_LONG = 12
"""A short window is this part of its long window, unless it is given."""
COVERED = Decimal("0.95")
"""The share of a window that must have data before it counts as covered: restarts may leave small gaps."""
SLOW_FROM = timedelta(hours=12)
"""Alerts with a long window from here on are slow: they are held until that window is covered (S6)."""
ENDS_BELOW = Decimal("0.9")
"""The part of its factor below which the short window must fall for an alert to end."""
SHORTEST = timedelta(minutes=1)
SAMPLES_IN_SHORT = 2
MOST_EVENTS = 1e15
"""Events that are told from more: beyond, floats count no single ones."""
_MICROSECOND = timedelta(microseconds=1)
_EVENT = Decimal("0.000001")
_NONE, _ALL = Decimal(0), Decimal(1)


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
    return _exact(counts.bad)


def bad_ratio(counts: Counts) -> Decimal | None:
    """Give bad of total, from 0 to 1; None where there is no data, which is neither good nor bad (S4, S5)."""
    total = _exact(counts.total)
    if not total:
        return None
    bad = bad_events(counts)
    return min(bad / total, _ALL) if bad else _NONE


def burn(counts: Counts, bad_share: Decimal) -> Decimal | None:
    """Give the burn rate of a window; None where there is no data."""
    ratio = bad_ratio(counts)
    return None if ratio is None else ratio / bad_share


def coverage(counts: Counts) -> Decimal:
    """Give the share of a window that has data, from 0 to 1."""
    if not counts.span_seconds:
        return _NONE
    if counts.observed_seconds >= counts.span_seconds:
        return _ALL
    return Decimal(counts.observed_seconds) / counts.span_seconds


def filled(counts: Counts) -> Counts:
    """Give a window with the time that has no data filled up by good events at the rate of the rest."""
    covered = coverage(counts)
    if covered in {_NONE, _ALL}:
        return counts
    total = counts.total / max(float(covered), MINUTE / counts.span_seconds)  # what has data is a minute at least
    return replace(counts, good=total - counts.bad, total=total)


def can_fire(pair: Pair, terms: Terms) -> bool:
    """Whether even a total outage, whose burn rate is 1 / B, reaches the factor (S3)."""
    return factor(pair.budget, terms.period, pair.long) * terms.bad_share <= 1


def is_sampled(pair: Pair, interval: timedelta) -> bool:
    """Whether the short window is long enough for results that come every `interval` (S3)."""
    return pair.short >= max(SAMPLES_IN_SHORT * interval, SHORTEST)


def is_held(pair: Pair, long: Counts) -> bool:
    """Whether a slow alert waits for its long window to be covered (S6)."""
    return pair.long >= SLOW_FROM and coverage(long) < COVERED


def is_reached(pair: Pair, long: Counts, short: Counts, terms: Terms, min_bad_events: int) -> bool:
    """Whether both windows burn at the factor or faster, and enough bad events are behind it (S2, S10).

    The long window comes `filled`: time that it has not seen yet counts as good. `budget` is gone only when that much
    really is spent, so the first failed run of a new objective wakes nobody, and an outage from the start pages in the
    same time as any other.
    """
    if long.bad <= 0 or short.bad <= 0:
        return False
    limit = factor(pair.budget, terms.period, pair.long)
    return bad_events(long) >= min_bad_events and _burns(long, limit, terms) and _burns(short, limit, terms)


def goes_on(pair: Pair, long: Counts, short: Counts, terms: Terms) -> bool:
    """Whether an alert that fires goes on firing: its short window still burns, at the factor less a tenth of it.

    A rate that hovers about the factor so neither ends the alert nor begins it anew at each look. That the long window
    forgets is no end while the short one burns; where the short one has no events the long one decides.
    """
    limit = factor(pair.budget, terms.period, pair.long) * ENDS_BELOW
    return _burns(short if short.total > 0 else long, limit, terms)


def time_to_exhaustion(burn_rate: Decimal, period: timedelta) -> timedelta:
    """Give the time in which a whole budget is gone: at a burn rate of 1 the period, at 10 a tenth of it."""
    return timedelta(seconds=float(_decimal(period) / burn_rate))


def _burns(counts: Counts, limit: Decimal, terms: Terms) -> bool:
    rate = burn(counts, terms.bad_share)
    return rate is not None and rate >= limit


def _exact(count: float) -> Decimal:
    """Give a count as it is, without the noise of floats; none where it is no number, and never more than is sane."""
    return Decimal(min(count, MOST_EVENTS)).quantize(_EVENT) if count > 0 else _NONE


def _decimal(duration: timedelta) -> Decimal:
    return Decimal(duration // _MICROSECOND) / 1_000_000


def _short(duration: timedelta) -> str:
    minutes, seconds = divmod(round(duration.total_seconds()), 60)
    hours, minutes = divmod(minutes, 60)
    parts = ((hours, "h"), (minutes, "m"), (seconds, "s"))
    return "".join(f"{count}{unit}" for count, unit in parts if count)
