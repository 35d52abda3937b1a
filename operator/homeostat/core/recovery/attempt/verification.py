"""Whether an attempt helped: the triggering signal itself must stay quiet, and no data proves nothing (R7)."""

from datetime import datetime, timedelta

from homeostat.api.recovery_attempt import Attempt, AttemptPhase, InFlight, Outcome, TargetPhase
from homeostat.api.recovery_limits import OnFailure
from homeostat.api.recovery_status import Signal, SignalState
from homeostat.core.recovery.attempt.record import Ending, close
from homeostat.core.recovery.gates.known import OLDEST_VIEW
from homeostat.core.recovery.seen import Case, Move
from homeostat.core.recovery.signals import observed_at, of_attempt
from homeostat.core.recovery.steps import actions, undo
from homeostat.core.recovery.targets.availability import in_treatment, is_node

UNDO_TIME = timedelta(minutes=2)
"""How long taking a step back is tried."""


def begin_verification(case: Case, attempt: Attempt) -> Move:
    """Leave acting: from here on the trigger has the say."""
    verifying = attempt.model_copy(
        update={
            "phase": AttemptPhase.VERIFYING,
            "verify_from": case.now,
            "deadline": case.now + case.spec.verify.deadline,
        }
    )
    return Move(case.status.model_copy(update={"attempt": verifying, "blocked": None, "retry_at": None}))


def verify(case: Case, attempt: Attempt) -> Move:
    """End the attempt once its outcome is known. The hold counts as far as it was observed, not to now."""
    signal = _trusted(case, attempt)
    held_from = _held_from(case, attempt, signal)
    until = held_from + case.spec.verify.hold_for
    has_held = until <= min(observed_at(case, attempt.trigger), attempt.deadline)
    if signal.state is SignalState.QUIET and has_held and _is_whole(case, attempt):
        recovered_at = max(signal.since, attempt.acted_at or attempt.started_at)
        return close(case, attempt, Ending(Outcome.RECOVERED, recovered_at=recovered_at))
    if case.now < attempt.deadline:
        return Move(case.status)
    if signal.state is SignalState.FIRING:
        return _failed(case, attempt)
    return close(case, attempt, Ending(Outcome.UNVERIFIED, _doubt(case, attempt, signal)))


def _is_whole(case: Case, attempt: Attempt) -> bool:
    """Whether what was evicted is replaced: a pod that is missing fails nowhere, and would pass for healed."""
    target = case.seen.target
    if target is None or is_node(target):
        return True
    return in_treatment(target, case.status.in_flight, attempt.started_at) == 0


def _doubt(case: Case, attempt: Attempt, signal: Signal) -> str:
    """Say why it cannot be told whether it helped."""
    if signal.state is not SignalState.QUIET:
        return f"Signal{signal.state.value}"
    return "HeldTooShort" if _is_whole(case, attempt) else "ReplacementMissing"


def _held_from(case: Case, attempt: Attempt, signal: Signal) -> datetime:
    """Say from when on quiet counts: not before the target had time to stabilise."""
    return max(signal.since, (attempt.verify_from or attempt.started_at) + case.spec.verify.stabilise)


def _trusted(case: Case, attempt: Attempt) -> Signal:
    """Give the attempt's signal; when our view of the cluster is old, it is Unknown."""
    signal = of_attempt(case, attempt.trigger)
    if case.seen.view_age <= OLDEST_VIEW:
        return signal
    return signal.model_copy(update={"state": SignalState.UNKNOWN, "since": case.now})


def _failed(case: Case, attempt: Attempt) -> Move:
    """Take back what can be taken back, else go on to the next step (R8)."""
    if undo.newest(case) is None or case.spec.verify.on_failure is not OnFailure.UNDO:
        return close(case, attempt, Ending(Outcome.FAILED))
    return take_back(case, attempt)


def take_back(case: Case, attempt: Attempt) -> Move:
    """Take back what the attempt changed, newest first and one at a time; end it when there is nothing left (R8)."""
    changed = undo.newest(case)
    if changed is None:
        reason = "ChangedByAnother" if undo.left(case) else ""
        is_undone = any(entry.undoes for entry in actions.done(case.status.in_flight))
        return close(case, attempt, Ending(Outcome.FAILED, reason, undone=is_undone))
    entry = _undo_of(case, changed)
    undoing = attempt.model_copy(update={"phase": AttemptPhase.UNDOING, "deadline": entry.deadline})
    entries = (*case.status.in_flight, entry)
    return Move(case.status.model_copy(update={"attempt": undoing, "in_flight": entries}))


def _undo_of(case: Case, changed: InFlight) -> InFlight:
    return changed.model_copy(
        update={
            "id": f"{changed.id}-undo",
            "undoes": changed.id,
            "original": changed.desired,
            "desired": changed.original,
            "phase": TargetPhase.INTENDED,
            "started_at": case.now,
            "deadline": case.now + UNDO_TIME,
        }
    )
