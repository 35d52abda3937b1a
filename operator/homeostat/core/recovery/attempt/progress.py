"""The open attempt: learn what became of its actions, ask again or act on the next pod, then verify.

ACTING ─ all its pods replaced, rollout done, or time over ─▶ VERIFYING ─ quiet ─▶ Recovered
   └─ nothing got through in time ─▶ NotStarted                   └─ still firing ─▶ [UNDOING ─▶] Failed
"""

from homeostat.api.recovery_attempt import ActionName, Attempt, AttemptPhase, InFlight, Outcome, TargetPhase
from homeostat.api.recovery_status import SignalState
from homeostat.api.recovery_step import Step
from homeostat.core.cluster import Workload
from homeostat.core.recovery.attempt import sequence
from homeostat.core.recovery.attempt.intent import add
from homeostat.core.recovery.attempt.pending import resolve
from homeostat.core.recovery.attempt.record import REVERTED, Ending, close
from homeostat.core.recovery.attempt.verification import begin_verification, take_back, verify
from homeostat.core.recovery.gates.chain import TO_GO_ON, permitted
from homeostat.core.recovery.gates.known import OLDEST_VIEW
from homeostat.core.recovery.reasons import Block, BlockReason
from homeostat.core.recovery.seen import Case, Move
from homeostat.core.recovery.signals import of_attempt
from homeostat.core.recovery.steps import actions, job, undo
from homeostat.core.recovery.steps.handling import workload_of
from homeostat.core.recovery.steps.plan import SEVERAL, Plan, plan
from homeostat.core.recovery.targets import availability
from homeostat.core.recovery.targets.gitops import is_reverted
from homeostat.core.recovery.targets.subject import entries_of, written
from homeostat.core.recovery.telling.blocking import blocked

PACING = frozenset(
    {
        BlockReason.IN_FLIGHT,
        BlockReason.NO_FAILING_PODS,
        BlockReason.NOTHING_TO_RESTORE,
        BlockReason.NOT_APPROVED,
        BlockReason.ALL_TREATED,
    }
)
"""Between two actions of an attempt these are the ordinary course, not a refusal to tell of."""

MOST_ACTIONS = 256 - undo.MOST_CHANGES
"""As many actions as the status of an attempt holds, with room for their undoing."""

_AT_ONCE = frozenset({ActionName.CORDON, ActionName.RUN_JOB, ActionName.CALL_WEBHOOK})
"""Actions that leave the pods as they are: there is nothing to wait for but the Job's end."""


def advance(case: Case, attempt: Attempt) -> Move:
    """Take the open attempt one move further; the same memory means there is nothing to do now."""
    target = case.seen.target
    if target is not None and target.ref.uid != attempt.workload.uid:
        return close(_begun_anew(case, attempt), attempt, Ending(Outcome.UNVERIFIED, "TargetReplaced", helps_on=False))
    pending = next((entry for entry in case.status.in_flight if entry.phase is TargetPhase.INTENDED), None)
    if pending:
        return resolve(case, attempt, pending)
    if attempt.phase is AttemptPhase.UNDOING:
        return take_back(case, attempt)
    if case.seen.view_age <= OLDEST_VIEW and any(is_reverted(case, entry) for entry in case.status.in_flight):
        return close(case, attempt, Ending(Outcome.FAILED, REVERTED))
    if attempt.phase is AttemptPhase.VERIFYING:
        return verify(case, attempt)
    return _act_on(case, attempt, target)


def _begun_anew(case: Case, attempt: Attempt) -> Case:
    """Forget what was changed of the object that is gone, and what was tried on it: the name is not the object."""
    kept = tuple(change for change in case.status.changes if change.target.uid != attempt.workload.uid)
    return case.with_status(**sequence.START_OVER, changes=kept)


def _act_on(case: Case, attempt: Attempt, target: Workload | None) -> Move:
    """Go on to the next pod or object while there are any, within all limits; else wait until all have settled."""
    reason = job.failure(case, attempt)
    if reason:
        return _job_failed(case, attempt, reason)
    if case.now >= attempt.deadline:
        return begin_verification(case, attempt)
    following = _following(case, attempt)
    if isinstance(following, Plan):
        return add(case, attempt, following)
    if _is_all_restored(following) and case.status.changes:
        return undo.forget(case, *(change.id for change in case.status.changes))
    if target and _have_settled(case, attempt) and not _is_held(attempt, following):
        return begin_verification(case, attempt)
    if isinstance(following, Block) and following.reason not in PACING:
        return Move(blocked(case, following))
    return Move(case.status.model_copy(update={"blocked": None, "retry_at": None}))


def _is_all_restored(following: Plan | Block | None) -> bool:
    """Whether nothing is left that could be put back: what is still on record is another writer's."""
    return isinstance(following, Block) and following.reason == BlockReason.NOTHING_TO_RESTORE


def _job_failed(case: Case, attempt: Attempt, reason: str) -> Move:
    """Go on to the next step at once, unless the trigger is quiet all the same."""
    if of_attempt(case, attempt.trigger).state is SignalState.QUIET:
        return begin_verification(case, attempt)
    return close(case, attempt, Ending(Outcome.FAILED, reason))


def _is_held(attempt: Attempt, following: Plan | Block | None) -> bool:
    """Whether a drain has pods left that it may not evict now."""
    is_left = isinstance(following, Block) and following.reason != BlockReason.NO_FAILING_PODS
    return attempt.name == "drain" and is_left


def _following(case: Case, attempt: Attempt) -> Plan | Block | None:
    """Plan the next pod or object while the trigger still fires; None for steps that act once.

    Of a step's own targets each is settled before the next is touched.
    """
    step = _step(case, attempt)
    signal = of_attempt(case, attempt.trigger)
    if step is None or not (signal.state is SignalState.FIRING or attempt.requested_by):
        return None
    if not (step.name in SEVERAL or (step.targets and _have_settled(case, attempt))) or _is_full(case):
        return None
    return permitted(TO_GO_ON, case, signal, plan(case, step, signal))


def _is_full(case: Case) -> bool:
    """Whether the record holds no more actions than these and what may take their changes back."""
    return len(case.status.in_flight) >= MOST_ACTIONS


def _step(case: Case, attempt: Attempt) -> Step | None:
    """Find the attempt's step; None when the spec was edited and has another in its place."""
    steps = case.spec.steps
    known = steps[attempt.step] if attempt.step < len(steps) else None
    return known if known and known.name == attempt.name else None


def _have_settled(case: Case, attempt: Attempt) -> bool:
    """Whether all that was acted on is as the step meant it to be, all its pods serving."""
    for entry in case.status.in_flight:
        workload = workload_of(case, entry)
        if workload is None or not actions.has_settled(case, workload, entry):
            return False
    if all(entry.action in _AT_ONCE for entry in case.status.in_flight):
        return job.is_complete(case)
    return all(_has_settled(attempt, entries_of(case, one), one) for one in written(case))


def _has_settled(attempt: Attempt, entries: tuple[InFlight, ...], target: Workload) -> bool:
    if any(entry.action is ActionName.EVICT_POD for entry in entries):
        return availability.in_treatment(target, entries, attempt.started_at) == 0
    return not target.is_rolling_out and availability.unavailable(target, ()) == 0
