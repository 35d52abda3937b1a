"""Which alerts of an objective fire, what they are called, and what is told when one begins or ends.

An alert is known by its type, severity, windows and group; `status.alerts` is the memory of those that fire, so each is
told once when it begins and once when it ends, through any number of restarts. At most 32 are listed: those of the
whole first, then those that are listed already, then the worst.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

from homeostat.api.objective_status import MOST_ALERTS, Alert, AlertType, ServiceLevelObjectiveStatus, Severity
from homeostat.core.decision import Event, EventType
from homeostat.core.objective.burn import Pair, Terms, bad_events, bad_ratio, burn, factor, goes_on, is_held, is_reached
from homeostat.core.objective.drills import Drill, expected_by
from homeostat.core.objective.tally import Tally

OUTAGE_WINDOW = timedelta(minutes=10)
OUTAGE_EVENTS = 3
"""A total outage is that many bad events, at least, and none that is good (S10)."""
SILENCE = timedelta(hours=1)
"""How long there may be no event at all before an outage is over."""
NO_DATA_AFTER = timedelta(hours=1)
"""How long an objective that never had data may wait for it before that is an alert."""


class Identity(NamedTuple):
    """What tells one alert from another."""

    type: AlertType
    severity: Severity
    long: timedelta | None = None
    short: timedelta | None = None
    group: str = ""

    @property
    def pair(self) -> str:
        """The two windows of a burn rate alert, such as `6h/30m`."""
        return Pair(Decimal(0), self.long or timedelta(0), self.short or timedelta(0), self.severity).name


@dataclass(frozen=True, slots=True)
class Watch:
    """What alerts are decided by: the pairs in use, the terms, `minBadEvents`, and the alerts that fire already."""

    pairs: tuple[Pair, ...]
    terms: Terms
    min_bad_events: int
    standing: frozenset[Identity]
    outage_window: timedelta


def identity(alert: Alert) -> Identity:
    """Name an alert of a status."""
    return Identity(alert.type, alert.severity, alert.long, alert.short, alert.group)


def of_pair(pair: Pair, group: str) -> Identity:
    """Name the alert of a pair of windows."""
    return Identity(AlertType.BURN_RATE, pair.severity, pair.long, pair.short, group)


def total_outage() -> Identity:
    """Name the alert of an outage in which nothing is good."""
    return Identity(AlertType.TOTAL_OUTAGE, Severity.PAGE)


def exhausted(group: str) -> Identity:
    """Name the alert of a budget that is gone."""
    return Identity(AlertType.BUDGET_EXHAUSTED, Severity.TICKET, group=group)


def no_data(severity: Severity) -> Identity:
    """Name the alert of data that does not arrive."""
    return Identity(AlertType.NO_DATA, severity)


def burning(watch: Watch, tally: Tally, group: str) -> tuple[Pair, ...]:
    """Give the pairs that fire for one series. A slow alert does not begin before its window is covered (S6)."""
    return tuple(pair for pair in watch.pairs if _fires(pair, watch, tally, group))


def waiting(watch: Watch, tally: Tally) -> tuple[Pair, ...]:
    """Give the slow alerts that wait for their windows to be covered (S6)."""
    return tuple(pair for pair in watch.pairs if is_held(pair, tally.last(pair.long)))


def is_outage(watch: Watch, tally: Tally) -> bool:
    """Whether everything is bad, of three events at least (S10).

    It is over with the first event that is good, or after an hour without any.
    """
    counts = tally.events(watch.outage_window)
    if counts.total <= 0:
        return total_outage() in watch.standing and tally.events(SILENCE).total > 0
    if bad_ratio(counts) != 1:
        return False
    return total_outage() in watch.standing or bad_events(counts) >= OUTAGE_EVENTS


def urgency(pair: Pair, tally: Tally, terms: Terms) -> Decimal:
    """Say how far above its factor an alert is: the larger the worse."""
    rate = burn(tally.filled(pair.long), terms.bad_share)
    return (rate or Decimal(0)) / factor(pair.budget, terms.period, pair.long)


def chosen(
    whole: Sequence[Identity], groups: Sequence[tuple[Decimal, Identity]], standing: Collection[Identity]
) -> tuple[Identity, ...]:
    """Choose which alerts are listed; `groups` come with how bad they are, and stay in their order."""
    room = max(MOST_ALERTS - len(whole), 0)
    if len(groups) <= room:
        return tuple(dict.fromkeys((*whole, *(one for _, one in groups))))
    ranked = sorted(groups, key=lambda entry: (entry[1] not in standing, -entry[0], entry[1].group))
    kept = {one for _, one in ranked[:room]}
    return tuple(dict.fromkeys((*whole, *(one for _, one in groups if one in kept))))


def listed(
    firing: Sequence[Identity], status: ServiceLevelObjectiveStatus, now: datetime, drills: Sequence[Drill] = ()
) -> tuple[Alert, ...]:
    """Give the alerts that fire, each since it began, with the experiment that accounts for it."""
    known = {identity(alert): alert for alert in status.alerts}
    alerts = (known.get(one) or _new(one, now) for one in firing)
    return judged(alerts, drills, now)


def judged(alerts: Iterable[Alert], drills: Sequence[Drill], now: datetime) -> tuple[Alert, ...]:
    """Say of each alert anew which experiment accounts for it (C13)."""
    return tuple(one.model_copy(update={"expected_by": expected_by(one, drills, now)}) for one in alerts)


def _new(one: Identity, now: datetime) -> Alert:
    return Alert(type=one.type, severity=one.severity, long=one.long, short=one.short, group=one.group, since=now)


# --- what is told -----------------------------------------------------------------------------------------


def events(before: Sequence[Alert], after: Sequence[Alert]) -> tuple[Event, ...]:
    """Tell which alerts began, of which no experiment accounts any more, and which ended."""
    old, new = ({identity(alert): alert.expected_by for alert in alerts} for alerts in (before, after))
    begun = (_begun(one, who) for one, who in new.items() if one not in old)
    handed = (_handed_over(one, old[one] or "") for one, who in new.items() if old.get(one) and not who)
    ended = (_ended(one) for one in old if one not in new)
    return (*begun, *handed, *ended)


def _handed_over(one: Identity, experiment: str) -> Event:
    """Tell of an alert that goes on although nobody expects it any more (C13)."""
    windows = f" over {one.pair}" if one.type is AlertType.BURN_RATE else ""
    what = f"{one.type.value}{windows}{_of_group(one)} still fires, and ChaosExperiment {experiment} is over"
    return Event("AlertNotExpected", f"{one.severity}: {what}.", EventType.WARNING)


def _begun(one: Identity, experiment: str | None) -> Event:
    told = {
        AlertType.BURN_RATE: ("BurnRateHigh", f"the error budget burns too fast over {one.pair}"),
        AlertType.TOTAL_OUTAGE: ("TotalOutage", "everything is bad"),
        AlertType.BUDGET_EXHAUSTED: ("BudgetExhausted", "no error budget is left"),
        AlertType.NO_DATA: ("NoData", "data does not arrive"),
    }
    reason, what = told[one.type]
    if experiment:
        return Event(reason, f"{one.severity}: {what}{_of_group(one)}, as ChaosExperiment {experiment} expects.")
    return Event(reason, f"{one.severity}: {what}{_of_group(one)}.", EventType.WARNING)


def _ended(one: Identity) -> Event:
    told = {
        AlertType.BURN_RATE: ("BurnRateNormal", f"the error budget no longer burns too fast over {one.pair}"),
        AlertType.TOTAL_OUTAGE: ("TotalOutageOver", "not everything is bad any more"),
        AlertType.BUDGET_EXHAUSTED: ("BudgetRestored", "there is error budget left again"),
        AlertType.NO_DATA: ("DataReturned", "data arrives again, or is no longer waited for"),
    }
    reason, what = told[one.type]
    return Event(reason, f"{one.severity}: {what}{_of_group(one)}.")


def _of_group(one: Identity) -> str:
    return f", group {one.group}" if one.group else ""


def _fires(pair: Pair, watch: Watch, tally: Tally, group: str) -> bool:
    long, short = tally.filled(pair.long), tally.last(pair.short)
    if of_pair(pair, group) in watch.standing:
        return goes_on(pair, long, short, watch.terms)
    if not is_reached(pair, long, short, watch.terms, watch.min_bad_events):
        return False
    return not is_held(pair, tally.last(pair.long))
