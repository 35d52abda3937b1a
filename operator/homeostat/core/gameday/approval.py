"""A human's word before a step: asked for by a hash of what is meant, heard, or run out (R13)."""

import json
from datetime import timedelta
from hashlib import sha256

from homeostat.api.chaos import Approval
from homeostat.api.chaos_status import PlanApproval, Verdict
from homeostat.api.gameday_status import DayPhase
from homeostat.core.decision import Event
from homeostat.core.gameday.reasons import DayReason
from homeostat.core.gameday.seen import Case, Move
from homeostat.core.gameday.verdict import settled
from homeostat.core.recovery.consent.asker import NOT_VERIFIED

LASTS = timedelta(hours=24)
"""How long a step awaits approval, and an approval of it holds."""
LENGTH = 16  # hexadecimal digits


def is_needed(case: Case, place: int) -> bool:
    """Whether a human must agree to this step: the first by the day's own word, others by the gate before them."""
    word = case.spec.approval if place == 0 else case.spec.steps[place - 1].gate.approval
    return word is Approval.REQUIRED


def still_holds(case: Case, place: int) -> bool:
    """Whether the approval on record is for this very step of this very experiment, as it is now (R13)."""
    approval = case.status.approval
    return (
        approval is not None and bool(approval.by) and approval.hash == _hash(case, place, approval.since.isoformat())
    )


def awaited(case: Case, place: int) -> Move | None:
    """Ask for a human's word, and hear it; what was asked for anew has another name (R13)."""
    approval, record = case.status.approval, case.status.steps[place]
    if approval is None or approval.hash != _hash(case, place, approval.since.isoformat()):
        asked = PlanApproval(hash=_hash(case, place, case.now.isoformat()), since=case.now, expires_at=case.now + LASTS)
        command = f"homeostat approve -n {case.seen.ref.namespace} gd/{case.seen.ref.name} --plan {asked.hash}"
        message = f"Step {record.name} waits for: {command}"
        waiting = case.with_status(phase=DayPhase.AWAITING_APPROVAL, approval=asked)
        event = Event("AwaitingApproval", f"Step {record.name} awaits approval of {asked.hash}.", action="GameDay")
        return Move(waiting.noted(DayReason.AWAITING_APPROVAL, message).status, events=(event,))
    if approval.by:
        return None
    said = [one for one in case.seen.approvals if one.hash == approval.hash]
    if any(one.is_no for one in said):
        return Move(settled(case, Verdict.ABORTED, DayReason.REJECTED, f"Step {record.name} was rejected.").status)
    if case.now >= approval.expires_at:
        message = f"Nobody approved step {record.name} in time."
        return Move(settled(case, Verdict.ABORTED, DayReason.APPROVAL_EXPIRED, message).status)
    if not said:
        return Move(case.status)
    by = said[0].by or f"somebody{NOT_VERIFIED}"
    agreed = case.with_status(approval=approval.model_copy(update={"by": by[:253]}))
    event = Event("Approved", f"Step {record.name} was approved by {by[:253]}.", action="GameDay")
    return Move(agreed.status, events=(event,))


def _hash(case: Case, place: int, since: str) -> str:
    """Name what is approved: this step of this day, and the experiment as it is now."""
    record = case.status.steps[place]
    experiment = case.seen.experiments.get(record.experiment)
    named = {
        "day": [case.seen.ref.uid, case.status.run_generation, case.status.run_number],
        "step": [place, record.name],
        "experiment": [record.experiment, experiment.ref.uid, experiment.generation] if experiment else None,
        "since": since,
    }
    return sha256(json.dumps(named, sort_keys=True).encode()).hexdigest()[:LENGTH]
