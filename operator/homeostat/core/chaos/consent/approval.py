"""A plan that awaits approval, and the yes and no of humans to it (R13, ADR 0031).

An approval names a hash: of the experiment, its generation and run, each target's incarnation, what is done and what
would be put back, and the moment of asking. What is asked for anew has another hash, so that nothing is approved
beforehand, or twice. The plan is drawn again just before the fault: another plan is another question.
"""

import json
from datetime import timedelta
from hashlib import sha256

from homeostat.api.chaos import Approval
from homeostat.api.chaos_status import PlanApproval, TargetRecord
from homeostat.core.chaos.faults.draft import Draft
from homeostat.core.chaos.limits.gates import Refusal
from homeostat.core.chaos.reasons import ChaosReason
from homeostat.core.chaos.seen import ApprovalSeen, Case
from homeostat.core.decision import Event, EventType
from homeostat.core.recovery.consent.asker import NOT_VERIFIED

LASTS = timedelta(hours=1)
"""How long a plan awaits approval, and an approval of it holds."""
LENGTH = 16  # hexadecimal digits


def is_needed(case: Case) -> bool:
    """Whether a human must agree before anything is touched."""
    return case.spec.approval is Approval.REQUIRED and not case.spec.dry_run


def asked(case: Case, draft: Draft) -> tuple[Case, tuple[Event, ...]]:
    """Ask for this plan, unless it is the one that is asked for already."""
    approval = case.status.approval
    if approval is not None and approval.hash == _hash(case, draft, approval):
        return case, ()
    unnamed = PlanApproval(hash="", since=case.now, expires_at=case.now + LASTS)
    approval = unnamed.model_copy(update={"hash": _hash(case, draft, unnamed)})
    ref, what = case.seen.ref, "; ".join(draft.plan.changes)[:640]
    command = f"homeostat approve -n {ref.namespace} chaos/{ref.name} --plan {approval.hash}"
    event = Event("AwaitingApproval", f"{what}. It awaits approval: {command}", EventType.WARNING, "Approve")
    return case.with_status(approval=approval, plan=draft.plan), (event,)


def is_same_plan(case: Case, draft: Draft) -> bool:
    """Whether this plan is the one that was approved."""
    approval = case.status.approval
    return approval is not None and bool(approval.by) and approval.hash == _hash(case, draft, approval)


def heard(case: Case) -> tuple[Case, tuple[Event, ...]]:
    """Take the approval of the plan that is asked for; say of any other, once, why it does not count."""
    approval = case.status.approval
    if approval is None or approval.by:
        return case, ()
    yes = [one for one in case.seen.approvals if not one.is_no]
    counts = next((one for one in yes if one.hash == approval.hash), None)
    if counts is not None:
        by = _named(case, counts)
        event = Event("Approved", f"{by} approved the plan {approval.hash}.", action="Approve")
        return case.with_status(approval=approval.model_copy(update={"by": by, "refused": ""})), (event,)
    if not yes:
        return case, ()
    refused = f"{_named(case, yes[0])} approved {yes[0].hash[:LENGTH]}, which is not the plan that awaits approval"
    if approval.refused == refused:
        return case, ()
    event = Event("ApprovalRefused", f"{refused}.", EventType.WARNING, "Approve")
    return case.with_status(approval=approval.model_copy(update={"refused": refused})), (event,)


def refusal(case: Case) -> Refusal | None:
    """Give what ends the run here: somebody said no to its plan, or nobody said yes in time."""
    approval = case.status.approval
    if approval is None:
        return None
    for one in case.seen.approvals:
        if one.is_no and one.hash == approval.hash:
            return Refusal(ChaosReason.REJECTED, f"{_named(case, one)} rejected the plan {approval.hash}")
    if case.now >= approval.expires_at:
        what = "the approval of the plan" if approval.by else "the plan, which nobody approved,"
        return Refusal(ChaosReason.APPROVAL_EXPIRED, f"{what} has expired")
    return None


def _named(case: Case, one: ApprovalSeen) -> str:
    by = one.by or "somebody"
    is_marked = case.seen.is_name_vouched or by.endswith(NOT_VERIFIED)
    return (by if is_marked else f"{by}{NOT_VERIFIED}")[:253]


def _hash(case: Case, draft: Draft, approval: PlanApproval) -> str:
    named = {
        "experiment": case.seen.ref.uid,
        "generation": case.seen.generation,
        "run": case.status.run_number,
        "since": approval.since.isoformat(),
        "targets": [_target(record) for record in draft.targets],
        "changes": draft.plan.changes,
        "duration": case.spec.duration.total_seconds(),
    }
    return sha256(json.dumps(named, sort_keys=True).encode()).hexdigest()[:LENGTH]


def _target(record: TargetRecord) -> list[object]:
    return [record.kind, record.namespace, record.name, record.uid, record.workload.uid, record.original, record.to]
