"""From an intent on record to the actions that carry it out, and back: whether the world shows that it happened.

All ids follow from the record, so that whoever repeats an action after a kill repeats the same action (R2).
"""

from collections.abc import Iterable

from homeostat.api.recovery_attempt import ActionName, InFlight, TargetPhase
from homeostat.core.action import Action, ReleaseLock, TakeLock, TakeToken
from homeostat.core.cluster import Workload
from homeostat.core.recovery.seen import Case
from homeostat.core.recovery.steps.evicting import EVICTING
from homeostat.core.recovery.steps.handling import MARKER, Handling
from homeostat.core.recovery.steps.job import RUNNING_JOB
from homeostat.core.recovery.steps.nodes import CORDONING
from homeostat.core.recovery.steps.patching import PATCHING
from homeostat.core.recovery.steps.resizing import RESIZING
from homeostat.core.recovery.steps.restarting import RESTARTING
from homeostat.core.recovery.steps.rollback import UNDOING_ROLLOUT
from homeostat.core.recovery.steps.scaling import SCALING
from homeostat.core.recovery.steps.webhook import CALLING
from homeostat.core.recovery.steps.wording import title

__all__ = ["HANDLINGS", "MARKER", "title"]

LOCK_SECONDS = 60
"""How long a lock lasts without renewal: many times the longest pause between two looks at an open attempt."""

HANDLINGS: dict[ActionName, Handling] = {
    ActionName.EVICT_POD: EVICTING,
    ActionName.RESTART_ROLLOUT: RESTARTING,
    ActionName.SCALE: SCALING,
    ActionName.UNDO_ROLLOUT: UNDOING_ROLLOUT,
    ActionName.PATCH: PATCHING,
    ActionName.RESIZE_POD: RESIZING,
    ActionName.CORDON: CORDONING,
    ActionName.RUN_JOB: RUNNING_JOB,
    ActionName.CALL_WEBHOOK: CALLING,
}
"""The handling of each kind of action: a new one adds a line."""


def lock_id(entry: InFlight) -> str:
    """Name the taking of the lock for an action."""
    return f"{entry.id}-lock"


def token_id(entry: InFlight) -> str:
    """Name the taking of a cluster-wide token for an action."""
    return f"{entry.id}-token"


def carrying_out(case: Case, target: Workload, entry: InFlight) -> tuple[Action, ...]:
    """Give what carries out an intent, in order: become the one writer, pay, act."""
    take_lock = TakeLock(lock_id(entry), target.ref, case.seen.ref, LOCK_SECONDS)
    act = HANDLINGS[entry.action].act(case, target, entry)
    if entry.has_token or entry.undoes:
        return (take_lock, act)
    return (take_lock, TakeToken(token_id(entry)), act)


def leaves_a_trace(entry: InFlight) -> bool:
    """Whether the world can show that an action took effect."""
    return HANDLINGS[entry.action].leaves_a_trace


def renewal(case: Case, target: Workload, attempt_id: str) -> TakeLock:
    """Stay the one writer of the target."""
    return TakeLock(f"{attempt_id}-renew-{target.ref.uid}", target.ref, case.seen.ref, LOCK_SECONDS)


def release(case: Case, target: Workload) -> ReleaseLock:
    """Give up being the one writer of the target."""
    return ReleaseLock(f"{case.seen.ref.uid}-release-{target.ref.uid}", target.ref, case.seen.ref)


def has_happened(case: Case, target: Workload, entry: InFlight) -> bool:
    """Whether the world shows that the action took effect."""
    return HANDLINGS[entry.action].has_happened(case, target, entry)


def is_untouched(case: Case, target: Workload, entry: InFlight) -> bool:
    """Whether what the action is to change still is as the intent found it (R8)."""
    return HANDLINGS[entry.action].is_untouched(case, target, entry)


def has_settled(case: Case, target: Workload, entry: InFlight) -> bool:
    """Whether the action's object is as it was meant to be, as far as the workload's pods do not tell it."""
    return HANDLINGS[entry.action].has_settled(case, target, entry)


def version(case: Case, target: Workload, entry: InFlight) -> str:
    """Give the version of the action's object that is seen now."""
    return HANDLINGS[entry.action].version(case, target, entry)


def is_reversible(action: ActionName) -> bool:
    """Whether what the action does can be put back."""
    return HANDLINGS[action].is_reversible


def done(entries: Iterable[InFlight]) -> tuple[InFlight, ...]:
    """Give the actions that are known to have happened."""
    return tuple(entry for entry in entries if entry.phase is TargetPhase.DONE)
