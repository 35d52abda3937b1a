"""Being the one writer of a target: for as long as an attempt that acted is open, and no longer (R11)."""

from datetime import timedelta

from homeostat.core.action import Action
from homeostat.core.cluster import Lock, Workload
from homeostat.core.recovery.seen import Case
from homeostat.core.recovery.steps import actions
from homeostat.core.recovery.steps.handling import in_view
from homeostat.core.recovery.targets.subject import lock_of, written

RENEW_BEFORE = timedelta(seconds=30)
"""Our lock is renewed when less than this is left of it."""


def lock_upkeep(case: Case) -> tuple[Action, ...]:
    """R11: stay the one writer while an attempt that acted is open, and stop being it afterwards."""
    attempt = case.status.attempt
    if attempt is None:
        return tuple(action for one in in_view(case) for action in _let_go(case, one))
    if not actions.done(case.status.in_flight):
        return ()
    return tuple(action for one in written(case) for action in _kept(case, attempt.id, one))


def _let_go(case: Case, target: Workload) -> tuple[Action, ...]:
    lock = lock_of(case, target)
    is_ours = lock is not None and lock.holder.uid == case.seen.ref.uid
    return _unanswered(case, actions.release(case, target)) if is_ours else ()


def _kept(case: Case, attempt: str, target: Workload) -> tuple[Action, ...]:
    lock = lock_of(case, target)
    if lock and _holds(case, lock, is_ours=lock.holder.uid == case.seen.ref.uid):
        return ()
    return _unanswered(case, actions.renewal(case, target, attempt))


def _holds(case: Case, lock: Lock, *, is_ours: bool) -> bool:
    """Whether a lock is good for a while, ours or another's."""
    return lock.until > case.now + (RENEW_BEFORE if is_ours else timedelta(0))


def _unanswered(case: Case, action: Action) -> tuple[Action, ...]:
    """Ask once; whatever the answer was, the next look asks again if need be."""
    return () if action.id in case.seen.outcomes else (action,)
