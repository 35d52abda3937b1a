"""Which object an action is about: the policy's target, or one of those that its step names instead.

Each is locked for itself, asked all gates for itself, and settled before the next is touched.
"""

from collections.abc import Iterator

from homeostat.api.recovery_attempt import Attempt, InFlight, ObjectId
from homeostat.api.recovery_step import Step
from homeostat.core.cluster import Lock, Workload
from homeostat.core.recovery.reasons import Block, BlockReason
from homeostat.core.recovery.seen import Case
from homeostat.core.recovery.steps.handling import in_view, workload_of

TREATED = Block(BlockReason.ALL_TREATED, "The step has been carried out on all of its targets.")


def lock_of(case: Case, workload: Workload) -> Lock | None:
    """Give the lock of an object, whoever holds it."""
    target = case.seen.target
    is_target = target is not None and target.ref.uid == workload.ref.uid
    return case.seen.lock if is_target else case.seen.locks.get(workload.ref.uid)


def entries_of(case: Case, workload: Workload) -> tuple[InFlight, ...]:
    """Give the actions of the open attempt that are about an object."""
    return tuple(entry for entry in case.status.in_flight if _uid(case.status.attempt, entry) == workload.ref.uid)


def written(case: Case) -> Iterator[Workload]:
    """Give the objects that the open attempt has acted on or is about to, each once."""
    found = (workload_of(case, entry) for entry in case.status.in_flight)
    yield from {one.ref.uid: one for one in found if one is not None}.values()


def other_than_target(case: Case, workload: Workload) -> ObjectId | None:
    """Put on record which object is locked for an action, where that is not the policy's own target."""
    target = case.seen.target
    if target is not None and target.ref.uid == workload.ref.uid:
        return None
    return ObjectId(kind=workload.ref.kind, name=workload.ref.name, uid=workload.ref.uid)


def pointed_at(case: Case, step: Step) -> Workload | Block:
    """Give what a step acts on next: the first of its own targets that is not treated yet, else the policy's."""
    target = case.seen.target
    if target is None or target.is_deleting:
        return Block(BlockReason.TARGET_NOT_FOUND, "The target is not there.")
    if not step.targets:
        return target
    treated = {_uid(case.status.attempt, entry) for entry in case.status.in_flight}
    for wanted in step.targets:
        found = _named(case, wanted.kind.value, wanted.name)
        if found is None or found.is_deleting:
            message = f"{wanted.kind.value} {wanted.name}, which the step names, is not there."
            return Block(BlockReason.TARGET_NOT_FOUND, message)
        if found.ref.uid not in treated:
            return found
    return TREATED


def _named(case: Case, kind: str, name: str) -> Workload | None:
    """Find an object of the policy's namespace by kind and name among all that was read."""
    return next((one for one in in_view(case) if (one.ref.kind, one.ref.name) == (kind, name)), None)


def _uid(attempt: Attempt | None, entry: InFlight) -> str:
    if entry.workload is not None:
        return entry.workload.uid
    return attempt.workload.uid if attempt else ""
