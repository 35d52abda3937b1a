"""From a trigger that is due to an intent, or to the reason why nothing is done."""

from homeostat.api.recovery import Mode
from homeostat.api.recovery_attempt import AttemptRecord, Outcome
from homeostat.api.recovery_decision import Escalation
from homeostat.api.recovery_status import Signal
from homeostat.api.recovery_step import Escalate, Step
from homeostat.core.decision import Event, EventType
from homeostat.core.recovery.attempt.intent import begin
from homeostat.core.recovery.attempt.record import remembered
from homeostat.core.recovery.gates.chain import TO_ACT, TO_TELL, first_block, permitted
from homeostat.core.recovery.gates.wish import Wish
from homeostat.core.recovery.limits import budget
from homeostat.core.recovery.reasons import IMPOSSIBLE, Block
from homeostat.core.recovery.seen import Case, Move
from homeostat.core.recovery.signals import ground
from homeostat.core.recovery.steps.plan import plan
from homeostat.core.recovery.telling.blocking import blocked

LAST_RESORT = Step(escalate=Escalate(summary="All steps were tried, and the trigger still fires."))
"""What follows the last step of a policy that does not say so itself: a human is told in any case."""


def start(case: Case, signal: Signal) -> Move:
    """Begin an attempt of the next step, tell a human when none is left, or say what stands against it."""
    steps = (*case.spec.steps, LAST_RESORT)
    step = steps[min(case.status.next_step, len(steps) - 1)]
    if step.escalate:
        return _tell(case, step, step.escalate, signal)
    planned = permitted(TO_ACT, case, signal, plan(case, step, signal))
    if isinstance(planned, Block):
        return _skip(case, step, signal, planned) if _gives_way(case, step, planned) else Move(blocked(case, planned))
    if case.spec.mode is not Mode.AUTO:
        return _would_do(case, step, signal, planned.title)
    return begin(case, step, signal, planned)


def _gives_way(case: Case, step: Step, block: Block) -> bool:
    """Whether a step that has nothing to do here has had its time."""
    known = case.status.blocked
    if known is None or known.reason != block.reason or block.reason not in IMPOSSIBLE:
        return False
    return case.now >= known.since + step.timeout


def _skip(case: Case, step: Step, signal: Signal, block: Block) -> Move:
    entry = _record(case, step, signal, Outcome.NOT_STARTED, reason=block.reason)
    status = remembered(case.status, entry).model_copy(update={"next_step": case.status.next_step + 1, "blocked": None})
    note = f"Step {entry.step} ({entry.name}) had nothing to do ({block.reason}); the next is tried."
    return Move(status, events=(Event("NotStarted", note, action="Recover"),))


def _would_do(case: Case, step: Step, signal: Signal, what: str) -> Move:
    """R1: the same record, budget and rest as if it had been done, and no hand on the target."""
    entry = _record(case, step, signal, Outcome.WOULD_DO, what)
    status = remembered(case.status, entry).model_copy(
        update={
            "blocked": None,
            "budget": budget.spent(case.status.budget, case.spec.limits.budget, case.now),
            "cooldown_until": case.now + case.spec.limits.cooldown,
        }
    )
    note = f"Step {entry.step} ({entry.name}) would do {what}, because {ground(case, signal.trigger)}."
    return Move(status, events=(Event("WouldAct", note, action="Recover"),))


def _tell(case: Case, step: Step, escalate: Escalate, signal: Signal) -> Move:
    """Tell a human, and stay with that until the trigger is quiet."""
    block = first_block(TO_TELL, Wish(case, signal))
    if block:
        return Move(blocked(case, block))
    outcome = Outcome.ESCALATED if case.spec.mode is Mode.AUTO else Outcome.WOULD_DO
    entry = _record(case, step, signal, outcome)
    summary = escalate.summary or "The target does not recover."
    status = remembered(case.status, entry).model_copy(
        update={
            "blocked": None,
            "retry_at": None,
            "escalated": Escalation(since=case.now, severity=escalate.severity, summary=summary),
        }
    )
    note = f"{escalate.severity.value}: {summary} ({ground(case, signal.trigger)})"
    reason = "Escalated" if outcome is Outcome.ESCALATED else "WouldEscalate"
    return Move(status, events=(Event(reason, note, EventType.WARNING, "Escalate"),))


def _record(
    case: Case, step: Step, signal: Signal, outcome: Outcome, what: str = "", reason: str = ""
) -> AttemptRecord:
    """Record what was not begun as an attempt: it starts and ends now."""
    number = min(case.status.next_step, len(case.spec.steps))
    return AttemptRecord(
        id=f"{case.seen.attempt_seed}-step{number}",
        step=number,
        name=step.name,
        trigger=signal.trigger,
        targets=(what,) if what else (),
        detected_at=signal.since,
        started_at=case.now,
        ended_at=case.now,
        outcome=outcome,
        reason=reason,
    )
