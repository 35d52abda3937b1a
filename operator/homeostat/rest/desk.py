"""What our API needs of an operator that leads and has loaded."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from homeostat.core.objective.firing import FiringAlert
from homeostat.core.objective.pushing import Accepted, Refused
from homeostat.core.recovery.alerting import ToldAlert
from homeostat.ports import Access


class NotServing(StrEnum):
    """Why this replica answers nobody now."""

    NOT_LEADER = "NotLeader"
    NOT_READY = "NotReady"  # it leads, and has not loaded yet


@dataclass(frozen=True, slots=True)
class Shown:
    """One objective; `status` is the JSON of its status."""

    namespace: str
    name: str
    service: str
    status: bytes


@dataclass(frozen=True, slots=True)
class Desk:
    """Who is let in, and what they can ask for. A namespace "" means all."""

    access: Access
    now: Callable[[], datetime]
    refusal: Callable[[str, str], Refused | None]
    """Why no events at all can be pushed to (namespace, name)."""
    push: Callable[[str, str, str, object], Awaitable[Accepted | Refused]]
    """Count the events of (namespace, name, key of the header or "", parsed body)."""
    alerts: Callable[[str], Awaitable[Sequence[FiringAlert]]]
    tell: Callable[[str, Sequence[ToldAlert]], Awaitable[int | None]]
    """Tell policies of (namespace, alerts); give how many they concern, None when not all have it on record in time."""
    objective: Callable[[str, str], Shown | None]
    objectives: Callable[[str], AsyncIterator[Shown]]
