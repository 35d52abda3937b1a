"""What was found of a ServiceLevelObjective. Figures are rounded so that they never claim better than the truth."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from homeostat.api.meta import Duration, ExactDecimal, ListMap, ListSet, Model, PreciseTime, Status, Time
from homeostat.api.objective_indicator import LONGEST_GROUP, MOST_GROUPS

MOST_ALERTS = 32


class Severity(StrEnum):
    """How urgent an alert is."""

    PAGE = "Page"  # wakes somebody
    TICKET = "Ticket"  # waits for the morning


class ObjectiveState(StrEnum):
    """Where the objective stands."""

    MET = "Met"  # there is budget left and no alert's burn rate is reached
    BURNING = "Burning"  # the budget goes too fast
    EXHAUSTED = "Exhausted"  # no budget is left
    UNKNOWN = "Unknown"  # there is no data, or the objective cannot be evaluated


class Budget(Model):
    """The error budget: total in percent of all events, the rest in percent of the budget."""

    total: ExactDecimal
    """Percentage of events that may be bad: 100 minus the objective."""
    consumed: ExactDecimal
    """How much of the budget is gone, in percent of it; may exceed 100."""
    remaining: ExactDecimal
    """How much of the budget is left, in percent of it; may be negative."""
    provisional: bool = False
    """Whether the window is not covered yet, so that all of this is a first impression."""


class WindowBurnRate(Model):
    """How fast the budget burns within a window; 1 uses it up in exactly the objective's window."""

    window: Duration
    """The window, which ends now."""
    rate: ExactDecimal
    """The burn rate; an entry is absent while its window has no data."""


class ObservedWindow(Model):
    """The window that the figures are about."""

    start: Time
    """When it began."""
    end: Time
    """When it ends; of a rolling window, when it was looked at."""
    coverage: ExactDecimal
    """Percentage of the window that has data."""
    length: Annotated[str, Field(max_length=16)] = ""
    """How long it is, such as 30d, or Month of a calendar."""


class AlertType(StrEnum):
    """What an alert is about."""

    BURN_RATE = "BurnRate"  # the budget burns too fast in both windows
    TOTAL_OUTAGE = "TotalOutage"  # everything is bad, however little there is: minBadEvents does not hold it back
    BUDGET_EXHAUSTED = "BudgetExhausted"  # no budget is left
    NO_DATA = "NoData"  # data stopped arriving


class Alert(Model):
    """An alert that fires."""

    type: AlertType = AlertType.BURN_RATE
    """What it is about."""
    severity: Severity
    """How urgent it is."""
    long: Duration | None = None
    """Its long window, if it has one."""
    short: Duration | None = None
    """Its short window, if it has one."""
    group: Annotated[str, Field(max_length=LONGEST_GROUP)] = ""
    """The group it is about; empty for the whole."""
    since: PreciseTime
    """When it began."""
    expected_by: Annotated[str | None, Field(max_length=253)] = None
    """The ChaosExperiment that accounts for it, while one does: then it is for the owner, not for who is on call."""


class GroupStatus(Model):
    """What was found of one group."""

    name: Annotated[str, Field(min_length=1, max_length=LONGEST_GROUP)]
    """Its labels, such as region=eu,route=/pay."""
    state: ObjectiveState
    """Where the group stands."""
    sli: ExactDecimal | None = None
    """Percentage of good events in the window; absent while there is no data."""
    remaining: ExactDecimal | None = None
    """How much of the group's budget is left, in percent of it; may be negative."""
    good: Annotated[int | None, Field(ge=0)] = None
    """Good events in the window."""
    bad: Annotated[int | None, Field(ge=0)] = None
    """Bad events in the window."""


class Hold(StrEnum):
    """What a low budget may stop."""

    CHAOS = "Chaos"
    RECOVERY = "Recovery"
    ROLLOUTS = "Rollouts"


class RulesObject(Model):
    """The object with rules for Prometheus that belongs to the objective."""

    kind: Annotated[str, Field(max_length=63)]
    """PrometheusRule or ConfigMap."""
    name: Annotated[str, Field(max_length=LONGEST_GROUP)]
    """Its name."""


class ServiceLevelObjectiveStatus(Status):
    """What was found."""

    sli: ExactDecimal | None = None
    """Percentage of good events in the window; absent while there is no data."""
    objective: ExactDecimal | None = None
    """The objective these figures were computed for."""
    state: ObjectiveState = ObjectiveState.UNKNOWN
    """Where the objective stands."""
    budget: Budget | None = None
    """The error budget; absent while there is no data."""
    burn_rates: Annotated[tuple[WindowBurnRate, ...], Field(max_length=8), ListMap("window")] = ()
    """How fast the budget burns, by window."""
    window: ObservedWindow | None = None
    """The window that the figures are about."""
    exhaustion_at: Time | None = None
    """When the budget will be gone if it goes on burning as in the last hour; absent while it does not burn."""
    good: Annotated[int | None, Field(ge=0)] = None
    """Good events in the window."""
    bad: Annotated[int | None, Field(ge=0)] = None
    """Bad events in the window."""
    alerts: Annotated[tuple[Alert, ...], Field(max_length=MOST_ALERTS)] = ()
    """The alerts that fire."""
    groups: Annotated[tuple[GroupStatus, ...], Field(max_length=MOST_GROUPS), ListMap("name")] = ()
    """What was found of each group, of an objective that has groups."""
    holds: Annotated[tuple[Hold, ...], Field(max_length=3), ListSet()] = ()
    """What the budget policy stops now."""
    rules_object: RulesObject | None = None
    """The object with rules for Prometheus, if there is one."""
