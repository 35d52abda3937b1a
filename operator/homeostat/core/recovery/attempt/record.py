"""How an attempt goes on record when it is over, and what follows for the rest of the policy (R7, R17)."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from homeostat.api.recovery_attempt import Attempt, AttemptRecord, Outcome, milliseconds
from homeostat.api.recovery_status import MOST_RECORDS, RecoveryPolicyStatus, RecoveryStats
from homeostat.core.decision import Event, EventType
from homeostat.core.recovery.attempt import sequence
from homeostat.core.recovery.limits.ineffective import with_return
from homeostat.core.recovery.seen import Case, Move
from homeostat.core.recovery.signals import began_at, title
from homeostat.core.recovery.steps import actions

MOST_TARGETS = 10
LONGEST_CAUSE = 320
REVERTED = "RevertedByGitOps"
"""Reason of an attempt whose change another writer took back, as its Git repository has it."""
RATE = Decimal("0.0001")

_TELLING = {
    Outcome.RECOVERED: ("Recovered", "helped: {trigger} is quiet again", EventType.NORMAL),
    Outcome.FAILED: ("VerificationFailed", "did not help: {trigger} still fires", EventType.WARNING),
    Outcome.UNVERIFIED: ("Unverified", "cannot be judged: too little is known of {trigger}", EventType.WARNING),
    Outcome.NOT_STARTED: ("NotStarted", "was not carried out", EventType.NORMAL),
}


@dataclass(frozen=True, slots=True)
class Ending:
    """How an attempt ended; `helps_on`: whether the next step is due."""

    outcome: Outcome
    reason: str = ""
    recovered_at: datetime | None = None
    undone: bool = False
    helps_on: bool = True


def close(case: Case, attempt: Attempt, ending: Ending) -> Move:
    """End the open attempt: on record, counted, the target at rest, the sequence where it belongs."""
    entry = _record(case, attempt, ending)
    has_acted = attempt.acted_at is not None
    status = case.status.model_copy(
        update={
            "attempt": None,
            "in_flight": (),
            "blocked": None,
            "retry_at": None,
            **_what_follows(case, attempt, ending),
            "stats": counted(case.status.stats, entry) if has_acted else case.status.stats,
        }
    )
    return Move(remembered(status, entry), events=(_event(case, attempt, ending),))


def remembered(status: RecoveryPolicyStatus, entry: AttemptRecord) -> RecoveryPolicyStatus:
    """Put a record in front of the others; what could not be started over and over is one record."""
    older = status.last[1:] if status.last and _is_again(entry, status.last[0]) else status.last
    return status.model_copy(
        update={"last": (entry, *older)[:MOST_RECORDS], "last_outcome": entry.outcome.value},
    )


def counted(stats: RecoveryStats, entry: AttemptRecord) -> RecoveryStats:
    """Count an attempt that acted; the mean is over those that recovered."""
    attempts = stats.attempts + 1
    recovered = stats.recovered + (1 if entry.outcome is Outcome.RECOVERED else 0)
    mean = stats.mean_time_to_recover
    if entry.outcome is Outcome.RECOVERED and entry.took is not None:
        mean = milliseconds(((mean or timedelta(0)) * stats.recovered + entry.took) / recovered)
    return RecoveryStats(
        attempts=attempts,
        recovered=recovered,
        success_rate=(Decimal(recovered) / attempts).quantize(RATE),
        mean_time_to_recover=mean,
    )


def _what_follows(case: Case, attempt: Attempt, ending: Ending) -> dict[str, Any]:
    """Say what is remembered for the next attempt: which step is due, how long the target rests, that it was set back.

    What a human asked for by hand moves the sequence only when it helped (R16).
    """
    memory: dict[str, Any] = {}
    wait = timedelta(0)
    if ending.outcome is Outcome.RECOVERED:
        memory = {**sequence.START_OVER, "changes": ()}
    elif ending.helps_on and not attempt.requested_by:
        memory, wait = sequence.failed(case, attempt)
    if ending.outcome is Outcome.RECOVERED or ending.reason == REVERTED:
        memory["returns"] = with_return(case.status.returns, case.spec.limits.ineffective, case.now)
    memory["next_step"] = sequence.due(case.with_status(**memory))
    return memory | {"cooldown_until": _rest(case, attempt, wait)}


def _rest(case: Case, attempt: Attempt, wait: timedelta) -> datetime | None:
    """Say until when the target rests: the cooldown after what was done, or the wait before a retry if that is longer.

    To the millisecond, as the API server keeps it.
    """
    rest = max(case.spec.limits.cooldown, wait) if attempt.acted_at else wait
    times = (case.status.cooldown_until, case.now + milliseconds(rest) if rest else None)
    return max((time for time in times if time), default=None)


def _record(case: Case, attempt: Attempt, ending: Ending) -> AttemptRecord:
    took = milliseconds(max(timedelta(), ending.recovered_at - attempt.detected_at)) if ending.recovered_at else None
    return AttemptRecord(
        id=attempt.id,
        step=attempt.step,
        name=attempt.name,
        trigger=attempt.trigger,
        targets=tuple(actions.title(entry) for entry in case.status.in_flight[:MOST_TARGETS]),
        detected_at=attempt.detected_at,
        started_at=attempt.started_at,
        acted_at=attempt.acted_at,
        recovered_at=ending.recovered_at,
        ended_at=case.now,
        outcome=ending.outcome,
        reason=ending.reason,
        undone=ending.undone,
        took=took,
        approved_by=attempt.approved_by,
        requested_by=attempt.requested_by,
        overridden=attempt.overridden,
        override_reason=attempt.override_reason,
        cause=title(case, attempt.trigger)[:LONGEST_CAUSE],
        began_at=_began_at(case, attempt),
    )


def _began_at(case: Case, attempt: Attempt) -> datetime | None:
    """Say when the first sign was seen: one of what the attempt was made for, and not of what came after."""
    first = began_at(case, attempt.trigger)
    return first if first and first <= attempt.detected_at else None


def _is_again(entry: AttemptRecord, older: AttemptRecord) -> bool:
    return entry.outcome is Outcome.NOT_STARTED and (older.outcome, older.step, older.reason) == (
        entry.outcome,
        entry.step,
        entry.reason,
    )


def _event(case: Case, attempt: Attempt, ending: Ending) -> Event:
    reason, sentence, kind = _TELLING[ending.outcome]
    what = sentence.format(trigger=title(case, attempt.trigger))
    suffix = " It was undone." if ending.undone else f" ({ending.reason})" if ending.reason else ""
    return Event(reason, f"Step {attempt.step} ({attempt.name}) {what}.{suffix}", kind, "Recover")
