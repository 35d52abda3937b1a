"""rolloutUndo: back to the revision before this one; taken back, to the one that was left.

A revision counts as earlier only when it also was made earlier. Kubernetes gives a revision that it comes back to a
new number: by numbers alone, undoing twice would lead forward again, to the revision that was left as bad.
"""

from datetime import datetime, timedelta

from homeostat.api.recovery_attempt import ActionName, InFlight
from homeostat.api.recovery_status import Signal
from homeostat.api.recovery_step import RolloutUndo
from homeostat.core.action import UndoRollout
from homeostat.core.cluster import Revision, Workload
from homeostat.core.recovery.reasons import Block, BlockReason
from homeostat.core.recovery.seen import Case
from homeostat.core.recovery.steps.handling import Handling, is_marked, is_ours, marker_of_write
from homeostat.core.recovery.steps.planned import Ask, Plan, on_workload

UNKNOWN_REVISION = Block(BlockReason.ROLLOUT_IN_PROGRESS, "It is not known yet which revision of the target runs.")
NO_EARLIER = Block(BlockReason.NO_EARLIER_REVISION, "The target has no earlier revision to go back to.")


def plan_rollout_undo(ask: Ask) -> Plan | Block:
    """Plan to go back one revision, if the present one may be the cause."""
    known = ask.case.seen.revisions.get(ask.target.ref.uid, ())
    if len(known) < 2:  # noqa: PLR2004 - one to leave and one to go to
        return NO_EARLIER
    now = current(ask.case, ask.target)
    if now is None:
        return UNKNOWN_REVISION
    block = _not_the_cause(now, ask.step.rollout_undo or RolloutUndo(), ask.signal)
    before = _earlier(known, now)
    if block or before is None:
        return block or NO_EARLIER
    return on_workload(ask, ActionName.UNDO_ROLLOUT, {"revision": now.name}, {"revision": before.name})


def current(case: Case, workload: Workload) -> Revision | None:
    """Find the revision whose template the workload has now."""
    known = case.seen.revisions.get(workload.ref.uid, ())
    return next((one for one in known if one.is_current), None)


def undoes_the_rollout(case: Case, plan: Plan, signal: Signal) -> bool:
    """Whether a plan ends the very rollout that is under way, which then must not hold it (R12).

    It does when the rollout is stuck, for then nothing else will end it; and when the trigger began to fire after the
    revision that is rolled out was made, for then that revision is what is to be undone. A rollout that began while
    the trigger fired already is somebody's remedy: it is waited for. To put back a change of our own ends a stuck
    rollout too, for that change made it.
    """
    if plan.workload.is_stuck and plan.undoes:
        return True
    if plan.action is not ActionName.UNDO_ROLLOUT:
        return False
    now = current(case, plan.workload)
    return plan.workload.is_stuck or (now is not None and now.created_at <= signal.since)


def _earlier(known: tuple[Revision, ...], now: Revision) -> Revision | None:
    """Find the newest revision before `now`, by number and by the time it was made."""
    before = (one for one in known if one.number < now.number and one.created_at <= now.created_at)
    return max(before, key=lambda one: one.number, default=None)


def _not_the_cause(now: Revision, step: RolloutUndo, signal: Signal) -> Block | None:
    """Refuse to undo what cannot be the cause: made too long before the trigger began to fire, or only after that."""
    within = step.changed_within
    if within is None or _is_between(now.created_at, signal.since - within, signal.since):
        return None
    message = "The present revision was not made within changedWithin before the trigger began to fire."
    return Block(BlockReason.NOT_THE_CAUSE, message)


def _is_between(time: datetime, first: datetime, last: datetime) -> bool:
    """Compare to the second, as Kubernetes dates its objects."""
    return first - timedelta(seconds=1) < time <= last


def _act(case: Case, workload: Workload, entry: InFlight) -> UndoRollout:
    return UndoRollout(
        entry.id, workload.ref, entry.resource_version, _revision(entry.desired), marker_of_write(case, entry)
    )


def _has_happened(case: Case, workload: Workload, entry: InFlight) -> bool:
    """Go by the marker; an undo leaves none, so there it also takes the revision."""
    is_back = not entry.undoes or _stands(case, workload, entry.desired)
    return is_back and is_marked(case, workload, entry)


def _is_untouched(case: Case, workload: Workload, entry: InFlight) -> bool:
    return _stands(case, workload, entry.original) and is_ours(workload, entry)


def _stands(case: Case, workload: Workload, value: dict[str, object] | None) -> bool:
    now = current(case, workload)
    return now is not None and now.name == _revision(value)


def _revision(value: dict[str, object] | None) -> str:
    return str((value or {}).get("revision", ""))


UNDOING_ROLLOUT = Handling(_act, _has_happened, _is_untouched, is_reversible=True)
