"""What a decision is made of: the new status, acts on the cluster, events, and when to look again.

Every kind has one pure function `decide(spec, status, seen, now) -> Decision`. The shell then, in this order:
sets or removes the finalizer, writes the status (the intent), performs the actions, and calls `decide` once
more with their outcomes. An action is therefore always on record before it happens.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Generic, TypeVar

from homeostat.api.meta import Status
from homeostat.core.action import Action
from homeostat.core.ref import Ref

S = TypeVar("S", bound=Status)


class EventType(StrEnum):
    """The two types of a Kubernetes event."""

    NORMAL = "Normal"
    WARNING = "Warning"


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened, told to humans. `reason` is CamelCase, `note` a sentence without times."""

    reason: str
    note: str
    type: EventType = EventType.NORMAL
    action: str = "Evaluate"
    about: Ref | None = None
    """The object that it is told of; None means the one that was decided on."""


@dataclass(frozen=True, slots=True)
class Decision(Generic[S]):
    """What to write, do and tell, and when to look again. `wants_finalizer=None` leaves finalizers alone."""

    status: S
    actions: tuple[Action, ...] = ()
    events: tuple[Event, ...] = ()
    wants_finalizer: bool | None = None
    check_again_at: datetime | None = None
