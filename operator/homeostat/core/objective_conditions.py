"""What the conditions of an objective say, and why: each a sentence without figures that move by themselves."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from homeostat.api.meta import Conditions, ConditionStatus
from homeostat.api.objective_status import ObjectiveState
from homeostat.core.burn import Pair
from homeostat.core.condition import set_condition
from homeostat.core.objective_figures import Figures

TRUE, FALSE, UNKNOWN = ConditionStatus.TRUE, ConditionStatus.FALSE, ConditionStatus.UNKNOWN
EVALUATED = ("QueryValid", "DataPresent", "WindowComplete", "ObjectiveMet", "BudgetExhausted", "BurnRateHigh")
"""The conditions that need an evaluation; Ready says whether there is one."""


class ObjectiveReason(StrEnum):
    """Why a condition of an objective is as it is."""

    EVALUATED = "Evaluated"  # the spec is accepted and its figures are worked out
    NOT_EVALUATED = "NotEvaluated"  # see Ready
    INVALID = "Invalid"  # the spec holds together, but cannot be evaluated
    HEALTH_CHECK_NOT_RUNNING = "HealthCheckNotRunning"  # absent, suspended, or itself not accepted
    SHORT_WINDOW_TOO_SHORT = "ShortWindowTooShort"  # an alert's short window holds too few results of the check
    ALERT_NEVER_FIRES = "AlertNeverFires"  # an alert's factor is above the burn rate of a total outage
    QUERY_VALID = "QueryValid"  # everything asked for can be answered
    FRESH = "Fresh"  # results arrive
    NO_DATA_YET = "NoDataYet"  # no result passed or failed within the window
    STALE = "Stale"  # results stopped arriving
    COVERED = "Covered"  # the window has data throughout
    NOT_COVERED = "NotCovered"  # the window is not lived through yet, or has gaps
    WITHIN_BUDGET = "WithinBudget"
    OVER_BUDGET = "OverBudget"
    BUDGET_LEFT = "BudgetLeft"
    NO_BUDGET_LEFT = "NoBudgetLeft"
    NO_DATA_IS_GOOD = "NoDataIsGood"  # spec.noData says so
    NO_DATA_IS_BAD = "NoDataIsBad"  # spec.noData says so
    NO_FRESH_DATA = "NoFreshData"
    ALERTS_FIRE = "AlertsFire"
    NO_ALERT_FIRES = "NoAlertFires"


@dataclass(frozen=True, slots=True)
class Findings:
    """What conditions are about: figures, state, and the alerts in their various conditions."""

    figures: Figures
    state: ObjectiveState
    data: ObjectiveReason
    """FRESH, NO_DATA_YET, STALE or HEALTH_CHECK_NOT_RUNNING."""
    are_alerts_listed: bool
    """Whether the alerts are the user's own, not the default."""
    firing: tuple[Pair, ...]
    held: tuple[Pair, ...]
    too_short: tuple[Pair, ...]
    never_firing: tuple[Pair, ...]


Verdict = tuple[str, ConditionStatus, ObjectiveReason, str]
"""Type, status, reason and message of a condition."""


def evaluated(conditions: Conditions, found: Findings, generation: int, now: datetime) -> Conditions:
    """Set all conditions of an objective that was evaluated."""
    verdicts = (_ready(found), _query(found), _data(found), _window(found), *_budget(found), _burn_rate(found))
    for kind, status, reason, message in verdicts:
        conditions = set_condition(conditions, kind, status, reason, message, generation, now)
    return conditions


def not_evaluated(conditions: Conditions, reason: str, message: str, generation: int, now: datetime) -> Conditions:
    """Set Ready to False for a reason, and all else to Unknown."""
    conditions = set_condition(conditions, "Ready", FALSE, reason, message, generation, now)
    for kind in EVALUATED:
        conditions = set_condition(
            conditions, kind, UNKNOWN, ObjectiveReason.NOT_EVALUATED, "See Ready.", generation, now
        )
    return conditions


def names(pairs: Iterable[Pair]) -> str:
    """Name alerts for humans: `6h/30m, 1h/5m`."""
    return ", ".join(pair.name for pair in pairs)


def _ready(found: Findings) -> Verdict:
    if found.data is ObjectiveReason.HEALTH_CHECK_NOT_RUNNING:
        return "Ready", FALSE, found.data, _NOT_RUNNING
    if found.too_short and found.are_alerts_listed:
        return "Ready", FALSE, ObjectiveReason.SHORT_WINDOW_TOO_SHORT, _too_short(found)
    return "Ready", TRUE, ObjectiveReason.EVALUATED, "The objective is evaluated."


def _query(found: Findings) -> Verdict:
    if found.data is ObjectiveReason.HEALTH_CHECK_NOT_RUNNING:
        return "QueryValid", FALSE, found.data, _NOT_RUNNING
    if found.too_short:
        return "QueryValid", FALSE, ObjectiveReason.SHORT_WINDOW_TOO_SHORT, _too_short(found)
    if found.never_firing:
        message = f"Even a total outage does not reach the factor of {names(found.never_firing)}: never fires."
        return "QueryValid", FALSE, ObjectiveReason.ALERT_NEVER_FIRES, message
    return "QueryValid", TRUE, ObjectiveReason.QUERY_VALID, "All that is asked for can be answered."


def _data(found: Findings) -> Verdict:
    status = TRUE if found.data is ObjectiveReason.FRESH else FALSE
    return "DataPresent", status, found.data, _DATA_MESSAGES[found.data]


def _window(found: Findings) -> Verdict:
    held = f" Held until their own windows are covered: {names(found.held)}." if found.held else ""
    if found.figures.is_covered:
        return "WindowComplete", TRUE, ObjectiveReason.COVERED, f"The window has data throughout.{held}"
    message = f"The window is not covered yet; the budget is provisional.{held}"
    return "WindowComplete", FALSE, ObjectiveReason.NOT_COVERED, message


def _budget(found: Findings) -> tuple[Verdict, Verdict]:
    if found.state is ObjectiveState.UNKNOWN:
        met = ("ObjectiveMet", UNKNOWN, ObjectiveReason.NO_FRESH_DATA, "There is no fresh data.")
        return met, ("BudgetExhausted", UNKNOWN, ObjectiveReason.NO_FRESH_DATA, "There is no fresh data.")
    return _met(found), _exhausted(found)


def _met(found: Findings) -> Verdict:
    consumed = found.figures.consumed
    if consumed is not None and consumed > 1:
        return "ObjectiveMet", FALSE, ObjectiveReason.OVER_BUDGET, "More than the error budget is consumed."
    if found.data is ObjectiveReason.FRESH:
        return "ObjectiveMet", TRUE, ObjectiveReason.WITHIN_BUDGET, "No more than the error budget is consumed."
    if found.state is ObjectiveState.MET:
        return "ObjectiveMet", TRUE, ObjectiveReason.NO_DATA_IS_GOOD, "spec.noData takes missing data for good."
    return "ObjectiveMet", FALSE, ObjectiveReason.NO_DATA_IS_BAD, "spec.noData takes missing data for bad."


def _exhausted(found: Findings) -> Verdict:
    if found.figures.is_exhausted:
        return "BudgetExhausted", TRUE, ObjectiveReason.NO_BUDGET_LEFT, "No error budget is left."
    return "BudgetExhausted", FALSE, ObjectiveReason.BUDGET_LEFT, "There is error budget left."


def _burn_rate(found: Findings) -> Verdict:
    if found.firing:
        message = f"The budget burns too fast: {names(found.firing)}."
        return "BurnRateHigh", TRUE, ObjectiveReason.ALERTS_FIRE, message
    if found.state is ObjectiveState.UNKNOWN:
        return "BurnRateHigh", UNKNOWN, ObjectiveReason.NO_FRESH_DATA, "There is no fresh data."
    return "BurnRateHigh", FALSE, ObjectiveReason.NO_ALERT_FIRES, "No alert's burn rate is reached."


def _too_short(found: Findings) -> str:
    return (
        f"Refused: {names(found.too_short)}: a short window must be at least 1m and hold two results of the "
        "HealthCheck."
    )


_NOT_RUNNING = "The HealthCheck does not exist here, is suspended, or is not accepted."
_DATA_MESSAGES = {
    ObjectiveReason.FRESH: "Results arrive.",
    ObjectiveReason.NO_DATA_YET: "No result has passed or failed within the window.",
    ObjectiveReason.STALE: "The HealthCheck has neither passed nor failed for several intervals.",
    ObjectiveReason.HEALTH_CHECK_NOT_RUNNING: _NOT_RUNNING,
}
