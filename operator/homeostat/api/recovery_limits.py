"""What a RecoveryPolicy may never exceed, when it may act at all, and when a step counts as having helped."""

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field

from homeostat.api.meta import GoDuration, IntOrPercent, Model, Rule, between

MOST_RETURNS = 20
MOST_TRANSITIONS = 20


class ActionBudget(Model):
    """How many actions in which time."""

    actions: Annotated[int, Field(ge=0, le=1000)] = 5
    """Actions put on record in one period."""
    per: Annotated[GoDuration, between("1m", "720h")] = timedelta(hours=1)
    """The period; it begins with its first action."""


class FlappingLimit(Model):
    """When a trigger that comes and goes is left alone."""

    transitions: Annotated[int, Field(ge=2, le=MOST_TRANSITIONS)] = 5
    """Changes between firing and quiet within the window."""
    window: Annotated[GoDuration, between("1m", "24h")] = timedelta(minutes=10)
    """The window."""
    hold_for: Annotated[GoDuration, between("0s", "24h")] = timedelta(minutes=5)
    """How long it must be steady to be trusted again."""


class IneffectiveLimit(Model):
    """When a target that always falls back is left alone."""

    count: Annotated[int, Field(ge=1, le=MOST_RETURNS)] = 3
    """Returns to the same state within the window."""
    window: Annotated[GoDuration, between("1m", "720h")] = timedelta(hours=4)
    """The window."""


class Limits(Model):
    """What a policy may never exceed."""

    max_in_flight: IntOrPercent = 1
    """Pods of the target in treatment at once: a count, or a share of its replicas, rounded down."""
    max_unhealthy: IntOrPercent = Decimal("0.5")
    """With more pods of the target (or Nodes of the cluster) unhealthy or in treatment than this nothing is done: a
    count, or a share, rounded down. One of one is 100%."""
    cooldown: Annotated[GoDuration, between("1s", "24h")] = timedelta(minutes=5)
    """Rest of a target after an attempt that acted on it."""
    budget: ActionBudget = ActionBudget()
    """How many actions in which time."""
    flapping: FlappingLimit = FlappingLimit()
    """When a trigger that comes and goes is left alone."""
    ineffective: IneffectiveLimit = IneffectiveLimit()
    """When a target that always falls back is left alone."""


class OnFailure(StrEnum):
    """What follows a step that did not help."""

    UNDO = "Undo"  # take it back where that is possible, then go on as NextStep
    NEXT_STEP = "NextStep"


class Verify(Model):
    """When a step counts as having helped."""

    rules: ClassVar[Sequence[Rule]] = (
        Rule(
            "duration(self.stabilise) + duration(self.holdFor) <= duration(self.deadline)",
            "verify: stabilise and holdFor together must fit into deadline",
        ),
    )

    stabilise: Annotated[GoDuration, between("0s", "1h")] = timedelta(seconds=10)
    """Time after the action in which the trigger is not yet asked."""
    hold_for: Annotated[GoDuration, between("0s", "1h")] = timedelta(seconds=30)
    """How long the trigger must then be quiet without a break."""
    deadline: Annotated[GoDuration, between("1s", "24h")] = timedelta(minutes=5)
    """By when that must be so, counted from the end of the action."""
    on_failure: OnFailure = OnFailure.UNDO
    """What follows a step that did not help."""


TIME_OF_DAY = Annotated[str, Field(max_length=5, pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")]


class Weekday(StrEnum):
    """Days of the week."""

    MONDAY = "Mon"
    TUESDAY = "Tue"
    WEDNESDAY = "Wed"
    THURSDAY = "Thu"
    FRIDAY = "Fri"
    SATURDAY = "Sat"
    SUNDAY = "Sun"


class Window(Model):
    """A time of the week in which acting is allowed."""

    days: Annotated[tuple[Weekday, ...], Field(max_length=7)] = ()
    """The days on which it begins; empty means all."""
    from_: Annotated[TIME_OF_DAY, Field(alias="from")]
    """When it begins, like 22:00."""
    to: TIME_OF_DAY
    """When it ends, the next day if that is not later."""
    time_zone: Annotated[str, Field(max_length=64, pattern=r"^[A-Za-z0-9_+/-]+$")] = "UTC"
    """An IANA time zone."""
