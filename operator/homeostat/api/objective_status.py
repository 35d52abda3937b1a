"""What was found of a ServiceLevelObjective. Figures are rounded so that they never claim better than the truth."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from homeostat.api.meta import Duration, ExactDecimal, ListMap, Model, PreciseTime, Status, Time

MOST_ALERTS = 8


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
    """When it was looked at."""
    coverage: ExactDecimal
    """Percentage of the window that has data."""


class Alert(Model):
    """An alert that fires."""

    severity: Severity
    """How urgent it is."""
    long: Duration
    """Its long window."""
    short: Duration
    """Its short window."""
    since: PreciseTime
    """When it began."""


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
