"""What humans said to this very policy: pause, no, or yes to just these actions (R13)."""

from homeostat.core.recovery.consent.asker import asker
from homeostat.core.recovery.consent.whole import is_listed
from homeostat.core.recovery.gates.wish import Wish
from homeostat.core.recovery.reasons import Block, BlockReason
from homeostat.core.recovery.seen import Case
from homeostat.core.recovery.steps.plan import Plan

LONGEST_REASON = 256
_PAUSED_BY = "Paused by "


def paused(wish: Wish) -> Block | None:
    """Somebody paused the policy, until somebody resumes it."""
    return pause_of(wish.case)


def pause_of(case: Case) -> Block | None:
    """Say by whom the policy is paused: by whoever stood there when the pause was first seen.

    homeostat.dev/by names who asked last, be it for something else: an approval must not be taken for the pause.
    """
    requests, known = case.seen.requests, case.status.blocked
    if not requests.pause:
        return None
    why = requests.pause[:LONGEST_REASON]
    if known and known.reason == BlockReason.PAUSED and known.message.partition(": ")[2] == why:
        return Block(BlockReason.PAUSED, known.message)
    return Block(BlockReason.PAUSED, f"{_PAUSED_BY}{asker(requests)}: {why}")


def rejected(wish: Wish) -> Block | None:
    """A human said no: nothing is asked again before the trigger was quiet."""
    said_no = wish.case.status.rejected
    return Block(BlockReason.REJECTED, f"{said_no}.") if said_no else None


def beyond_approval(wish: Wish) -> Block | None:
    """R13: an approved attempt does what was approved and no more, whatever else begins to fail."""
    attempt, approved = wish.case.status.attempt, wish.case.status.plan
    if attempt is None or not attempt.approved_by or not isinstance(wish.plan, Plan):
        return None
    if approved is not None and is_listed(wish.plan.title, approved.does, len(wish.case.status.in_flight)):
        return None
    return Block(BlockReason.NOT_APPROVED, f"{wish.plan.title} was not part of the plan that was approved.")
