"""Where an objective stands: state, budget, burn rates and alerts, from the counts of its windows.

`tally` says what windows hold, `burn` has the formulas, `figures` the figures, `alerts` the alerts,
`budget_policy` what they stop, `conditions` the sentences. Without fresh data nothing begins and nothing
ends but the alert that says so: the others, and what is held, stay as they were, unless the spec takes missing data
for good, and the state is what `spec.noData` says. The same goes for an objective that cannot be evaluated at all.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from homeostat.api.objective import NoData, ServiceLevelObjectiveSpec
from homeostat.api.objective_indicator import MOST_GROUPS
from homeostat.api.objective_status import (
    AlertType,
    GroupStatus,
    ObjectiveState,
    ServiceLevelObjectiveStatus,
    Severity,
)
from homeostat.core.decision import Decision, Event, EventType
from homeostat.core.history.series import Series
from homeostat.core.objective import budget_policy, calendar
from homeostat.core.objective.alerts import (
    NO_DATA_AFTER,
    OUTAGE_EVENTS,
    OUTAGE_WINDOW,
    Identity,
    Watch,
    burning,
    chosen,
    events,
    exhausted,
    identity,
    is_outage,
    judged,
    listed,
    no_data,
    of_pair,
    total_outage,
    urgency,
    waiting,
)
from homeostat.core.objective.burn import Pair, Terms, can_fire, is_sampled, pairs
from homeostat.core.objective.calendar import Period
from homeostat.core.objective.conditions import (
    FRESH,
    NO_DATA_YET,
    NOT_COUNTED,
    PARTIAL,
    STALE,
    TOO_MANY_GROUPS,
    Cause,
    Findings,
    GroupFinding,
    ObjectiveReason,
    evaluated,
    false_since,
    is_true,
    not_evaluated,
    not_running,
)
from homeostat.core.objective.figures import (
    Figures,
    burn_windows,
    exhaustion,
    measure,
    shown_budget,
    shown_rates,
    shown_remaining,
    shown_sli,
    shown_window,
)
from homeostat.core.objective.seen import ObjectiveSeen, SourceSeen
from homeostat.core.objective.significance import significance
from homeostat.core.objective.tally import Tally, slice_seconds
from homeostat.core.rules.installation import decide_rules

__all__ = ["ObjectiveSeen", "SourceSeen", "decide", "significance"]

QUIET = timedelta(seconds=30)
"""How soon to look again; while the shortest window has bad events `watch` says how soon."""
SURVEYED = timedelta(minutes=5)
"""How soon to look again at what is surveyed, and well: time passes there, too."""
RESTORED_AT = Decimal("0.99")
"""A budget that was gone is there again when less of it than this is consumed."""
_BADNESS = (ObjectiveState.UNKNOWN, ObjectiveState.MET, ObjectiveState.BURNING, ObjectiveState.EXHAUSTED)


@dataclass(frozen=True, slots=True)
class _Case:
    """One evaluation: what was asked for, what is known, and what follows from both at once."""

    spec: ServiceLevelObjectiveSpec
    status: ServiceLevelObjectiveStatus
    seen: ObjectiveSeen
    now: datetime
    period: Period
    terms: Terms
    interval: timedelta
    alerts: tuple[Pair, ...]
    watch: Watch

    def tally(self, series: Series | None) -> Tally:
        """Count a series as the objective does."""
        return Tally(self.spec, series, self.interval, self.period, self.now)

    @property
    def is_same_spec(self) -> bool:
        """Whether the status is about the same spec: only then what was gone says something of what is gone."""
        return self.status.observed_generation == self.seen.generation


def decide(
    spec: ServiceLevelObjectiveSpec, status: ServiceLevelObjectiveStatus, seen: ObjectiveSeen, now: datetime
) -> Decision[ServiceLevelObjectiveStatus]:
    """Decide where the objective stands; tell when an alert begins or ends, and when the budget is gone."""
    problem = seen.problem or _problem(spec)
    if problem:
        return Decision(status=_not_evaluated(spec, status, seen, problem, now))
    case = _case(spec, status, seen, now)
    found, firing = _find(case)
    new = _status(case, found, firing)
    return Decision(
        status=new,
        actions=found.rules.actions,
        events=(
            *_alert_events(status, new),
            *_exhaustion_events(case, found),
            *budget_policy.events(status.holds, new.holds),
        ),
        check_again_at=_again_at(case, found),
    )


def _again_at(case: _Case, found: Findings) -> datetime:
    """Say when to look again: what is surveyed rests until its data goes stale, its period or an exclusion ends.

    Of the silence of a check we are told.
    """
    now, source = case.now, case.seen.source
    if any(rate > 0 for _, rate in found.figures.rates[:1]):
        return now + case.seen.trouble_again_in
    if not case.seen.is_surveyed or found.state is not ObjectiveState.MET or source is None:
        return now + max(QUIET, case.seen.trouble_again_in)
    if case.spec.no_data is NoData.BAD and slice_seconds(case.spec):
        return now + max(QUIET, case.seen.well_again_in)  # slices that are missing are bad, and no survey sees them
    bounds: list[datetime] = [
        now + SURVEYED,
        *(() if case.spec.indicator.health_check else ((source.observed_at or now) + source.stale_after,)),
        *(bound for one in case.spec.exclusions for bound in (one.from_, one.to) if bound > now),
        *((case.period.end,) if case.spec.window.calendar else ()),
    ]
    return max(now + max(QUIET, case.seen.well_again_in), min(bounds))


def _problem(spec: ServiceLevelObjectiveSpec) -> tuple[str, str] | None:
    indicator = spec.indicator
    if not any((indicator.health_check, indicator.events, indicator.prometheus, indicator.composite)):
        return ObjectiveReason.INVALID, "spec.indicator names nothing that is measured."
    if indicator.composite and slice_seconds(spec):
        return ObjectiveReason.INVALID, "A composite has no slices of its own: budgeting.method must be Occurrences."
    return calendar.problem(spec.window)


def _not_evaluated(
    spec: ServiceLevelObjectiveSpec,
    status: ServiceLevelObjectiveStatus,
    seen: ObjectiveSeen,
    problem: tuple[str, str],
    now: datetime,
) -> ServiceLevelObjectiveStatus:
    """Give the status of an objective without figures. What fires goes on firing, what is held stays held."""
    return ServiceLevelObjectiveStatus(
        observed_generation=seen.generation,
        conditions=not_evaluated(status.conditions, *problem, seen.generation, now),
        objective=spec.objective,
        alerts=() if spec.alerting.disabled else judged(status.alerts, seen.drills, now),
        holds=status.holds,
        rules_object=status.rules_object,
    )


def _case(
    spec: ServiceLevelObjectiveSpec, status: ServiceLevelObjectiveStatus, seen: ObjectiveSeen, now: datetime
) -> _Case:
    period = calendar.period_at(spec.window, now)
    terms = Terms((100 - spec.objective) / 100, period.length)
    interval = seen.source.interval if seen.source else timedelta(0)
    sampling = max(interval, timedelta(seconds=slice_seconds(spec)))
    alerts = pairs(spec.alerting.burn_rates, terms.period)
    watch = Watch(
        pairs=tuple(pair for pair in alerts if is_sampled(pair, sampling)),
        terms=terms,
        min_bad_events=spec.alerting.min_bad_events,
        standing=frozenset(identity(alert) for alert in status.alerts),
        outage_window=max(OUTAGE_WINDOW, OUTAGE_EVENTS * sampling),
    )
    return _Case(spec, status, seen, now, period, terms, interval, alerts, watch)


# --- what is the case -----------------------------------------------------------------------------------


def _find(case: _Case) -> tuple[Findings, tuple[Identity, ...]]:
    """Find what is the case, and which alerts fire and are listed."""
    tally = case.tally(case.seen.series)
    figures = measure(tally, case.terms, burn_windows(case.terms.period))
    data = _data(case, figures)
    is_live = data is FRESH or case.spec.no_data is NoData.GOOD
    firing = burning(case.watch, tally, "") if is_live else _still(case, "")
    is_total = is_outage(case.watch, tally) if is_live else total_outage() in case.watch.standing
    is_gone = _is_gone(case, figures, was_gone=_was_exhausted(case.status))
    groups = tuple(_groups(case, data, is_live=is_live))
    own = _state(case.spec, data, is_gone=is_gone, is_burning=bool(firing) or is_total)
    trouble, is_accepted = _trouble(case)
    alerts = _firing(case, firing, is_total=is_total, is_gone=is_gone if is_live else None, data=data, figures=figures)
    of_groups = [entry for group, of_group in groups for entry in _firing_of(case, group, of_group, is_live=is_live)]
    listed_ones = chosen(alerts, of_groups, case.watch.standing)
    found = Findings(
        figures=figures,
        state=_worst(own, tuple(group.state for group, _ in groups)),
        data=data,
        is_fresh=data is FRESH,
        is_live=is_live,
        trouble=trouble,
        is_accepted=is_accepted,
        is_clamped=case.seen.source is not None and case.seen.source.is_clamped,
        is_exhausted=is_gone,
        are_alerts_listed=bool(case.spec.alerting.burn_rates),
        firing=firing,
        is_outage=is_total,
        held=tuple(pair for pair in waiting(case.watch, tally) if pair not in firing),
        too_short=tuple(pair for pair in case.alerts if pair not in case.watch.pairs),
        never_firing=tuple(pair for pair in case.alerts if not can_fire(pair, case.terms)),
        groups=tuple(group for group, _ in groups),
        unlisted=len(set(alerts) | {one for _, one in of_groups}) - len(listed_ones),
        holds=budget_policy.held(case.spec.budget_policy, figures.remaining, case.status.holds, is_live=is_live),
        rules=decide_rules(case.spec, case.status, case.seen.rules, case.seen.ref, case.seen.outcomes),
    )
    return found, listed_ones


def _data(case: _Case, figures: Figures) -> Cause:
    source = case.seen.source
    if source is None:
        return _nothing_counts(case)
    if source.observed_at is not None and case.now - source.observed_at <= source.stale_after:
        return NO_DATA_YET if figures.bad_ratio is None else FRESH
    if source.reason and source.reason not in PARTIAL:
        return Cause(source.reason, source.message)
    return NO_DATA_YET if source.observed_at is None or figures.bad_ratio is None else STALE


def _nothing_counts(case: _Case) -> Cause:
    check = case.spec.indicator.health_check
    return not_running(check.name) if check else NOT_COUNTED


def _trouble(case: _Case) -> tuple[Cause | None, bool]:
    """Say what is wrong with the source, and whether the objective is evaluated as it is written all the same."""
    source = case.seen.source
    if source is None:
        return _nothing_counts(case), False
    if source.reason in PARTIAL:
        return Cause(source.reason, source.message), True
    if not source.is_valid:
        return Cause(source.reason or ObjectiveReason.INVALID, source.message), False
    return (TOO_MANY_GROUPS if len(case.seen.groups) > MOST_GROUPS else None), True


def _groups(case: _Case, data: Cause, *, is_live: bool) -> Iterator[tuple[GroupFinding, Tally]]:
    was_gone = {group.name for group in case.status.groups if group.state is ObjectiveState.EXHAUSTED}
    for name in sorted(case.seen.groups)[:MOST_GROUPS]:
        tally = case.tally(case.seen.groups[name])
        figures = measure(tally, case.terms)
        firing = burning(case.watch, tally, name) if is_live else _still(case, name)
        before = name in was_gone or exhausted(name) in case.watch.standing
        is_gone = _is_gone(case, figures, was_gone=before)
        state = _state(case.spec, data, is_gone=is_gone, is_burning=bool(firing))
        is_unheard = figures.bad_ratio is None and case.spec.no_data is not NoData.GOOD
        yield GroupFinding(name, figures, ObjectiveState.UNKNOWN if is_unheard else state, firing, is_gone), tally


def _still(case: _Case, group: str) -> tuple[Pair, ...]:
    """Give the pairs that fired when data was last fresh."""
    return tuple(pair for pair in case.alerts if of_pair(pair, group) in case.watch.standing)


def _is_gone(case: _Case, figures: Figures, *, was_gone: bool) -> bool:
    """Whether no budget is left. One that was gone is back when a hundredth of it is, lest it come and go."""
    if figures.consumed is None:
        return False
    return figures.consumed >= 1 or (was_gone and case.is_same_spec and figures.consumed > RESTORED_AT)


def _state(spec: ServiceLevelObjectiveSpec, data: Cause, *, is_gone: bool, is_burning: bool) -> ObjectiveState:
    if data is not FRESH and spec.no_data is NoData.UNKNOWN:
        return ObjectiveState.UNKNOWN
    if is_gone:
        return ObjectiveState.EXHAUSTED
    if is_burning or (data is not FRESH and spec.no_data is NoData.BAD):
        return ObjectiveState.BURNING
    return ObjectiveState.MET


def _worst(own: ObjectiveState, groups: tuple[ObjectiveState, ...]) -> ObjectiveState:
    """Give the worst of a whole and its groups. Of a group without data nothing follows, of a whole everything."""
    return own if own is ObjectiveState.UNKNOWN else max((own, *groups), key=_BADNESS.index)


# --- alerts ---------------------------------------------------------------------------------------------


def _firing(
    case: _Case, pairs_: tuple[Pair, ...], *, is_total: bool, is_gone: bool | None, data: Cause, figures: Figures
) -> tuple[Identity, ...]:
    """Give the alerts of the whole. `is_gone` None: it is not known whether the budget is still gone."""
    severity = _severity_of_no_data(case, data, figures)
    is_spent = exhausted("") in case.watch.standing if is_gone is None else is_gone
    found = (
        *(of_pair(pair, "") for pair in pairs_),
        *((total_outage(),) if is_total else ()),
        *((exhausted(""),) if is_spent else ()),
        *((no_data(severity),) if severity else ()),
    )
    return tuple(dict.fromkeys(found))


def _firing_of(case: _Case, group: GroupFinding, tally: Tally, *, is_live: bool) -> Iterator[tuple[Decimal, Identity]]:
    """Give the alerts of a group, and how bad each is."""
    for pair in group.firing:
        yield urgency(pair, tally, case.terms), of_pair(pair, group.name)
    if group.is_exhausted if is_live else exhausted(group.name) in case.watch.standing:
        yield group.figures.consumed or Decimal(1), exhausted(group.name)


def _severity_of_no_data(case: _Case, data: Cause, figures: Figures) -> Severity | None:
    """Say how urgent it is that there is no data; None while it is not. One that never had any is given an hour."""
    if data is FRESH or case.spec.no_data is NoData.GOOD:
        return None
    lacking_since = false_since(case.status.conditions, "DataPresent") or case.now
    stands = any(one.type is AlertType.NO_DATA for one in case.watch.standing)
    if not stands and figures.bad_ratio is None and case.now - lacking_since < NO_DATA_AFTER:
        return None
    return Severity.PAGE if case.spec.no_data is NoData.BAD else Severity.TICKET


def _was_exhausted(status: ServiceLevelObjectiveStatus) -> bool:
    gone = exhausted("")
    return any(identity(alert) == gone for alert in status.alerts) or (
        is_true(status.conditions, "BudgetExhausted") and not _are_only_groups(status)
    )


def _are_only_groups(status: ServiceLevelObjectiveStatus) -> bool:
    gone = ObjectiveReason.GROUP_WITHOUT_BUDGET
    return any(entry.type == "BudgetExhausted" and entry.reason == gone for entry in status.conditions)


# --- what to show and tell ------------------------------------------------------------------------------


def _status(case: _Case, found: Findings, firing: tuple[Identity, ...]) -> ServiceLevelObjectiveStatus:
    figures, spec = found.figures, case.spec
    has_figures, is_known = figures.bad_ratio is not None, found.state is not ObjectiveState.UNKNOWN
    ends_at = case.period.end if spec.window.calendar else None
    return ServiceLevelObjectiveStatus(
        observed_generation=case.seen.generation,
        conditions=evaluated(case.status.conditions, found, case.seen.generation, case.now),
        sli=shown_sli(figures, spec.objective),
        objective=spec.objective,
        state=found.state,
        budget=shown_budget(figures, case.terms),
        burn_rates=shown_rates(figures),
        window=shown_window(figures, spec.window, case.period),
        exhaustion_at=exhaustion(figures, case.terms, case.now, ends_at) if is_known else None,
        good=figures.good if has_figures else None,
        bad=figures.bad if has_figures else None,
        alerts=() if spec.alerting.disabled else listed(firing, case.status, case.now, case.seen.drills),
        groups=tuple(_group_status(group, spec) for group in found.groups),
        holds=found.holds,
        rules_object=found.rules.object,
    )


def _group_status(group: GroupFinding, spec: ServiceLevelObjectiveSpec) -> GroupStatus:
    figures, has_figures = group.figures, group.figures.bad_ratio is not None
    return GroupStatus(
        name=group.name,
        state=group.state,
        sli=shown_sli(figures, spec.objective),
        remaining=shown_remaining(figures),
        good=figures.good if has_figures else None,
        bad=figures.bad if has_figures else None,
    )


def _alert_events(old: ServiceLevelObjectiveStatus, new: ServiceLevelObjectiveStatus) -> tuple[Event, ...]:
    """Tell of alerts; that the whole budget is gone is told with or without alerting."""
    gone = exhausted("")
    before, after = ([one for one in status.alerts if identity(one) != gone] for status in (old, new))
    return events(before, after)


def _exhaustion_events(case: _Case, found: Findings) -> tuple[Event, ...]:
    was_gone = _was_exhausted(case.status)
    if found.state is ObjectiveState.UNKNOWN or was_gone == found.is_exhausted:
        return ()
    if found.is_exhausted:
        return (Event("BudgetExhausted", "No error budget is left.", EventType.WARNING),)
    return (Event("BudgetRestored", "There is error budget left again."),)
