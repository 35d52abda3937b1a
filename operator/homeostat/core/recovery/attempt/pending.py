"""An action on record of which it is not known that it happened: learn it, ask again, wait, or give up (R2).

Nothing is asked for again without all gates having been asked again: between a kill and a restart the world
may have changed in every way that forbids it.
"""

from dataclasses import replace
from datetime import timedelta

from homeostat.api.recovery_attempt import Attempt, AttemptPhase, InFlight, Outcome, TargetPhase
from homeostat.api.recovery_status import SignalState
from homeostat.core.recovery.attempt.answers import No, has_token, is_confirmed, refusal
from homeostat.core.recovery.attempt.record import Ending, close
from homeostat.core.recovery.attempt.verification import begin_verification
from homeostat.core.recovery.gates.chain import TO_ASK_AGAIN, TO_UNDO, permitted
from homeostat.core.recovery.gates.known import OLDEST_VIEW
from homeostat.core.recovery.limits import budget
from homeostat.core.recovery.reasons import FINAL, REFUSALS, Block, BlockReason
from homeostat.core.recovery.seen import Case, Move
from homeostat.core.recovery.signals import of_attempt
from homeostat.core.recovery.steps import actions, undo
from homeostat.core.recovery.steps.handling import workload_of
from homeostat.core.recovery.steps.plan import Plan
from homeostat.core.recovery.telling.blocking import blocked

CHANGED = No(
    Block(BlockReason.TARGET_CHANGED, "Another writer has changed the target since the decision."),
    timedelta(seconds=1),
    is_before_act=True,
)


def resolve(case: Case, attempt: Attempt, entry: InFlight) -> Move:
    """Take an action on record one move further."""
    if is_confirmed(case, entry) or _is_seen_done(case, entry):
        return _learn(case, attempt, entry)
    if case.now >= entry.deadline:
        return _give_up(case, attempt, entry)
    if attempt.phase is AttemptPhase.UNDOING:
        return _ask(case, entry, attempt) if _is_untouched(case, entry) else _leave(case, entry)
    return _resolve_act(case, attempt, entry)


def _resolve_act(case: Case, attempt: Attempt, entry: InFlight) -> Move:
    """Withdraw what has lost its ground; ask again for the rest."""
    answer = refusal(case, entry)
    if answer and answer.is_before_act:
        return _withdraw(case, attempt, entry, answer)
    if answer and answer.block.reason in FINAL:
        return _drop(case, attempt, entry, Ending(Outcome.NOT_STARTED, answer.block.reason))
    if not _is_untouched(case, entry):
        return _withdraw(case, attempt, entry, CHANGED)
    if _is_needless(case, attempt, entry):
        return _drop(case, attempt, entry, Ending(Outcome.NOT_STARTED, "TriggerQuiet", helps_on=False))
    return _ask(case, entry, attempt)


def _is_needless(case: Case, attempt: Attempt, entry: InFlight) -> bool:
    """Whether all is well again before anything was done, as far as the world can show that nothing was."""
    is_quiet = of_attempt(case, attempt.trigger).state is SignalState.QUIET
    return is_quiet and not attempt.requested_by and actions.leaves_a_trace(entry)


def _ask(case: Case, entry: InFlight, attempt: Attempt) -> Move:
    """Ask for the action, on the target as it is now, unless it is too soon or something stands against it."""
    known = entry.model_copy(update={"has_token": has_token(case, entry)})
    answer = refusal(case, known)
    if answer:
        waiting = _with_entry(case.with_status(retry_at=case.now + answer.pause), known)
        return Move(blocked(waiting, answer.block))
    if case.status.retry_at and case.status.retry_at > case.now:
        return Move(case.status)
    gates = TO_UNDO if entry.undoes else TO_ASK_AGAIN
    planned = permitted(gates, case, of_attempt(case, attempt.trigger), _plan(case, entry))
    if isinstance(planned, Block):
        return Move(blocked(case, planned))
    fresh = known.model_copy(update={"resource_version": planned.resource_version})
    status = _with_entry(case.with_status(retry_at=None), fresh).status  # blocked until the answer is yes
    return Move(status, actions.carrying_out(case, planned.workload, fresh))


def _plan(case: Case, entry: InFlight) -> Plan | Block:
    """Renew the plan of an action on the version of the target that is seen now."""
    target = workload_of(case, entry)
    if target is None:
        return Block(BlockReason.TARGET_NOT_FOUND, "The target is not there.")
    version = actions.version(case, target, entry)
    return Plan(entry.action, target, entry.target, version, entry.original, entry.desired, entry.undoes)


def _learn(case: Case, attempt: Attempt, entry: InFlight) -> Move:
    """Put on record that the action happened, and what it changed."""
    happened = entry.model_copy(update={"phase": TargetPhase.DONE, "has_token": has_token(case, entry)})
    acted = attempt.model_copy(update={"acted_at": attempt.acted_at or case.now})
    learnt = case.with_status(attempt=acted, blocked=None, retry_at=None, changes=undo.noted(case, entry))
    return Move(_with_entry(learnt, happened).status)


def _withdraw(case: Case, attempt: Attempt, entry: InFlight, answer: No) -> Move:
    """Take back an intent that certainly came to nothing, give back what it cost, and wait a while."""
    refunded = case.with_status(budget=budget.given_back(case.status.budget))
    move = _drop(refunded, attempt, entry, Ending(Outcome.NOT_STARTED, answer.block.reason, helps_on=False))
    waiting = replace(case, status=move.status).with_status(retry_at=case.now + answer.pause)
    return Move(blocked(waiting, answer.block), events=move.events)


def _give_up(case: Case, attempt: Attempt, entry: InFlight) -> Move:
    """End what did not get through in its time; only if it was refused is it the next step's turn."""
    if attempt.phase is AttemptPhase.UNDOING:
        return close(case, attempt, Ending(Outcome.FAILED, "UndoFailed"))
    if actions.done(case.status.in_flight):
        return begin_verification(case.with_status(in_flight=_without(case, entry)), attempt)
    reason = case.status.blocked.reason if case.status.blocked else "Timeout"
    return close(case, attempt, Ending(Outcome.NOT_STARTED, reason, helps_on=reason in REFUSALS))


def _leave(case: Case, entry: InFlight) -> Move:
    """R8: a newer value by another writer stays."""
    return undo.forget(case.with_status(in_flight=_without(case, entry)), entry.undoes)


def _drop(case: Case, attempt: Attempt, entry: InFlight, ending: Ending) -> Move:
    """Take one action off the attempt; an attempt without any other is over."""
    if not actions.done(case.status.in_flight):
        return close(case, attempt, ending)
    return Move(case.with_status(in_flight=_without(case, entry)).status)


def _is_seen_done(case: Case, entry: InFlight) -> bool:
    target = workload_of(case, entry)
    return target is not None and case.seen.view_age <= OLDEST_VIEW and actions.has_happened(case, target, entry)


def _is_untouched(case: Case, entry: InFlight) -> bool:
    target = workload_of(case, entry)
    return target is None or actions.is_untouched(case, target, entry)


def _with_entry(case: Case, entry: InFlight) -> Case:
    entries = tuple(entry if known.id == entry.id else known for known in case.status.in_flight)
    return case.with_status(in_flight=entries)


def _without(case: Case, entry: InFlight) -> tuple[InFlight, ...]:
    return tuple(known for known in case.status.in_flight if known.id != entry.id)
