"""From a trigger that is due to an intent, or to the reason why nothing is done."""

from homeostat.api.recovery import Mode
from homeostat.api.recovery_attempt import AttemptRecord, Outcome
from homeostat.api.recovery_decision import EscalationReason
from homeostat.api.recovery_status import Signal
from homeostat.api.recovery_step import Escalate, Step
from homeostat.core.decision import Event
from homeostat.core.recovery.attempt import sequence
from homeostat.core.recovery.attempt.intent import begin
from homeostat.core.recovery.attempt.record import LONGEST_CAUSE, remembered
from homeostat.core.recovery.consent.asking import ask, needs_consent
from homeostat.core.recovery.gates.chain import TO_ACT, TO_TELL, first_block, permitted
from homeostat.core.recovery.gates.wish import Wish
from homeostat.core.recovery.limits import budget
from homeostat.core.recovery.reasons import IMPOSSIBLE, Block, BlockReason
from homeostat.core.recovery.seen import Case, Move
from homeostat.core.recovery.signals import ground, title
from homeostat.core.recovery.steps.plan import plan
from homeostat.core.recovery.telling.blocking import blocked
from homeostat.core.recovery.telling.escalation import is_told, refused, tell


def due_step(case: Case) -> Step:
    """Say which step is due."""
    return sequence.step_at(case.spec, case.status.next_step)


def start(case: Case, signal: Signal) -> Move:
    """Begin an attempt of the next step, tell a human when none is left, or say what stands against it."""
    step = due_step(case)
    if step.escalate:
        return _tell(case, step.escalate, signal)
    planned = permitted(TO_ACT, case, signal, plan(case, step, signal))
    if isinstance(planned, Block):
        return _skip(case, step, signal, planned) if _gives_way(case, step, planned) else refused(case, signal, planned)
    if _was_outage(case):
        return Move(case.with_status(cooldown_until=case.now + case.spec.limits.cooldown, blocked=None).status)
    if case.spec.mode is Mode.OBSERVE:
        return _would_do(case, step, signal, planned.title)
    go = ask if needs_consent(case.spec, step) else begin
    return go(case, step, signal, planned)


def _was_outage(case: Case) -> bool:
    """R5: whether a human was told that too much is unhealthy, and it no longer is: first there is a rest."""
    known = case.status.blocked
    if known is None or known.reason != BlockReason.TOO_MANY_UNHEALTHY:
        return False
    return is_told(case, EscalationReason.TOO_MANY_UNHEALTHY)


def _gives_way(case: Case, step: Step, block: Block) -> bool:
    """Whether a step that has nothing to do here has had its time."""
    known = case.status.blocked
    if (
        known is None
        or known.reason != block.reason
        or not (block.reason in IMPOSSIBLE or _will_stay(case, step, block))
    ):
        return False
    return case.now >= known.since + step.timeout


def _will_stay(case: Case, step: Step, block: Block) -> bool:
    """Whether nothing will end a refusal by itself: a rollout that is stuck, a target of the step's own not there."""
    target = case.seen.target
    if target is None:
        return False
    is_stuck = block.reason == BlockReason.ROLLOUT_IN_PROGRESS and target.is_stuck and not step.targets
    is_missing = block.reason == BlockReason.TARGET_NOT_FOUND and bool(step.targets) and not target.is_deleting
    return is_stuck or is_missing


def _skip(case: Case, step: Step, signal: Signal, block: Block) -> Move:
    entry = _record(case, step, signal, Outcome.NOT_STARTED, reason=block.reason)
    status = remembered(case.status, entry).model_copy(
        update={**sequence.passed_over(case, entry.step), "blocked": None}
    )
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


def _tell(case: Case, escalate: Escalate, signal: Signal) -> Move:
    """R16: tell a human that nothing is left to try, and stay with that until the trigger is quiet."""
    block = first_block(TO_TELL, Wish(case, signal))
    if block:
        return Move(blocked(case, block))
    summary = escalate.summary or "The target does not recover."
    resting = case.with_status(blocked=None, retry_at=None)
    return tell(resting, signal, EscalationReason.STEPS_EXHAUSTED, summary)


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
        cause=title(case, signal.trigger)[:LONGEST_CAUSE],
    )
