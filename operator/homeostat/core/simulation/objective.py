"""What an objective would have said of the past: its alerts with their times, and what is left of its budget."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from homeostat.api.objective import ServiceLevelObjectiveSpec
from homeostat.api.objective_status import Alert, ObjectiveState, ServiceLevelObjectiveStatus
from homeostat.core.objective.alerts import Identity, identity
from homeostat.core.objective.burn import pairs
from homeostat.core.objective.calendar import period_at
from homeostat.core.objective.evaluation import decide
from homeostat.core.objective.seen import ObjectiveSeen, SourceSeen
from homeostat.core.ref import Ref
from homeostat.core.simulation.recorded import Recorded

STALE_AFTER = timedelta(minutes=2)
"""Data of a minute that is missing for longer than this is missing: shorter gaps are restarts."""
_GENERATION = 1
_MOMENT = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Past:
    """What is replayed. `series` counts events, or slices where the budget is counted in them."""

    series: Recorded
    groups: Mapping[str, Recorded] = field(default_factory=dict)
    interval: timedelta = timedelta(0)


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
    ends = [end for end in past.series.ends if end > since.timestamp()]
    previous = int(since.timestamp())
    for end in ends:
        at = datetime.fromtimestamp(end, UTC) - _MOMENT
        if end == ends[-1] or not _is_nothing_new(spec, status, past.series, previous, end):
            status = decide(spec, status, _seen(past, at, end - previous), at).status
        yield Moment(datetime.fromtimestamp(end, UTC), status)
        previous = end


def _seen(past: Past, at: datetime, seconds: int) -> ObjectiveSeen:
    stale_after = max(STALE_AFTER, timedelta(seconds=2 * seconds), 3 * past.interval)
    known = past.series.at(at).last(int(stale_after.total_seconds()))
    source = SourceSeen(past.interval, at if known.observed_seconds or known.total else None, stale_after)
    groups = {name: series.at(at) for name, series in past.groups.items()}
    ref = Ref("ServiceLevelObjective", "", "replayed", "replayed")
    return ObjectiveSeen(ref, _GENERATION, series=past.series, groups=groups, source=source)


def _is_nothing_new(
    spec: ServiceLevelObjectiveSpec, status: ServiceLevelObjectiveStatus, series: Recorded, since: int, until: int
) -> bool:
    """Whether a stretch can change nothing but figures: all is well, data came, nothing is bad in any window."""
    is_known = status.observed_generation == _GENERATION and status.state is ObjectiveState.MET
    if not is_known or status.alerts or spec.budgeting.slice is not None or spec.exclusions:
        return False
    at = datetime.fromtimestamp(until, UTC) - _MOMENT
    listed = pairs(spec.alerting.burn_rates, period_at(spec.window, at).length)
    longest = max((int(pair.long.total_seconds()) for pair in listed), default=0)
    has_bad = series.at(at).last(max(longest, until - since)).bad > 0
    return not has_bad and series.between(since, until).total > 0


def _begun(alert: Alert, at: datetime) -> datetime:
    return min(alert.since, at)
