"""How conditions change: one entry a type, in a stable order, timed by its status alone."""

from collections.abc import Container, Iterable
from datetime import datetime

from homeostat.api.meta import Condition, ConditionStatus

LONGEST_MESSAGE = 32768
READY, STALLED = "Ready", "Stalled"
OCCASIONAL = frozenset({STALLED, "DependenciesHealthy"})
"""Conditions of ours that are there only while they have something to say: where none is written, none may stand."""


def condition(conditions: Iterable[Condition], type: str) -> Condition | None:  # noqa: A002 - the API's word
    """Find the condition of a type; None when there is none yet."""
    return next((entry for entry in conditions if entry.type == type), None)


def set_condition(  # noqa: PLR0913, PLR0917 - a condition has that many parts
    conditions: tuple[Condition, ...],
    type: str,  # noqa: A002 - the API's word
    status: ConditionStatus,
    reason: str,
    message: str,
    generation: int,
    now: datetime,
) -> tuple[Condition, ...]:
    """Replace the condition of `type` where it stands, or append it.

    The transition time moves to `now` (cut to seconds, as the API keeps it) only when the status moves.
    """
    known = condition(conditions, type)
    text = message[:LONGEST_MESSAGE]
    if known and (known.status, known.reason, known.message, known.observed_generation) == (
        status, reason, text, generation
    ):  # fmt: skip
        return conditions
    since = known.last_transition_time if known and known.status == status else now.replace(microsecond=0)
    entry = Condition(
        type=type,
        status=status,
        observed_generation=generation,
        last_transition_time=since,
        reason=reason,
        message=text,
    )
    if known is None:
        return (*conditions, entry)
    return tuple(entry if old.type == type else old for old in conditions)


def stalled(conditions: tuple[Condition, ...], reasons: Container[str], now: datetime) -> tuple[Condition, ...]:
    """Set Stalled beside a Ready that is False for one of `reasons`, in its words; else take it out.

    `reasons` are those that only an edit of the object's own spec ends. Whoever waits for the object (kstatus: Helm,
    Flux) takes Ready=False for on the way, and Stalled for failed.
    """
    ready = condition(conditions, READY)
    if ready is None or ready.status is not ConditionStatus.FALSE or ready.reason not in reasons:
        return tuple(entry for entry in conditions if entry.type != STALLED)
    return set_condition(
        conditions, STALLED, ConditionStatus.TRUE, ready.reason, ready.message, ready.observed_generation, now
    )
