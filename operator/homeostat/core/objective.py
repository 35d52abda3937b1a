"""Where an objective stands: state, budget, burn rates and alerts, from the counts of its windows.

`burn` has the formulas, `objective_figures` the figures, `objective_conditions` the sentences. Without fresh
data nothing begins and nothing ends: the alerts stay as they were, unless the spec takes missing data for
good, and the state is what `spec.noData` says.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

from homeostat.api.objective import NoData, ServiceLevelObjectiveSpec
from homeostat.api.objective_status import Alert, ObjectiveState, ServiceLevelObjectiveStatus
from homeostat.core.burn import Pair, Terms, can_fire, is_held, is_reached, is_sampled, pairs
from homeostat.core.condition import condition
from homeostat.core.decision import Decision, Event, EventType, Ref
from homeostat.core.objective_conditions import TRUE, Findings, ObjectiveReason, evaluated, not_evaluated
from homeostat.core.objective_figures import (
    Figures,
    burn_windows,
    exhaustion,
    measure,
    shown_budget,
    shown_rates,
    shown_sli,
    shown_window,
)
from homeostat.core.objective_significance import significance
from homeostat.core.window import Counts

__all__ = ["CheckSeen", "ObjectiveSeen", "decide", "significance", "windows"]

QUIET, TROUBLED = timedelta(seconds=30), timedelta(seconds=10)
"""How soon to look again: sooner while the shortest window has bad events."""


@dataclass(frozen=True, slots=True)
class CheckSeen:
    """The running HealthCheck: how often it runs, and when it last passed or failed.

    `observed_at` is None when that never happened; give the time the check began to run until its first
    result after a restart, so that an objective with history does not go stale in between.
    """

    interval: timedelta
    observed_at: datetime | None
    stale_after: timedelta


@dataclass(frozen=True, slots=True)
class ObjectiveSeen:
    """What is known of an objective: the counts of each of `windows(spec)`, and its check.

    `check` is None when there is none that runs. `problem` is a reason and a message why the objective is
    not evaluated at all.
    """

    ref: Ref
    generation: int
    counts: Mapping[timedelta, Counts] = field(default_factory=dict)
    check: CheckSeen | None = None
    problem: tuple[str, str] | None = None


def windows(spec: ServiceLevelObjectiveSpec) -> tuple[timedelta, ...]:
    """Give the windows whose counts a decision needs, shortest first; none for a spec it cannot evaluate."""
    period = spec.window.rolling
    if period is None:
        return ()
    of_alerts = (window for pair in pairs(spec.alerting.burn_rates, period) for window in (pair.long, pair.short))
    return tuple(sorted({period, *burn_windows(period), *of_alerts}))


def decide(
    spec: ServiceLevelObjectiveSpec, status: ServiceLevelObjectiveStatus, seen: ObjectiveSeen, now: datetime
) -> Decision[ServiceLevelObjectiveStatus]:
    """Decide where the objective stands; tell when an alert begins or ends, and when the budget is gone."""
    period = spec.window.rolling
    problem = seen.problem or _problem(spec)
    if problem or period is None:
        return Decision(status=_not_evaluated(spec, status, seen.generation, problem or _INCOMPLETE, now))
    terms = Terms((100 - spec.objective) / 100, period)
    found = _find(spec, status, seen, terms, now)
    new = _status(spec, status, found, terms, now)
    conditions = evaluated(status.conditions, found, seen.generation, now)
    new = new.model_copy(update={"observed_generation": seen.generation, "conditions": conditions})
    is_troubled = any(rate > 0 for _, rate in found.figures.rates[:1])
    return Decision(
        status=new,
        events=(*_alert_events(status, new), *_exhaustion_events(status, new)),
        check_again_at=now + (TROUBLED if is_troubled else QUIET),
    )


_INCOMPLETE = (ObjectiveReason.INVALID.value, "spec.window.rolling and spec.indicator.healthCheck are needed.")


def _problem(spec: ServiceLevelObjectiveSpec) -> tuple[str, str] | None:
    is_complete = spec.window.rolling is not None and spec.indicator.health_check is not None
    return None if is_complete else _INCOMPLETE


def _not_evaluated(
    spec: ServiceLevelObjectiveSpec,
    status: ServiceLevelObjectiveStatus,
    generation: int,
    problem: tuple[str, str],
    now: datetime,
) -> ServiceLevelObjectiveStatus:
    return ServiceLevelObjectiveStatus(
        observed_generation=generation,
        conditions=not_evaluated(status.conditions, *problem, generation, now),
        objective=spec.objective,
    )


# --- what is the case -----------------------------------------------------------------------------------


def _find(
    spec: ServiceLevelObjectiveSpec,
    status: ServiceLevelObjectiveStatus,
    seen: ObjectiveSeen,
    terms: Terms,
    now: datetime,
) -> Findings:
    interval = seen.check.interval if seen.check else timedelta(0)
    figures = measure(seen.counts, interval, terms)
    data = _data(figures, seen.check, now)
    alerts = pairs(spec.alerting.burn_rates, terms.period)
    usable = tuple(pair for pair in alerts if is_sampled(pair, interval))
    held = tuple(pair for pair in usable if is_held(pair, seen.counts, interval))
    if data is ObjectiveReason.FRESH or spec.no_data is NoData.GOOD:
        least = spec.alerting.min_bad_events
        firing = tuple(
            pair for pair in usable if pair not in held and is_reached(pair, seen.counts, terms, interval, least)
        )
    else:
        firing = tuple(pair for pair in alerts if _fired(pair, status))
    return Findings(
        figures=figures,
        state=_state(spec, figures, data, firing),
        data=data,
        are_alerts_listed=bool(spec.alerting.burn_rates),
        firing=firing,
        held=held,
        too_short=tuple(pair for pair in alerts if pair not in usable),
        never_firing=tuple(pair for pair in alerts if not can_fire(pair, terms)),
    )


def _data(figures: Figures, check: CheckSeen | None, now: datetime) -> ObjectiveReason:
    if check is None:
        return ObjectiveReason.HEALTH_CHECK_NOT_RUNNING
    if check.observed_at is None or figures.bad_ratio is None:
        return ObjectiveReason.NO_DATA_YET
    return ObjectiveReason.FRESH if now - check.observed_at <= check.stale_after else ObjectiveReason.STALE


def _state(
    spec: ServiceLevelObjectiveSpec, figures: Figures, data: ObjectiveReason, firing: tuple[Pair, ...]
) -> ObjectiveState:
    has_data = data is ObjectiveReason.FRESH
    if not has_data and spec.no_data is NoData.UNKNOWN:
        return ObjectiveState.UNKNOWN
    if figures.is_exhausted:
        return ObjectiveState.EXHAUSTED
    if firing or (not has_data and spec.no_data is NoData.BAD):
        return ObjectiveState.BURNING
    return ObjectiveState.MET


def _fired(pair: Pair, status: ServiceLevelObjectiveStatus) -> bool:
    return any(_identity(alert) == _identity(pair) for alert in status.alerts)


def _identity(alert: Alert | Pair) -> tuple[str, timedelta, timedelta]:
    return alert.severity, alert.long, alert.short


# --- what to show and tell ------------------------------------------------------------------------------


def _status(
    spec: ServiceLevelObjectiveSpec,
    status: ServiceLevelObjectiveStatus,
    found: Findings,
    terms: Terms,
    now: datetime,
) -> ServiceLevelObjectiveStatus:
    figures = found.figures
    has_figures, is_known = figures.bad_ratio is not None, found.state is not ObjectiveState.UNKNOWN
    return ServiceLevelObjectiveStatus(
        sli=shown_sli(figures, spec.objective),
        objective=spec.objective,
        state=found.state,
        budget=shown_budget(figures, terms),
        burn_rates=shown_rates(figures),
        window=shown_window(figures, terms, now),
        exhaustion_at=exhaustion(figures, terms, now) if is_known else None,
        good=figures.good if has_figures else None,
        bad=figures.bad if has_figures else None,
        alerts=() if spec.alerting.disabled else _alerts(found.firing, status, now),
    )


def _alerts(firing: tuple[Pair, ...], status: ServiceLevelObjectiveStatus, now: datetime) -> tuple[Alert, ...]:
    """Give the alerts that fire, each since it began; two that differ in their budget only are one."""
    since = {_identity(alert): alert.since for alert in status.alerts}
    fresh = {_identity(pair): pair for pair in firing}
    return tuple(
        Alert(severity=pair.severity, long=pair.long, short=pair.short, since=since.get(identity, now))
        for identity, pair in fresh.items()
    )


def _alert_events(old: ServiceLevelObjectiveStatus, new: ServiceLevelObjectiveStatus) -> tuple[Event, ...]:
    before, after = ({_identity(alert) for alert in status.alerts} for status in (old, new))
    begun = (_event(alert, is_begin=True) for alert in new.alerts if _identity(alert) not in before)
    ended = (_event(alert, is_begin=False) for alert in old.alerts if _identity(alert) not in after)
    return (*begun, *ended)


def _event(alert: Alert, *, is_begin: bool) -> Event:
    name = Pair(Decimal(0), alert.long, alert.short, alert.severity).name
    if is_begin:
        note = f"{alert.severity}: the error budget burns too fast over {name}."
        return Event("BurnRateHigh", note, EventType.WARNING)
    return Event("BurnRateNormal", f"{alert.severity}: the error budget no longer burns too fast over {name}.")


def _exhaustion_events(old: ServiceLevelObjectiveStatus, new: ServiceLevelObjectiveStatus) -> tuple[Event, ...]:
    if _is_exhausted(new) and not _is_exhausted(old):
        return (Event("BudgetExhausted", "No error budget is left.", EventType.WARNING),)
    return ()


def _is_exhausted(status: ServiceLevelObjectiveStatus) -> bool:
    known = condition(status.conditions, "BudgetExhausted")
    return known is not None and known.status is TRUE
