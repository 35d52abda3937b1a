"""A plan and a human: shown (Suggest), or shown and carried out once a human has approved this very plan (R13).

An approval is for one attempt: what is asked for later, even of the same plan, is asked for under another hash. All
gates are passed again when the plan is carried out; an approval given before holds them off as little as none.
"""

from homeostat.api.recovery import Mode, RecoveryPolicySpec
from homeostat.api.recovery_attempt import AttemptRecord, Outcome
from homeostat.api.recovery_decision import PlanState, PlanStatus
from homeostat.api.recovery_status import RecoveryPolicyStatus, Signal
from homeostat.api.recovery_step import Approval, Step
from homeostat.core.decision import Event, EventType
from homeostat.core.recovery.attempt.intent import begin
from homeostat.core.recovery.attempt.record import remembered
from homeostat.core.recovery.consent.asker import asker, is_vouched_for
from homeostat.core.recovery.consent.plan_hash import plan_hash
from homeostat.core.recovery.consent.whole import listed, whole
from homeostat.core.recovery.seen import Case, Move
from homeostat.core.recovery.signals import ground
from homeostat.core.recovery.steps.plan import Plan, object_id

Plans = tuple[Plan, ...]
LONGEST_REFUSED = 64

_WHY = {
    "Expired": "it came after the plan had expired",
    "PlanChanged": "the plan has changed since it was shown",
    "OtherPlan": "it names another plan than the one that awaits approval",
    "NotAwaited": "no plan awaits approval",
}


def needs_consent(spec: RecoveryPolicySpec, step: Step) -> bool:
    """Whether a human must be asked, or told, before this step."""
    return spec.mode in {Mode.SUGGEST, Mode.APPROVE} or step.approval is Approval.REQUIRED


def ask(case: Case, step: Step, signal: Signal, planned: Plan) -> Move:
    """Show the plan, keep it shown, or carry it out: it has passed all gates just now."""
    plans = whole(case, step, signal, planned)
    plan = _standing(case, plans)
    if plan is None:
        return _show(case, step, signal, plans)
    if plan.state is PlanState.AWAITING_APPROVAL and case.seen.requests.approve == plan.hash:
        return _carry_out(case, step, signal, planned, plan)
    return Move(case.with_status(blocked=None).status)


def refuse_approval(case: Case) -> Move | None:
    """Answer an approval that approves nothing, once; None where there is none."""
    plan, asked = case.status.plan, case.seen.requests.approve[:LONGEST_REFUSED]
    if plan is None or asked in {"", plan.refused}:
        return None
    why = _why_not(case, plan, asked)
    if not why:
        return None
    refused = plan.model_copy(update={"refused": asked, "why_refused": why})
    return Move(case.with_status(plan=refused).status, events=(_refusal(case, why),))


def reject(case: Case) -> Move | None:
    """Take a no: the policy rests, and asks again only once the trigger has been quiet and fires anew."""
    plan, requests = case.status.plan, case.seen.requests
    if plan is None or plan.state not in _OPEN or requests.reject != plan.hash:
        return None
    by = asker(requests)
    said_no = plan.model_copy(update={"state": PlanState.REJECTED, "by": by, "is_verified": is_vouched_for(requests)})
    entry = _record(case, plan, Outcome.NOT_STARTED, "Rejected")
    status = remembered(case.status, entry).model_copy(
        update={
            "plan": said_no,
            "rejected": f"{by} rejected the plan {plan.hash}",
            "cooldown_until": case.now + case.spec.limits.cooldown,
        }
    )
    note = f"{by} rejected the plan {plan.hash} of step {plan.step} ({plan.name})."
    return Move(status, events=(Event("Rejected", note, action="Approve"),))


# --- a plan ---------------------------------------------------------------------------------------------

_OPEN = frozenset({PlanState.SUGGESTED, PlanState.AWAITING_APPROVAL})


def _standing(case: Case, plans: Plans) -> PlanStatus | None:
    """Give the plan that is shown, if it still is the one that would be carried out."""
    plan, number = case.status.plan, case.status.next_step
    if plan is None or plan.state is not _state(case) or case.now >= plan.expires_at:
        return None
    return plan if plan.hash == plan_hash(case, number, plans, plan.created_at) else None


def _state(case: Case) -> PlanState:
    return PlanState.SUGGESTED if case.spec.mode is Mode.SUGGEST else PlanState.AWAITING_APPROVAL


def _show(case: Case, step: Step, signal: Signal, plans: Plans) -> Move:
    """Show a plan in the place of the one before; an approval of that one is refused, and why is told."""
    number = case.status.next_step
    refused, why, told = _overtaken(case)
    plan = PlanStatus(
        hash=plan_hash(case, number, plans, case.now),
        step=number,
        name=step.name,
        trigger=signal.trigger,
        target=object_id(plans[0].workload.ref),
        does=listed(plans),
        state=_state(case),
        created_at=case.now,
        expires_at=case.now + case.spec.approvals.expire_after,
        refused=refused,
        why_refused=why,
    )
    shown = case.with_status(plan=plan, blocked=None)
    return Move(_noted(shown, case.status.plan, plan), events=(*told, *_telling(case, plan)))


def _noted(case: Case, before: PlanStatus | None, plan: PlanStatus) -> RecoveryPolicyStatus:
    """Put a suggestion on record, once for as long as the trigger fires."""
    if plan.state is not PlanState.SUGGESTED or before is not None:
        return case.status
    return remembered(case.status, _record(case, plan, Outcome.SUGGESTED))


def _telling(case: Case, plan: PlanStatus) -> tuple[Event, ...]:
    """Ask anew under each new hash; what is only suggested is told again only when something else is."""
    before, what = case.status.plan, f"Step {plan.step} ({plan.name}): {'; '.join(plan.does)}"[:640]
    why = ground(case, plan.trigger)
    if plan.state is PlanState.AWAITING_APPROVAL:
        ref = case.seen.ref
        command = f"homeostat approve -n {ref.namespace} rp/{ref.name} --plan {plan.hash}"
        note = f"{what}, because {why}. It awaits approval: {command}"
        return (Event("AwaitingApproval", note, EventType.WARNING, "Approve"),)
    if before is not None and before.does == plan.does:
        return ()
    return (Event("Suggested", f"{what}, because {why}. Plan {plan.hash}.", EventType.WARNING, "Approve"),)


def _carry_out(case: Case, step: Step, signal: Signal, planned: Plan, plan: PlanStatus) -> Move:
    by, is_verified = asker(case.seen.requests), is_vouched_for(case.seen.requests)
    approved = plan.model_copy(update={"state": PlanState.APPROVED, "by": by, "is_verified": is_verified})
    move = begin(case.with_status(plan=approved), step, signal, planned)
    attempt = move.status.attempt and move.status.attempt.model_copy(update={"approved_by": by})
    note = f"{by} approved the plan {plan.hash} of step {plan.step} ({plan.name})."
    events = (Event("Approved", note, action="Approve"), *move.events)
    return Move(move.status.model_copy(update={"attempt": attempt}), move.actions, events)


# --- refusals -------------------------------------------------------------------------------------------


def _overtaken(case: Case) -> tuple[str, str, tuple[Event, ...]]:
    """Say what becomes of an approval that stands there when a plan is shown: it cannot be meant for this one."""
    plan, asked = case.status.plan, case.seen.requests.approve
    if plan is None or not asked or asked != plan.hash or plan.state is not PlanState.AWAITING_APPROVAL:
        return asked[:LONGEST_REFUSED], "OtherPlan" if asked else "", ()
    why = "Expired" if case.now >= plan.expires_at else "PlanChanged"
    is_told = plan.refused == asked
    return asked, why, () if is_told else (_refusal(case, why),)


def _why_not(case: Case, plan: PlanStatus, asked: str) -> str:
    if plan.hash == asked and plan.state is PlanState.AWAITING_APPROVAL:
        return "Expired" if case.now >= plan.expires_at else ""
    if plan.hash == asked and plan.state is PlanState.APPROVED:
        return ""
    return "OtherPlan" if plan.state is PlanState.AWAITING_APPROVAL else "NotAwaited"


def _refusal(case: Case, why: str) -> Event:
    note = f"The approval of {asker(case.seen.requests)} is refused: {_WHY[why]}."
    return Event("ApprovalRefused", note, EventType.WARNING, "Approve")


def _record(case: Case, plan: PlanStatus, outcome: Outcome, reason: str = "") -> AttemptRecord:
    """Record what was shown, and what became of it: nothing was done."""
    return AttemptRecord(
        id=f"{case.seen.attempt_seed}-plan",
        step=plan.step,
        name=plan.name,
        trigger=plan.trigger,
        targets=plan.does[:10],
        detected_at=next((one.since for one in case.status.signals if one.trigger == plan.trigger), case.now),
        started_at=plan.created_at,
        ended_at=case.now,
        outcome=outcome,
        reason=reason,
    )
