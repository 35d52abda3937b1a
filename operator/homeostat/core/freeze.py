"""When a Freeze is in force, where, and what it has stopped: a latch with a reason (C9)."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from homeostat.api.freeze import MOST_LISTED, Activity, FreezeSpec, FreezeStatus, StoppedObject
from homeostat.api.meta import ConditionStatus
from homeostat.core.cluster import FreezeInForce
from homeostat.core.condition import set_condition
from homeostat.core.decision import Decision, Event, EventType
from homeostat.core.ref import Ref

LOOK_AGAIN = timedelta(seconds=5)
"""How often an engaged freeze is asked afresh what it stopped."""


class FreezeReason(StrEnum):
    """Why a Freeze is as it is."""

    ACCEPTED = "Accepted"  # the spec is understood and evaluated
    IN_FORCE = "InForce"  # it stops what it names now
    EXPIRED = "Expired"  # its `until` has come


@dataclass(frozen=True, slots=True)
class FreezeSeen:
    """What a decision on a Freeze needs to know: `held` are the objects that it holds up now."""

    ref: Ref
    generation: int
    held: tuple[Ref, ...] = ()


def in_force(
    freezes: Iterable[tuple[str, FreezeSpec]], namespace: str, what: Activity, now: datetime
) -> FreezeInForce | None:
    """Find the freeze that stops `what` in `namespace` at `now`: of several, the one that ends last.

    `freezes` are (name, spec). The namespace "" means a cluster-scoped object: only a freeze of all holds it.
    """
    holding = [(name, spec) for name, spec in freezes if what in spec.stops and _holds(spec, namespace, now)]
    if not holding:
        return None
    name, spec = min(holding, key=lambda entry: (-_seconds_left(entry[1], now), entry[0]))
    return FreezeInForce(name=name, stops=tuple(sorted(spec.stops)), reason=spec.reason, until=spec.until)


def decide(spec: FreezeSpec, status: FreezeStatus, seen: FreezeSeen, now: datetime) -> Decision[FreezeStatus]:
    """Decide whether the freeze is in force, and keep on record what it stopped since it came into force."""
    if _has_ended(spec, now):
        return Decision(
            status=_evaluated(status.model_copy(update={"engaged": False}), FreezeReason.EXPIRED, seen, now),
            events=(Event("Disengaged", "The freeze has ended by its time.", action="Freeze"),)
            if status.engaged
            else (),
        )
    engaged = _engaged(status, seen, now)
    return Decision(
        status=_evaluated(engaged, FreezeReason.IN_FORCE, seen, now),
        events=() if status.engaged else (_engagement(spec),),
        check_again_at=min(now + LOOK_AGAIN, spec.until or now + LOOK_AGAIN),
    )


def _has_ended(spec: FreezeSpec, now: datetime) -> bool:
    return spec.until is not None and spec.until <= now


def _holds(spec: FreezeSpec, namespace: str, now: datetime) -> bool:
    return not _has_ended(spec, now) and (not spec.namespaces or namespace in spec.namespaces)


def _seconds_left(spec: FreezeSpec, now: datetime) -> float:
    return float("inf") if spec.until is None else (spec.until - now).total_seconds()


def _engaged(status: FreezeStatus, seen: FreezeSeen, now: datetime) -> FreezeStatus:
    """Latch: a freeze that comes into force anew starts a new record, one in force only adds to its own."""
    since = status.since if status.engaged and status.since else now.replace(microsecond=0)
    known = status.stopped if status.engaged else ()
    held = (StoppedObject(kind=ref.kind, namespace=ref.namespace, name=ref.name) for ref in seen.held)
    stopped = tuple(dict.fromkeys((*known, *held)))[:MOST_LISTED]
    return status.model_copy(update={"engaged": True, "since": since, "stopped": stopped})


def _evaluated(status: FreezeStatus, reason: FreezeReason, seen: FreezeSeen, now: datetime) -> FreezeStatus:
    is_engaged = ConditionStatus.TRUE if status.engaged else ConditionStatus.FALSE
    message = f"{len(status.stopped)} objects stopped." if status.engaged else "Nothing is held any more."
    conditions = set_condition(
        status.conditions,
        "Ready",
        ConditionStatus.TRUE,
        FreezeReason.ACCEPTED,
        "Evaluated.",
        seen.generation,
        now,
    )
    conditions = set_condition(conditions, "Engaged", is_engaged, reason, message, seen.generation, now)
    return status.model_copy(update={"observed_generation": seen.generation, "conditions": conditions})


def _engagement(spec: FreezeSpec) -> Event:
    where = ", ".join(spec.namespaces[:5]) + (" and others" if len(spec.namespaces) > 5 else "")  # noqa: PLR2004
    stops = " and ".join(sorted(spec.stops))
    return Event(
        "Engaged",
        f"{stops} stopped in {where or 'all namespaces'}: {spec.reason}",
        EventType.WARNING,
        "Freeze",
    )
