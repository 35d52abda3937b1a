"""What an objective would have said of the past: its alerts with their times, and what is left of its budget."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from homeostat.api.objective import ServiceLevelObjectiveSpec
from homeostat.api.objective_status import Alert, ObjectiveState, ServiceLevelObjectiveStatus
from homeostat.core.history.series import Series
from homeostat.core.history.window import HOUR, MINUTE, Counts
from homeostat.core.objective.alerts import OUTAGE_WINDOW, Identity, identity
from homeostat.core.objective.burn import Pair, factor, pairs
from homeostat.core.objective.calendar import Period, period_at
from homeostat.core.objective.evaluation import decide
from homeostat.core.objective.seen import ObjectiveSeen, SourceSeen
from homeostat.core.ref import Ref
from homeostat.core.simulation.recorded import Replayable

STALE_AFTER = timedelta(minutes=2)
"""Data of a minute that is missing for longer than this is missing: shorter gaps are restarts."""
FIGURES_EVERY = 15 * MINUTE
_SURELY = 0.999
"""Floats are taken for less only where rounding has no say."""
_GENERATION = 1
_MOMENT = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Past:
    """What is replayed. `series` counts events, or slices where the budget is counted in them.

    `stale_after` is known where the source says how often its data comes: then it is also decided on in the time of
    which nothing is known, as far as `until`. Without it, data that comes late is as good as in time.
    """

    series: Replayable
    groups: Mapping[str, Replayable] = field(default_factory=dict)
    interval: timedelta = timedelta(0)
    stale_after: timedelta | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Fired:
    """An alert that would have fired; `until` None when it still does at the end."""

    alert: Identity
    since: datetime
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a replay came to: alerts in the order in which they began, and where the objective stands at the end."""

    fired: tuple[Fired, ...]
    end: ServiceLevelObjectiveStatus
    exhausted_at: datetime | None
    lowest: tuple[Decimal, datetime] | None

    @property
    def remaining(self) -> Decimal | None:
        """How much of the budget is left at the end, in percent of it; None when that is not known."""
        return self.end.budget.remaining if self.end.budget else None

    @property
    def is_provisional(self) -> bool:
        """Whether too little is known of the window at the end for the budget to be more than a first impression."""
        return self.end.budget is not None and self.end.budget.provisional


@dataclass(frozen=True, slots=True)
class Moment:
    """One decision of a replay."""

    at: datetime
    status: ServiceLevelObjectiveStatus


def replay(spec: ServiceLevelObjectiveSpec, past: Past, since: datetime) -> Outcome:
    """Decide at the end of each bucket since then, as the operator would have done."""
    standing: dict[Identity, datetime] = {}
    fired: list[Fired] = []
    status, exhausted_at, lowest = ServiceLevelObjectiveStatus(), None, None
    for moment in moments(spec, past, since):
        status, at = moment.status, moment.at
        now = {identity(alert): alert for alert in status.alerts}
        fired += [Fired(one, begun, at) for one, begun in standing.items() if one not in now]
        standing = {one: standing.get(one) or _begun(alert, at) for one, alert in now.items()}
        remaining = status.budget.remaining if status.budget else None
        if remaining is not None and (lowest is None or remaining < lowest[0]):
            lowest = remaining, at
        if exhausted_at is None and status.state is ObjectiveState.EXHAUSTED:
            exhausted_at = at
    fired += [Fired(one, begun) for one, begun in standing.items()]
    return Outcome(tuple(sorted(fired, key=lambda one: (one.since, one.alert))), status, exhausted_at, lowest)


def moments(spec: ServiceLevelObjectiveSpec, past: Past, since: datetime) -> Iterator[Moment]:
    """Give the decisions one after another, each made on the status of the one before."""
    status = ServiceLevelObjectiveStatus()
    for one in _instants(past, since):
        if not one.has_data or one.is_last or not _is_nothing_new(spec, status, past, one):
            at = datetime.fromtimestamp(one.at, UTC) - _MOMENT
            status = decide(spec, status, _seen(past, at, one), at).status
        yield Moment(datetime.fromtimestamp(one.at, UTC), status)


@dataclass(frozen=True, slots=True)
class _Instant:
    """When to decide (epoch s); data came until `before`, and if it `has_data` until then, too."""

    at: int
    before: int
    has_data: bool
    is_last: bool = False


def _instants(past: Past, since: datetime) -> Iterator[_Instant]:
    """Give when to decide: where buckets end, and once what came last is old, each hour until something comes."""
    ends = [end for end in past.series.ends if end > since.timestamp()]
    previous = int(since.timestamp())
    for number, end in enumerate(ends):
        if number:
            yield from _without_data(past, previous, end)
        yield _Instant(end, previous, has_data=True, is_last=number == len(ends) - 1)
        previous = end
    if ends and past.until is not None:
        yield from _without_data(past, previous, int(past.until.timestamp()))


def _without_data(past: Past, since: int, until: int) -> Iterator[_Instant]:
    if past.stale_after is None or until - since <= past.stale_after.total_seconds():
        return
    ends = [end for start, end in past.series.gaps(since, until) if start == since]
    first = -(-(since + int(past.stale_after.total_seconds())) // MINUTE) * MINUTE + MINUTE
    yield from (_Instant(at, since, has_data=False) for at in range(first, min(ends, default=since), HOUR))


def _seen(past: Past, at: datetime, one: _Instant) -> ObjectiveSeen:
    series, groups = past.series.at(at), {name: group.at(at) for name, group in past.groups.items()}
    stale_after = past.stale_after or max(STALE_AFTER, 3 * past.interval)
    if one.has_data:
        stale_after = max(stale_after, timedelta(seconds=2 * (one.at - one.before)))
        known = series.last(int(stale_after.total_seconds()))
        observed_at = at if known.observed_seconds or known.total else None
    else:
        observed_at = datetime.fromtimestamp(one.before, UTC)
    ref = Ref("ServiceLevelObjective", "", "replayed", "replayed")
    return ObjectiveSeen(
        ref, _GENERATION, series=series, groups=groups, source=SourceSeen(past.interval, observed_at, stale_after)
    )


def _is_nothing_new(
    spec: ServiceLevelObjectiveSpec, status: ServiceLevelObjectiveStatus, past: Past, one: _Instant
) -> bool:
    """Whether a stretch can change nothing but figures: all is well, data came, and nothing can fire or run out.

    Where something is bad it is decided every quarter of an hour all the same, for what is left of the budget.
    """
    is_known = status.observed_generation == _GENERATION and status.state is ObjectiveState.MET
    if not is_known or status.alerts or spec.budgeting.slice is not None or spec.exclusions:
        return False
    at = datetime.fromtimestamp(one.at, UTC) - _MOMENT
    period = period_at(spec.window, at)
    listed = pairs(spec.alerting.burn_rates, period.length)
    longest = max((_whole_seconds(pair.long) for pair in listed), default=0)
    series = past.series.at(at)
    if series.between(one.before, one.at).total <= 0:
        return False
    if series.last(max(longest, one.at - one.before)).bad <= 0:
        return True
    is_look_due = one.at // FIGURES_EVERY != one.before // FIGURES_EVERY
    return not is_look_due and not past.groups and _can_nothing_fire(spec, series, listed, period, one.at)


def _can_nothing_fire(
    spec: ServiceLevelObjectiveSpec, series: Series, listed: Sequence[Pair], period: Period, until: int
) -> bool:
    """Whether each short window is below its factor, not all is bad, and less is bad than the budget allows."""
    share = (100 - spec.objective) / 100
    limits = ((pair.short, factor(pair.budget, period.length, pair.long) * share) for pair in listed)
    in_period = series.between(int(period.start.timestamp()), until)
    return (
        _ratio(in_period) < _SURELY * float(share)
        and _ratio(series.last(_whole_seconds(OUTAGE_WINDOW))) < 1
        and all(_ratio(series.last(_whole_seconds(short))) < _SURELY * float(limit) for short, limit in limits)
    )


def _ratio(counts: Counts) -> float:
    return counts.bad / counts.total if counts.total > 0 else 1.0


def _whole_seconds(window: timedelta) -> int:
    return int(window.total_seconds())


def _begun(alert: Alert, at: datetime) -> datetime:
    return min(alert.since, at)
