"""What a move came to, on record: status.decision, of which the log and the store have a copy.

The record changes only when what was decided does: a policy that is refused for the same reason for an hour has one
record of it, with the time at which it was first so. It is named after `attempt_seed`: an attempt bears the name of
the decision that began it.
"""

from dataclasses import replace

from homeostat.api.recovery_attempt import Outcome
from homeostat.api.recovery_decision import DecisionRecord, PlanState, Verdict
from homeostat.api.recovery_status import RecoveryPolicyStatus, Signal, SignalState
from homeostat.core.recovery.attempt.sequence import step_at
from homeostat.core.recovery.gates.explanation import GateAnswer, explain
from homeostat.core.recovery.reasons import Block, BlockReason
from homeostat.core.recovery.seen import Case, Move
from homeostat.core.recovery.steps import actions
from homeostat.core.recovery.steps.plan import Plan, plan
from homeostat.core.recovery.telling.blocking import LONGEST_MESSAGE

LONGEST_PLAN = 512


def on_record(case: Case, signal: Signal, move: Move) -> Move:
    """Put on record what a move of `case` came to, where that is another thing than before."""
    verdict = _verdict(case.status, move.status, signal)
    if verdict is None or _is_rest_of_known(move.status):
        return move
    fresh, known = _record(case, signal, move.status, verdict), case.status.decision
    if known and _key(known) == _key(fresh):
        return move
    return replace(move, status=move.status.model_copy(update={"decision": fresh}))


def due_plan(case: Case, signal: Signal) -> Plan | Block | None:
    """Plan what is due because of a signal; None when it is that a human is told."""
    step = step_at(case.spec, case.status.next_step)
    return None if step.escalate else plan(case, step, signal)


def _verdict(before: RecoveryPolicyStatus, after: RecoveryPolicyStatus, signal: Signal) -> Verdict | None:
    """Read from the memory what was decided; None when nothing was: an attempt ended, or a step was passed over."""
    if after.blocked:
        return Verdict.REFUSE
    if after.attempt:
        return Verdict.ACT
    if after.escalated and after.escalated != before.escalated:
        return Verdict.ESCALATE
    if after.last and after.last != before.last:
        return Verdict.WOULD_ACT if after.last[0].outcome is Outcome.WOULD_DO else None
    if after.plan and after.plan.state is not PlanState.REJECTED:
        return Verdict.SUGGEST if after.plan.state is PlanState.SUGGESTED else Verdict.AWAIT_APPROVAL
    return Verdict.WAIT if signal.state is SignalState.FIRING and before.attempt is None else None


def _is_rest_of_known(after: RecoveryPolicyStatus) -> bool:
    """Whether this is the rest that the decision on record brought with itself: no decision of its own."""
    known, blocked = after.decision, after.blocked
    if known is None or blocked is None or blocked.reason != BlockReason.COOLING_DOWN:
        return False
    return known.verdict is not Verdict.REFUSE and blocked.since <= known.at


def _record(case: Case, signal: Signal, after: RecoveryPolicyStatus, verdict: Verdict) -> DecisionRecord:
    attempt, index = after.attempt or case.status.attempt, min(case.status.next_step, len(case.spec.steps))
    planned = None if case.status.attempt else due_plan(case, signal)
    refusal = _refusal(case, signal, planned, after) if after.blocked else GateAnswer("", passed=True)
    return DecisionRecord(
        id=case.seen.attempt_seed,
        at=case.now,
        trigger=signal.trigger,
        step=attempt.step if attempt else index,
        name=attempt.name if attempt else step_at(case.spec, index).name,
        target=_target(case),
        verdict=verdict,
        does=_does(planned, after, verdict),
        gate=refusal.name,
        reason=refusal.reason,
        message=refusal.message[:LONGEST_MESSAGE],
        overridden=attempt.overridden if attempt else (),
    )


def _refusal(case: Case, signal: Signal, planned: Plan | Block | None, after: RecoveryPolicyStatus) -> GateAnswer:
    """Find the gate behind a refusal; what the API server refused was let through by all of them."""
    blocked = after.blocked
    if blocked is None:
        return GateAnswer("", passed=True)
    answers = explain(case, signal, planned)
    gate = next((answer.name for answer in answers if answer.reason == blocked.reason), "")
    return GateAnswer(gate, False, blocked.reason, blocked.message, blocked.until)


def _does(planned: Plan | Block | None, after: RecoveryPolicyStatus, verdict: Verdict) -> str:
    if verdict is Verdict.ESCALATE and after.escalated:
        return f"tell a human: {after.escalated.summary}"[:LONGEST_PLAN]
    if verdict is Verdict.ACT and after.in_flight:
        return actions.title(after.in_flight[0])[:LONGEST_PLAN]
    return planned.title[:LONGEST_PLAN] if isinstance(planned, Plan) else ""


def _target(case: Case) -> str:
    """Name the target in short: the one in focus of a policy with a selector."""
    seen, wanted = case.seen.target, case.spec.target
    return f"{seen.ref.kind}/{seen.ref.name}" if seen else f"{wanted.kind.value}/{wanted.name or '*'}"


def _key(record: DecisionRecord) -> tuple[object, ...]:
    """Give what makes a decision another one."""
    return record.verdict, record.gate, record.reason, record.step, record.trigger, record.target
