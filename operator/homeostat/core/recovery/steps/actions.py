"""From an intent on record to the actions that carry it out, and back: whether the world shows that it happened.

All ids follow from the record, so that whoever repeats an action after a kill repeats the same action (R2).
"""

from collections.abc import Iterable, Mapping
from typing import Any

from homeostat.api.recovery_attempt import ActionName, InFlight, TargetPhase
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
    if entry.has_token or entry.undoes:
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
    if entry.undoes:
        return target.replicas == replicas(entry.desired) and not _marker(target)
    return _marker(target) == entry.id


def is_untouched(target: Workload, entry: InFlight) -> bool:
    """Whether the target still is as the intent found it: nobody else has written the same field since (R8)."""
    if entry.action is not ActionName.SCALE:
        return True
    is_ours = not entry.undoes or _marker(target) == entry.undoes
    return target.replicas == replicas(entry.original) and is_ours


def replicas(value: Mapping[str, Any] | None) -> int:
    """Read what is on record of a Scale."""
    return int((value or {}).get("replicas", 0))


def done(entries: Iterable[InFlight]) -> tuple[InFlight, ...]:
    """Give the actions that are known to have happened."""
    return tuple(entry for entry in entries if entry.phase is TargetPhase.DONE)


def title(entry: InFlight) -> str:
    """Say in short what an action does: `EvictPod checkout-1`, `Scale checkout from 2 to 3`."""
    return described(entry.action, entry.target.name, entry.original, entry.desired)


def described(
    action: ActionName, name: str, original: Mapping[str, Any] | None, desired: Mapping[str, Any] | None
) -> str:
    """Say in short what an action does to what is called `name`."""
    scaling = f" from {replicas(original)} to {replicas(desired)}" if action is ActionName.SCALE else ""
    return f"{action.value} {name}{scaling}"


def _act(target: Workload, entry: InFlight) -> Action:
    if entry.action is ActionName.EVICT_POD:
        pod = Ref(entry.target.kind, target.ref.namespace, entry.target.name, entry.target.uid)
        return EvictPod(entry.id, pod)
    if entry.action is ActionName.RESTART_ROLLOUT:
        return RestartRollout(entry.id, target.ref, entry.resource_version)
    marker = {MARKER: None if entry.undoes else entry.id}
    return Scale(entry.id, target.ref, entry.resource_version, replicas(entry.desired), marker)


def _marker(target: Workload) -> str:
    return dict(target.annotations).get(MARKER, "")
