"""What the conditions of an objective say, and why: each a sentence without figures that move by themselves."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from homeostat.api.meta import Conditions, ConditionStatus
from homeostat.api.objective_indicator import MOST_GROUPS
from homeostat.api.objective_status import Hold, ObjectiveState
from homeostat.core.acceptance import INVALID_TIME_ZONE, UNACCEPTED
from homeostat.core.condition import READY, condition, set_condition, stalled
from homeostat.core.objective.burn import Pair
from homeostat.core.objective.figures import Figures
from homeostat.core.prometheus.answer import Trouble
from homeostat.core.rules.installation import RulesDecision

TRUE, FALSE, UNKNOWN = ConditionStatus.TRUE, ConditionStatus.FALSE, ConditionStatus.UNKNOWN
EVALUATED = (
    "QueryValid",
    "DataPresent",
    "WindowComplete",
    "ObjectiveMet",
    "BudgetExhausted",
    "BurnRateHigh",
    "RulesInstalled",
    "RolloutsAllowed",
)
"""The conditions that need an evaluation; Ready says whether there is one."""
MOST_NAMED = 8
"""Groups that a sentence names."""


class ObjectiveReason(StrEnum):
    """Why a condition of an objective is as it is. Sources and rules have reasons of their own besides."""

    EVALUATED = "Evaluated"  # the spec is accepted and its figures are worked out
    NOT_EVALUATED = "NotEvaluated"  # see Ready
    INVALID = "Invalid"  # the spec holds together, but cannot be evaluated
    HEALTH_CHECK_NOT_RUNNING = "HealthCheckNotRunning"  # absent, suspended, or itself not accepted
    NOT_COUNTED = "NotCounted"  # nothing counts for the objective, for now
    SHORT_WINDOW_TOO_SHORT = "ShortWindowTooShort"  # an alert's short window holds too few results or slices
    ALERT_NEVER_FIRES = "AlertNeverFires"  # an alert's factor is above the burn rate of a total outage
    SLI_OUT_OF_RANGE = "SliOutOfRange"  # a ratio below 0 or above 1 came in, and counted as 0 or 1
    TOO_MANY_GROUPS = "TooManyGroups"  # some are not counted
    PARTIAL_ANSWER = "PartialAnswer"  # Prometheus warned that something is missing in what it gave
    MEMBER_MISSING = "MemberMissing"  # a composite goes by the others, and by whenMissing
    QUERY_VALID = "QueryValid"  # everything asked for can be answered
    FRESH = "Fresh"  # results arrive
    NO_DATA_YET = "NoDataYet"  # no result passed or failed within the window
    STALE = "Stale"  # results stopped arriving
    COVERED = "Covered"  # the window has data throughout
    NOT_COVERED = "NotCovered"  # the window is not lived through yet, or has gaps
    WITHIN_BUDGET = "WithinBudget"
    OVER_BUDGET = "OverBudget"
    GROUP_OVER_BUDGET = "GroupOverBudget"  # the whole is not
    BUDGET_LEFT = "BudgetLeft"
    NO_BUDGET_LEFT = "NoBudgetLeft"
    GROUP_WITHOUT_BUDGET = "GroupWithoutBudget"  # the whole has some
    NO_DATA_IS_GOOD = "NoDataIsGood"  # spec.noData says so
    NO_DATA_IS_BAD = "NoDataIsBad"  # spec.noData says so
    NO_FRESH_DATA = "NoFreshData"
    ALERTS_FIRE = "AlertsFire"
    NO_ALERT_FIRES = "NoAlertFires"
    NOT_HELD = "NotHeld"  # the budget policy does not stop rollouts now, if ever
    BUDGET_LOW = "BudgetLow"  # it does


STALLING = frozenset(
    {
        *UNACCEPTED,
        INVALID_TIME_ZONE,
        Trouble.INVALID_QUERY,  # also several series where one is expected: the query does not sum them up
        ObjectiveReason.SHORT_WINDOW_TOO_SHORT,  # an alert that the spec itself lists, for what it measures
    }
)
"""Reasons of Ready=False that only an edit of the objective ends.

Not among them, as others or time may end them:
- HealthCheckNotRunning, NotCounted: what is measured may still come;
- CompositeCycle, CompositeTooLarge: members may let go, and an edit of several passes through a circle;
- PrometheusNotConfigured: the operator may be given one;
- BucketMissing: the application that is being rolled out may bring the bucket;
- AnswerTooLarge: how many series there are is not the objective's doing;
- NotPermitted: rights.
"""
PARTIAL = frozenset({
    ObjectiveReason.TOO_MANY_GROUPS, ObjectiveReason.MEMBER_MISSING, ObjectiveReason.PARTIAL_ANSWER
})  # fmt: skip
"""What is wrong with a source that is evaluated all the same."""


@dataclass(frozen=True, slots=True)
class Cause:
    """Why something is so: a reason and a sentence."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class GroupFinding:
    """What is the case with one group."""

    name: str
    figures: Figures
    state: ObjectiveState
    firing: tuple[Pair, ...]
    is_exhausted: bool


@dataclass(frozen=True, slots=True)
class Findings:
    """What conditions are about: figures, state, and the alerts in their various conditions."""

    figures: Figures
    state: ObjectiveState
    """The worst of the whole and its groups."""
    data: Cause
    is_fresh: bool
    is_live: bool
    """Whether the figures can be gone by: data is fresh, or missing data is taken for good."""
    trouble: Cause | None
    """What is wrong with the source itself, if anything."""
    is_accepted: bool
    """Whether the objective is evaluated as it is written, whatever the trouble."""
    is_clamped: bool
    is_exhausted: bool
    are_alerts_listed: bool
    """Whether the alerts are the user's own, not the default."""
    firing: tuple[Pair, ...]
    is_outage: bool
    held: tuple[Pair, ...]
    too_short: tuple[Pair, ...]
    never_firing: tuple[Pair, ...]
    groups: tuple[GroupFinding, ...]
    unlisted: int
    """Alerts that fire beyond those that the status has room for."""
    holds: tuple[Hold, ...]
    rules: RulesDecision


Verdict = tuple[str, ConditionStatus, str, str]
"""Type, status, reason and message of a condition."""


def evaluated(conditions: Conditions, found: Findings, generation: int, now: datetime) -> Conditions:
    """Set all conditions of an objective that was evaluated."""
    verdicts = (
        _ready(found),
        _query(found),
        ("DataPresent", TRUE if found.is_fresh else FALSE, found.data.reason, found.data.message),
        _window(found),
        *_budget(found),
        _burn_rate(found),
        ("RulesInstalled", found.rules.status, found.rules.reason, found.rules.message),
        _rollouts(found),
    )
    for kind, status, reason, message in verdicts:
        conditions = set_condition(conditions, kind, status, reason, message, generation, now)
    return stalled(conditions, STALLING, now)


def not_evaluated(conditions: Conditions, reason: str, message: str, generation: int, now: datetime) -> Conditions:
    """Set Ready to False for a reason, and all else to Unknown."""
    conditions = set_condition(conditions, READY, FALSE, reason, message, generation, now)
    for kind in EVALUATED:
        conditions = set_condition(
            conditions, kind, UNKNOWN, ObjectiveReason.NOT_EVALUATED, "See Ready.", generation, now
        )
    return stalled(conditions, STALLING, now)


def is_true(conditions: Conditions, kind: str) -> bool:
    """Whether a condition is there and True."""
    known = condition(conditions, kind)
    return known is not None and known.status is TRUE


def false_since(conditions: Conditions, kind: str) -> datetime | None:
    """Give since when a condition is False; None while it is not."""
    known = condition(conditions, kind)
    return known.last_transition_time if known is not None and known.status is FALSE else None


def names(pairs: Iterable[Pair]) -> str:
    """Name alerts for humans: `6h/30m, 1h/5m`."""
    return ", ".join(pair.name for pair in pairs)


def _ready(found: Findings) -> Verdict:
    if found.trouble and not found.is_accepted:
        return READY, FALSE, found.trouble.reason, found.trouble.message
    if found.too_short and found.are_alerts_listed:
        return READY, FALSE, ObjectiveReason.SHORT_WINDOW_TOO_SHORT, _too_short(found)
    return READY, TRUE, ObjectiveReason.EVALUATED, "The objective is evaluated."


def _query(found: Findings) -> Verdict:
    if found.trouble:
        return "QueryValid", FALSE, found.trouble.reason, found.trouble.message
    if found.too_short:
        return "QueryValid", FALSE, ObjectiveReason.SHORT_WINDOW_TOO_SHORT, _too_short(found)
    if found.never_firing:
        message = f"Even a total outage does not reach the factor of {names(found.never_firing)}: never fires."
        return "QueryValid", FALSE, ObjectiveReason.ALERT_NEVER_FIRES, message
    if found.is_clamped:
        message = "The indicator gave a ratio below 0 or above 1, which counts as 0 or 1."
        return "QueryValid", FALSE, ObjectiveReason.SLI_OUT_OF_RANGE, message
    return "QueryValid", TRUE, ObjectiveReason.QUERY_VALID, "All that is asked for can be answered."


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
    if _is_over(found.figures):
        return "ObjectiveMet", FALSE, ObjectiveReason.OVER_BUDGET, "More than the error budget is consumed."
    over = [group.name for group in found.groups if _is_over(group.figures)]
    if over:
        message = f"More than the error budget of a group is consumed: {_listed(over)}."
        return "ObjectiveMet", FALSE, ObjectiveReason.GROUP_OVER_BUDGET, message
    if found.is_fresh:
        return "ObjectiveMet", TRUE, ObjectiveReason.WITHIN_BUDGET, "No more than the error budget is consumed."
    if found.state is ObjectiveState.MET:
        return "ObjectiveMet", TRUE, ObjectiveReason.NO_DATA_IS_GOOD, "spec.noData takes missing data for good."
    return "ObjectiveMet", FALSE, ObjectiveReason.NO_DATA_IS_BAD, "spec.noData takes missing data for bad."


def _is_over(figures: Figures) -> bool:
    return figures.consumed is not None and figures.consumed > 1


def _exhausted(found: Findings) -> Verdict:
    if found.is_exhausted:
        return "BudgetExhausted", TRUE, ObjectiveReason.NO_BUDGET_LEFT, "No error budget is left."
    gone = [group.name for group in found.groups if group.is_exhausted]
    if gone:
        message = f"No error budget of a group is left: {_listed(gone)}."
        return "BudgetExhausted", TRUE, ObjectiveReason.GROUP_WITHOUT_BUDGET, message
    return "BudgetExhausted", FALSE, ObjectiveReason.BUDGET_LEFT, "There is error budget left."


def _burn_rate(found: Findings) -> Verdict:
    burning = [f"{group.name} ({names(group.firing)})" for group in found.groups if group.firing]
    parts = (
        f"The budget burns too fast: {names(found.firing)}." if found.firing else "",
        "Everything is bad." if found.is_outage else "",
        f"The budgets of groups burn too fast: {_listed(burning)}." if burning else "",
        f"Alerts that are not listed: {found.unlisted}." if found.unlisted else "",
    )
    message = " ".join(part for part in parts if part)
    if message:
        return "BurnRateHigh", TRUE, ObjectiveReason.ALERTS_FIRE, message
    if found.state is ObjectiveState.UNKNOWN:
        return "BurnRateHigh", UNKNOWN, ObjectiveReason.NO_FRESH_DATA, "There is no fresh data."
    return "BurnRateHigh", FALSE, ObjectiveReason.NO_ALERT_FIRES, "No alert's burn rate is reached."


def _rollouts(found: Findings) -> Verdict:
    if Hold.ROLLOUTS in found.holds:
        return "RolloutsAllowed", FALSE, ObjectiveReason.BUDGET_LOW, "Too little error budget is left for rollouts."
    if not found.is_live:
        return "RolloutsAllowed", UNKNOWN, ObjectiveReason.NO_FRESH_DATA, "There is no fresh data."
    return "RolloutsAllowed", TRUE, ObjectiveReason.NOT_HELD, "The budget policy does not hold rollouts."


def _listed(texts: Sequence[str]) -> str:
    more = f" and {len(texts) - MOST_NAMED} more" if len(texts) > MOST_NAMED else ""
    return ", ".join(texts[:MOST_NAMED]) + more


def _too_short(found: Findings) -> str:
    return (
        f"Refused: {names(found.too_short)}: a short window must be at least 1m and hold two results or slices "
        "of what is measured."
    )


def not_running(check: str) -> Cause:
    """Say that a HealthCheck, which it names, gives no results."""
    told = f"The HealthCheck {check} does not exist in this namespace, is suspended, or is not accepted."
    return Cause(ObjectiveReason.HEALTH_CHECK_NOT_RUNNING, told)


NOT_COUNTED = Cause(ObjectiveReason.NOT_COUNTED, "Nothing is counted for this objective now.")
FRESH = Cause(ObjectiveReason.FRESH, "Results arrive.")
NO_DATA_YET = Cause(ObjectiveReason.NO_DATA_YET, "There is no result within the window.")
STALE = Cause(ObjectiveReason.STALE, "No result has arrived for several intervals.")
TOO_MANY_GROUPS = Cause(
    ObjectiveReason.TOO_MANY_GROUPS, f"There are more than {MOST_GROUPS} groups; what more there are is not counted."
)
