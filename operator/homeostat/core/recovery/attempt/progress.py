"""The open attempt: learn what became of its actions, ask again or act on the next pod, then verify.

ACTING ─ all its pods replaced, rollout done, or time over ─▶ VERIFYING ─ quiet ─▶ Recovered
   └─ nothing got through in time ─▶ NotStarted                   └─ still firing ─▶ [UNDOING ─▶] Failed
"""

from homeostat.api.recovery_attempt import ActionName, Attempt, AttemptPhase, Outcome, TargetPhase
from homeostat.api.recovery_status import SignalState
from homeostat.api.recovery_step import Step
from homeostat.core.cluster import Workload
from homeostat.core.recovery.attempt.intent import add
from homeostat.core.recovery.attempt.pending import resolve
from homeostat.core.recovery.attempt.record import Ending, close
from homeostat.core.recovery.attempt.verification import begin_verification, verify
from homeostat.core.recovery.gates.chain import TO_GO_ON, permitted
from homeostat.core.recovery.reasons import Block, BlockReason
from homeostat.core.recovery.seen import Case, Move
from homeostat.core.recovery.signals import of_attempt
from homeostat.core.recovery.steps.plan import Plan, plan
from homeostat.core.recovery.targets import availability
from homeostat.core.recovery.telling.blocking import blocked

PACING = frozenset({BlockReason.IN_FLIGHT, BlockReason.NO_FAILING_PODS})
"""Between two pods of an attempt these are the ordinary course, not a refusal to tell of."""


def advance(case: Case, attempt: Attempt) -> Move:
    """Take the open attempt one move further; the same memory means there is nothing to do now."""
    target = case.seen.target
    if target is not None and target.ref.uid != attempt.workload.uid:
        return close(case, attempt, Ending(Outcome.UNVERIFIED, "TargetReplaced", helps_on=False))
    pending = next((entry for entry in case.status.in_flight if entry.phase is TargetPhase.INTENDED), None)
    if pending:
        return resolve(case, attempt, pending)
    if attempt.phase is AttemptPhase.UNDOING:
        return close(case, attempt, Ending(Outcome.FAILED, undone=True))
    if attempt.phase is AttemptPhase.VERIFYING:
        return verify(case, attempt)
    return _act_on(case, attempt, target)


def _act_on(case: Case, attempt: Attempt, target: Workload | None) -> Move:
    """Go on to the next pod while there are any, within all limits; else wait until the target has settled."""
    if case.now >= attempt.deadline:
        return begin_verification(case, attempt)
    following = _following(case, attempt)
    if isinstance(following, Plan):
        return add(case, attempt, following)
    if target and _has_settled(case, attempt, target):
        return begin_verification(case, attempt)
    if isinstance(following, Block) and following.reason not in PACING:
        return Move(blocked(case, following))
    return Move(case.status.model_copy(update={"blocked": None, "retry_at": None}))


def _following(case: Case, attempt: Attempt) -> Plan | Block | None:
    """Plan the next pod while the trigger still fires; None for steps that act once."""
    step = _step(case, attempt)
    signal = of_attempt(case, attempt.trigger)
    if step is None or not step.restart_pods or signal.state is not SignalState.FIRING:
        return None
    return permitted(TO_GO_ON, case, signal, plan(case, step, signal))


def _step(case: Case, attempt: Attempt) -> Step | None:
    """Find the attempt's step; None when the spec was edited and has another in its place."""
    steps = case.spec.steps
    known = steps[attempt.step] if attempt.step < len(steps) else None
    return known if known and known.name == attempt.name else None


def _has_settled(case: Case, attempt: Attempt, target: Workload) -> bool:
    """Whether the target is as the step meant it to be, all its pods serving."""
    entries = case.status.in_flight
    if any(entry.action is ActionName.EVICT_POD for entry in entries):
        return availability.in_treatment(target, entries, attempt.started_at) == 0
    return not target.is_rolling_out and availability.unavailable(target, ()) == 0
