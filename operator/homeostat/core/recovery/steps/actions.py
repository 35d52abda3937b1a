"""From an intent on record to the actions that carry it out, and back: whether the world shows that it happened.

All ids follow from the record, so that whoever repeats an action after a kill repeats the same action (R2).
"""

from collections.abc import Iterable

from homeostat.api.recovery_status import ActionName, InFlight, TargetPhase
from homeostat.core.cluster import Workload
from homeostat.core.decision import Action, EvictPod, Ref, ReleaseLock, RestartRollout, Scale, TakeLock, TakeToken
from homeostat.core.recovery.seen import Case

MARKER = "homeostat.dev/attempt"
"""Annotation on a workload: the id of the last Scale of ours that stands on it."""

LOCK_SECONDS = 60
"""How long a lock lasts without renewal: many times the longest pause between two looks at an open attempt."""


def lock_id(entry: InFlight) -> str:
    """Name the taking of the lock for an action."""
    return f"{entry.id}-lock"


def token_id(entry: InFlight) -> str:
    """Name the taking of a cluster-wide token for an action."""
    return f"{entry.id}-token"


def carrying_out(case: Case, target: Workload, entry: InFlight) -> tuple[Action, ...]:
    """Give what carries out an intent, in order: become the one writer, pay, act."""
    take_lock = TakeLock(lock_id(entry), target.ref, case.seen.ref, LOCK_SECONDS)
    act = _act(target, entry)
    if entry.has_token or entry.action is ActionName.UNDO_SCALE:
        return (take_lock, act)
    return (take_lock, TakeToken(token_id(entry)), act)


def renewal(case: Case, target: Workload, attempt_id: str) -> TakeLock:
    """Stay the one writer of the target."""
    return TakeLock(f"{attempt_id}-renew", target.ref, case.seen.ref, LOCK_SECONDS)


def release(case: Case, target: Workload) -> ReleaseLock:
    """Give up being the one writer of the target."""
    return ReleaseLock(f"{case.seen.ref.uid}-release", target.ref, case.seen.ref)


def has_happened(target: Workload, entry: InFlight) -> bool:
    """Whether the target shows that the action took effect."""
    if entry.action is ActionName.EVICT_POD:
        return all(pod.ref.uid != entry.target.uid or pod.is_terminating for pod in target.pods)
    if entry.action is ActionName.RESTART_ROLLOUT:
        return target.restart_id == entry.id
    if entry.action is ActionName.SCALE:
        return _marker(target) == entry.id
    return target.replicas == entry.original and not _marker(target)


def is_untouched(target: Workload, entry: InFlight) -> bool:
    """Whether the target still is as the intent found it: nobody else has written the same field since (R8)."""
    if entry.action is ActionName.SCALE:
        return target.replicas == entry.original
    if entry.action is ActionName.UNDO_SCALE:
        return target.replicas == entry.desired and _marker(target) == scaled_by(entry)
    return True


def undo_of(entry: InFlight) -> str:
    """Name the action that takes back another."""
    return f"{entry.id}-undo"


def scaled_by(undo: InFlight) -> str:
    """Name the action that an undo takes back."""
    return undo.id.removesuffix("-undo")


def done(entries: Iterable[InFlight]) -> tuple[InFlight, ...]:
    """Give the actions that are known to have happened."""
    return tuple(entry for entry in entries if entry.phase is TargetPhase.DONE)


def title(entry: InFlight) -> str:
    """Say in short what an action does: `EvictPod checkout-1`, `Scale checkout from 2 to 3`."""
    scaling = f" from {entry.original} to {entry.desired}" if entry.action is ActionName.SCALE else ""
    return f"{entry.action.value} {entry.target.name}{scaling}"


def _act(target: Workload, entry: InFlight) -> Action:
    if entry.action is ActionName.EVICT_POD:
        pod = Ref(entry.target.kind, target.ref.namespace, entry.target.name, entry.target.uid)
        return EvictPod(entry.id, pod)
    if entry.action is ActionName.RESTART_ROLLOUT:
        return RestartRollout(entry.id, target.ref, entry.resource_version)
    if entry.action is ActionName.SCALE:
        return Scale(entry.id, target.ref, entry.resource_version, entry.desired or 0, {MARKER: entry.id})
    return Scale(entry.id, target.ref, entry.resource_version, entry.original or 0, {MARKER: None})


def _marker(target: Workload) -> str:
    return dict(target.annotations).get(MARKER, "")
