"""ServiceLevelObjective: how good a service must be, measured by what, and who hears when it is not.

`objective_indicator` has what is measured, `objective_status` what was found.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import AfterValidator, Field, WithJsonSchema

from homeostat.api.meta import (
    CATEGORY,
    Column,
    Duration,
    ExactDecimal,
    GoDuration,
    Kind,
    Model,
    Percent,
    Rule,
    Time,
    divides_an_hour,
    exactly_one,
    parse_duration,
)
from homeostat.api.objective_indicator import Indicator
from homeostat.api.objective_status import Hold, ServiceLevelObjectiveStatus, Severity

SHORTEST_WINDOW, LONGEST_WINDOW = timedelta(hours=1), timedelta(days=90)
MOST_BURN_RATES = 8


Span = Annotated[
    Duration,
    WithJsonSchema({"type": "string", "pattern": "^[1-9][0-9]{0,6}(s|m|h|d|w)$", "maxLength": 8}),
]
"""A duration in one unit, such as 30d: CEL must add up what it compares, and knows neither days nor weeks."""


def span(value: str) -> str:
    """Write the CEL expression of a `Span` in seconds."""
    longer = " ".join(
        f"{value}.endsWith('{unit}') ? duration({value}.replace('{unit}', 'h')).getSeconds() * {hours} :"
        for unit, hours in (("w", 168), ("d", 24))
    )
    return f"({longer} duration({value}).getSeconds())"


def spans(low: str, high: str) -> Rule:
    """Build the rule that bounds a `Span` field, ends included."""
    at_least, at_most = (int(parse_duration(bound).total_seconds()) for bound in (low, high))
    seconds = span("self")
    return Rule(f"{seconds} >= {at_least} && {seconds} <= {at_most}", f"must be between {low} and {high}")


# --- window ---------------------------------------------------------------------------------------------


class CalendarUnit(StrEnum):
    """Lengths of calendar windows."""

    DAY = "Day"
    WEEK = "Week"
    MONTH = "Month"
    QUARTER = "Quarter"
    YEAR = "Year"


def _moment(text: str) -> str:
    datetime.fromisoformat(text)  # ValueError for a day that the calendar has not
    return text


class CalendarWindow(Model):
    """Periods of the calendar, one after the other."""

    unit: CalendarUnit
    """Length of a period."""
    start: Annotated[
        str,
        Field(
            max_length=19,
            pattern=r"^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])T([01][0-9]|2[0-3]):[0-5][0-9]:00$",
        ),
        AfterValidator(_moment),
    ]
    """Wall-clock time, to the minute, at which a period starts, such as 2026-01-01T00:00:00."""
    time_zone: Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_+/-]+$")] = "UTC"
    """IANA name of the zone whose clock is meant."""


class Window(Model):
    """The time over which the objective must hold."""

    rules: ClassVar[Sequence[Rule]] = (exactly_one("rolling", "calendar", what="window"),)

    rolling: Annotated[Span | None, Field(ge=SHORTEST_WINDOW, le=LONGEST_WINDOW), spans("1h", "90d")] = None
    """The time that ends now, from 1h to 90d."""
    calendar: CalendarWindow | None = None
    """Days, weeks, months, quarters or years."""


# --- budgeting ------------------------------------------------------------------------------------------


class BudgetingMethod(StrEnum):
    """What the error budget is counted in."""

    OCCURRENCES = "Occurrences"  # bad events of all events
    TIMESLICES = "Timeslices"  # bad slices of all slices of the window
    RATIO_TIMESLICES = "RatioTimeslices"  # the mean of the slices' ratios


class Budgeting(Model):
    """What the error budget is counted in."""

    rules: ClassVar[Sequence[Rule]] = (
        Rule(
            "self.method == 'Occurrences' ? !has(self.slice) : has(self.slice)",
            "slice goes with method Timeslices or RatioTimeslices, and only with them",
        ),
        Rule(
            "has(self.sliceObjective) == (self.method == 'Timeslices')",
            "sliceObjective goes with method Timeslices, and only with it",
        ),
    )

    method: BudgetingMethod = BudgetingMethod.OCCURRENCES
    """Occurrences weighs every event alike; the other two weigh every slice of time alike."""
    slice: Annotated[GoDuration | None, divides_an_hour()] = None
    """Length of a slice: whole minutes that divide an hour."""
    slice_objective: Annotated[
        ExactDecimal | None,
        Field(gt=0, le=100),
        Rule("double(self) > 0.0 && double(self) <= 100.0", "sliceObjective must be above 0 and at most 100"),
    ] = None
    """Percentage of good events that makes a slice good."""


class NoData(StrEnum):
    """What it means that the indicator has no fresh data."""

    UNKNOWN = "Unknown"  # the state is Unknown; alerts stay as they were
    GOOD = "Good"  # the state goes by what data there is
    BAD = "Bad"  # the state is never Met; alerts stay as they were


# --- alerting -------------------------------------------------------------------------------------------


class BurnRate(Model):
    """An alert: it fires while `long` and `short` both burn so fast that `budget` would be gone within `long`."""

    rules: ClassVar[Sequence[Rule]] = (
        Rule(
            f"has(self.short) ? {span('self.short')} < {span('self.long')} : {span('self.long')} >= 720",
            "short must be shorter than long; without short (a twelfth of long), long must be at least 12m",
        ),
    )

    budget: Annotated[Percent, Field(gt=0), Rule("double(self.replace('%', '')) > 0.0", "budget must be above 0%")]
    """The share of the error budget that may go within the long window."""
    long: Annotated[Span, Field(ge=timedelta(minutes=5), le=LONGEST_WINDOW), spans("5m", "90d")]
    """The long window: how much has happened."""
    short: Annotated[Span | None, Field(ge=timedelta(minutes=1), le=LONGEST_WINDOW), spans("1m", "90d")] = None
    """The short window: whether it still happens; a twelfth of the long one if absent."""
    severity: Severity = Severity.PAGE
    """Page wakes somebody, Ticket waits for the morning."""


class Alerting(Model):
    """Who hears of a burning budget, and from what rate on."""

    disabled: bool = False
    """Raise no alerts; state, figures and the condition BurnRateHigh go on."""
    burn_rates: Annotated[tuple[BurnRate, ...], Field(max_length=MOST_BURN_RATES)] = ()
    """The alerts; if empty 2% in 1h and 5% in 6h (Page), 10% in 1d and 10% in 3d (Ticket)."""
    min_bad_events: Annotated[int, Field(ge=0, le=1_000_000_000)] = 0
    """Bad events there must be in the long window before an alert fires: for services with little traffic."""


# --- exclusions, budget policy, rules ---------------------------------------------------------------------


class ExclusionMode(StrEnum):
    """What becomes of excluded time."""

    REMOVE = "Remove"  # it is not part of the window
    COUNT_AS_GOOD = "CountAsGood"


class Exclusion(Model):
    """Time that does not count against the objective."""

    rules: ClassVar[Sequence[Rule]] = (Rule("self.from < self.to", "from must be before to"),)

    from_: Annotated[Time, Field(alias="from")]
    """When it starts."""
    to: Time
    """When it ends."""
    mode: ExclusionMode = ExclusionMode.REMOVE
    """Remove takes the time out of the window, CountAsGood counts what happened in it as good."""
    reason: Annotated[str, Field(max_length=256)] = ""
    """Why."""


class BudgetRule(Model):
    """What stops when the budget is low."""

    remaining_below: Percent
    """The share of the budget below which it stops."""
    hold: Annotated[tuple[Hold, ...], Field(min_length=1, max_length=3)]
    """What stops."""


class PrometheusRules(Model):
    """Whether Prometheus evaluates the objective."""

    emit: bool = False
    """Write a PrometheusRule, or what the cluster has instead, and evaluate there."""
    labels: Annotated[
        dict[str, Annotated[str, Field(max_length=63, pattern=r"^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$")]],
        Field(max_length=16),
    ] = Field(default_factory=dict)
    """Labels of the object that is written, such as the one that Prometheus selects rules by."""


# --- the kind -------------------------------------------------------------------------------------------

_SHORTEST_PERIODS = "{'Day': 82800, 'Week': 601200, 'Month': 2415600, 'Quarter': 7686000, 'Year': 31536000}"
"""Seconds of the shortest period of each calendar unit, an hour less where clocks may go forward in it."""
_PERIOD = (
    f"(has(self.window.rolling) ? {span('self.window.rolling')} : "
    f"has(self.window.calendar) ? {_SHORTEST_PERIODS}[self.window.calendar.unit] : 7776000)"
)
_WITHIN_WINDOW = f"self.alerting.burnRates.all(b, {span('b.long')} <= {_PERIOD})"
_CAN_FIRE = (
    "self.alerting.burnRates.all(b, double(b.budget.replace('%', '')) * (100.0 - double(self.objective)) * "
    f"double({_PERIOD}) <= 10000.00001 * double({span('b.long')}))"
)


class ServiceLevelObjectiveSpec(Model):
    """How good a service must be, and how that is measured."""

    rules: ClassVar[Sequence[Rule]] = (
        Rule(_WITHIN_WINDOW, "the long window of an alert must not be longer than the window"),
        Rule(
            _CAN_FIRE,
            "an alert can never fire: its factor (budget x window / long) is above 1 / (1 - objective)",
        ),
        Rule(
            "!has(self.indicator.composite) || self.budgeting.method == 'Occurrences'",
            "a composite has no slices of its own: budgeting.method must be Occurrences",
        ),
    )

    service: Annotated[str, Field(max_length=63, pattern=r"^([a-z0-9]([-a-z0-9]*[a-z0-9])?)?$")] = ""
    """The service this objective speaks for."""
    description: Annotated[str, Field(max_length=1024)] = ""
    """What users may expect, in a sentence."""
    objective: Annotated[
        ExactDecimal,
        Field(gt=0, lt=100),
        Rule("double(self) > 0.0 && double(self) < 100.0", "objective must be above 0 and below 100 percent"),
    ]
    """Percentage of good events, an exact decimal such as 99.9."""
    window: Window
    """The time over which the objective must hold."""
    budgeting: Budgeting = Budgeting()
    """What the error budget is counted in."""
    indicator: Indicator
    """What is measured."""
    no_data: NoData = NoData.UNKNOWN
    """What it means that the indicator has no fresh data."""
    alerting: Alerting = Alerting()
    """Who hears of a burning budget."""
    exclusions: Annotated[tuple[Exclusion, ...], Field(max_length=64)] = ()
    """Times that do not count against the objective."""
    budget_policy: Annotated[tuple[BudgetRule, ...], Field(max_length=8)] = ()
    """What stops when the budget is low."""
    rules_: Annotated[PrometheusRules | None, Field(alias="rules")] = None
    """Whether Prometheus evaluates the objective."""


KIND = Kind(
    kind="ServiceLevelObjective",
    plural="servicelevelobjectives",
    singular="servicelevelobjective",
    short_names=("slo",),
    spec=ServiceLevelObjectiveSpec,
    status=ServiceLevelObjectiveStatus,
    columns=(
        Column("Service", ".spec.service", description="The service the objective speaks for"),
        Column("Objective", ".spec.objective", description="Percentage of events that must be good"),
        Column("SLI", ".status.sli", description="Percentage of events that were good"),
        Column("Budget", ".status.budget.remaining", description="Error budget left, in percent of the budget"),
        Column(
            "Burn (1h)",
            '.status.burnRates[?(@.window=="1h")].rate',
            description="Burn rate of the last hour; 1 uses the budget up in one window",
        ),
        Column("State", ".status.state", description="Met, Burning, Exhausted or Unknown"),
        Column("Age", ".metadata.creationTimestamp", "date", description="Time since creation"),
        Column("Window", ".status.window.length", priority=1, description="Time over which it must hold"),
        Column("Coverage", ".status.window.coverage", priority=1, description="Percent of the window with data"),
        Column("Exhausts", ".status.exhaustionAt", priority=1, description="When the budget will be gone"),
        Column(
            "Data",
            '.status.conditions[?(@.type=="DataPresent")].reason',
            priority=1,
            description="Whether data arrives, or why it does not",
        ),
        Column(
            "Reason",
            '.status.conditions[?(@.type=="Ready")].reason',
            priority=1,
            description="Why the objective is or is not evaluated",
        ),
    ),
    description="ServiceLevelObjective says how good a service must be and shows what is left of its error budget.",
    categories=(CATEGORY, "slo", "slos"),
    selectable_fields=(".spec.service",),
)
