"""How an attempt goes on record when it is over, and what follows for the rest of the policy (R7, R17)."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from homeostat.api.recovery_attempt import Attempt, AttemptRecord, Outcome, milliseconds
from homeostat.api.recovery_status import MOST_RECORDS, RecoveryPolicyStatus, RecoveryStats
from homeostat.core.decision import Event, EventType
from homeostat.core.recovery.seen import Case, Move
from homeostat.core.recovery.signals import title
from homeostat.core.recovery.steps import actions

MOST_TARGETS = 10
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
            "next_step": _next_step(attempt, ending),
            "cooldown_until": case.now + case.spec.limits.cooldown if has_acted else case.status.cooldown_until,
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


def _next_step(attempt: Attempt, ending: Ending) -> int:
    if ending.outcome is Outcome.RECOVERED:
        return 0
    return attempt.step + 1 if ending.helps_on else attempt.step


def _record(case: Case, attempt: Attempt, ending: Ending) -> AttemptRecord:
    took = milliseconds(ending.recovered_at - attempt.detected_at) if ending.recovered_at else None
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
    )


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
