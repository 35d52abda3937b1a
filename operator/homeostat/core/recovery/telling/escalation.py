"""A human is told: one incident for each reason, from when a trigger fires until it is quiet again (R5, R6, R9, R16).

An incident is the record in `status.escalated`, the one in `status.last` that goes to the store, one Warning event with
all that was tried, and the webhook of the escalate step where it has one (telling/delivery.py). In mode Observe it is
what would be told. Its name follows from what it is about: told again after a kill, it is the same incident.
"""

from collections.abc import Iterator
from datetime import datetime
from hashlib import sha256

from homeostat.api.recovery import Mode
from homeostat.api.recovery_attempt import AttemptRecord, Outcome
from homeostat.api.recovery_decision import Delivery, Escalation, EscalationReason
from homeostat.api.recovery_status import MOST_UNDELIVERED, Signal
from homeostat.api.recovery_step import Escalate
from homeostat.core.decision import Event, EventType
from homeostat.core.recovery.attempt.record import LONGEST_CAUSE, remembered
from homeostat.core.recovery.attempt.sequence import human
from homeostat.core.recovery.limits.flapping import is_flapping
from homeostat.core.recovery.limits.ineffective import held_until
from homeostat.core.recovery.reasons import Block, BlockReason
from homeostat.core.recovery.seen import Case, Move
from homeostat.core.recovery.signals import ground, title
from homeostat.core.recovery.telling.blocking import blocked

MOST_TRIED, LONGEST_TRIED, LONGEST_SUMMARY = 10, 256, 256
LEFT_IN_PLACE = frozenset({"UndoFailed", "ChangedByAnother"})
"""Reasons why what a step changed may still stand."""

_INCIDENTS = {
    BlockReason.INEFFECTIVE: EscalationReason.INEFFECTIVE,
    BlockReason.FLAPPING: EscalationReason.FLAPPING,
    BlockReason.TOO_MANY_UNHEALTHY: EscalationReason.TOO_MANY_UNHEALTHY,
    BlockReason.STORM: EscalationReason.STORM,
}
"""Refusals that a human is told of."""
_OUTAGES = frozenset({EscalationReason.TOO_MANY_UNHEALTHY.value, EscalationReason.STORM.value})
"""Reasons after which the target rests, when they are over."""


def refused(case: Case, signal: Signal, block: Block) -> Move:
    """Put a refusal on record, and tell a human of it where it is one of those, once."""
    status = blocked(case, block)
    reason = next((told for word, told in _INCIDENTS.items() if word == block.reason), None)
    if reason is None or is_told(case, reason) or (reason is EscalationReason.STORM and not case.seen.storm.speaks):
        return Move(status)
    return tell(case.with_status(blocked=status.blocked), signal, reason, block.message)


def is_told(case: Case, reason: EscalationReason) -> bool:
    """Whether a human was told for a reason since the trigger began to fire."""
    return case.status.escalated is not None and reason.value in case.status.escalated.reasons


def tell(case: Case, signal: Signal, reason: EscalationReason, summary: str) -> Move:
    """Tell a human, and remember that it was done."""
    _, _, how = human(case.spec)
    is_real = case.spec.mode is not Mode.OBSERVE
    told = _escalation(case, signal, reason, how, summary[:LONGEST_SUMMARY])
    told = told if is_real else told.model_copy(update={"webhook": None})
    entry = _record(case, signal, told, Outcome.ESCALATED if is_real else Outcome.WOULD_DO)
    waiting = (*case.status.undelivered, *((told,) if told.webhook else ()))[-MOST_UNDELIVERED:]
    status = remembered(case.status, entry).model_copy(update={"escalated": told, "undelivered": waiting})
    event = Event("Escalated" if is_real else "WouldEscalate", _note(case, signal, told), EventType.WARNING, "Escalate")
    return Move(status, events=(event,))


def attempts_told(case: Case, reason: EscalationReason) -> tuple[str, ...]:
    """Say what was tried and what came of it, oldest first."""
    records = _returned(case) if reason is EscalationReason.INEFFECTIVE else _of_sequence(case)
    told = [_told(record) for record in records][:MOST_TRIED]
    return tuple(reversed(told))


def _returned(case: Case) -> Iterator[AttemptRecord]:
    """Give the attempts within the time that returns are counted in, newest first."""
    window = case.spec.limits.ineffective.window
    yield from (record for record in case.status.last if _was_tried(record) and case.now - record.ended_at < window)


def _of_sequence(case: Case) -> Iterator[AttemptRecord]:
    """Give the attempts since the trigger began to fire, newest first: of each step as many as it may have had."""
    left = {index: 1 + step.retries.max for index, step in enumerate(case.spec.steps)}
    for record in case.status.last:
        if record.outcome is Outcome.RECOVERED or left.get(record.step, 1) <= 0:
            return
        if _was_tried(record):
            left[record.step] = left.get(record.step, 1) - 1
            yield record


def _was_tried(record: AttemptRecord) -> bool:
    return record.name != "escalate"


def _told(record: AttemptRecord) -> str:
    """Say what became of one attempt, and what is left of it."""
    what = f"{record.name} ({', '.join(record.targets)})" if record.targets else record.name
    came = (
        record.outcome.value + (f", {record.reason}" if record.reason else "") + (", undone" if record.undone else "")
    )
    left = ", left in place" if record.reason in LEFT_IN_PLACE else ""
    room = LONGEST_TRIED - len(came) - len(left) - 2
    return f"{what[:room]}: {came}{left}"


def _escalation(case: Case, signal: Signal, reason: EscalationReason, how: Escalate, summary: str) -> Escalation:
    known = case.status.escalated.reasons if case.status.escalated else ()
    return Escalation(
        id=_name(case, signal, reason),
        since=case.now,
        severity=how.severity,
        reason=reason.value,
        reasons=(*known, reason.value),
        summary=summary,
        target=_target(case),
        cause=title(case, signal.trigger)[:LONGEST_CAUSE],
        tried=attempts_told(case, reason),
        webhook=Delivery.PENDING if how.webhook else None,
        experiment=case.seen.drilled_by or None,
    )


def _target(case: Case) -> str:
    focus, wanted = case.status.focus, case.spec.target
    return f"{focus.kind}/{focus.name}" if focus else f"{wanted.kind.value}/{wanted.name or '*'}"


def _name(case: Case, signal: Signal, reason: EscalationReason) -> str:
    """Name an incident after what it is about, so that it has one name however often it is decided on."""
    about = (case.seen.ref.uid, case.seen.generation, signal.trigger, signal.since.isoformat(), reason.value)
    return f"incident-{sha256(repr(about).encode()).hexdigest()[:16]}"


def _record(case: Case, signal: Signal, told: Escalation, outcome: Outcome) -> AttemptRecord:
    index, step, _ = human(case.spec)
    return AttemptRecord(
        id=told.id,
        step=index,
        name=step.name,
        trigger=signal.trigger,
        detected_at=signal.since,
        started_at=case.now,
        ended_at=case.now,
        outcome=outcome,
        reason=told.reason,
        cause=told.cause,
    )


def _note(case: Case, signal: Signal, told: Escalation) -> str:
    tried = f" Tried: {'; '.join(told.tried)}." if told.tried else ""
    drill = f" This is a drill: ChaosExperiment {told.experiment}." if told.experiment else ""
    return f"{told.severity.value}: {told.summary} ({ground(case, signal.trigger)}){tried}{drill}"


# --- how long it stands ---------------------------------------------------------------------------------


def kept(case: Case) -> Escalation | None:
    """Give what stays of an escalation while all is quiet: what still holds is no new incident when it fires again."""
    known = case.status.escalated
    holding = tuple(reason for reason in known.reasons if _ends_at(case, reason)) if known else ()
    if known is None or not holding:
        return None
    reason = known.reason if known.reason in holding else holding[-1]
    return known.model_copy(update={"reasons": holding, "reason": reason})


def ends(case: Case) -> Iterator[datetime]:
    """Give the times at which what a human was told of ceases to hold."""
    known = case.status.escalated
    times = (_ends_at(case, reason) for reason in known.reasons) if known else ()
    yield from (time for time in times if time)


def rest_until(case: Case) -> datetime | None:
    """R5: say until when the target rests once all is quiet after an outage of many; None when it need not."""
    known = case.status.escalated
    if known is None or not _OUTAGES.intersection(known.reasons):
        return None
    quiet_since = max((signal.since for signal in case.status.signals), default=case.now)
    until = min(quiet_since, case.now) + case.spec.limits.cooldown
    return until if until > case.now else None


def _ends_at(case: Case, reason: str) -> datetime | None:
    """Say when a reason ceases to hold by itself; None when it does not hold, or nobody knows."""
    status, now = case.status, case.now
    if reason == EscalationReason.INEFFECTIVE:
        return held_until(status.returns, case.spec.limits.ineffective, now)
    if reason == EscalationReason.FLAPPING:
        return max((until for signal in status.signals if (until := is_flapping(case, signal))), default=None)
    if reason == EscalationReason.STORM:
        return status.storm_until if status.storm_until and status.storm_until > now else None
    return None
