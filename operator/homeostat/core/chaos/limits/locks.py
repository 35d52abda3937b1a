"""The lock on each afflicted workload: who writes it while a fault goes on, lasts and goes off (R11, C12).

With reaction Act the lock is held only while the fault goes on, so that policies may act on what it did; with
Observe it is held until the fault is off. An undo waits for no lock: it changes only what is still ours.
"""

from collections.abc import Iterator
from datetime import timedelta

from homeostat.api.chaos import Reaction
from homeostat.core.action import Action, ReleaseLock, TakeLock
from homeostat.core.chaos.seen import Case, recorded
from homeostat.core.ref import Ref

SECONDS = 60
"""How long a lock lasts without renewal: the longest that a dead operator keeps others away."""
RENEW_BEFORE = timedelta(seconds=30)


def run_id(case: Case) -> str:
    """Name the run, the same in every process: the ids of its actions begin with it."""
    return f"{case.seen.ref.uid}-{case.status.run_number}"


def injection_id(case: Case, index: int) -> str:
    """Name the act that hits one target; each attempt is an act of its own."""
    return f"{run_id(case)}-inject-{index}-{case.status.injection_attempts}"


def afflicted_refs(case: Case) -> tuple[Ref, ...]:
    """Give the workloads on record, each once."""
    return recorded(case.seen.ref.namespace, case.status)


def take(case: Case) -> tuple[TakeLock, ...]:
    """Give the locks that the injection needs. Their ids change with each attempt of it."""
    return tuple(
        TakeLock(f"{run_id(case)}-lock-{index}-{case.status.injection_attempts}", target, case.seen.ref, SECONDS)
        for index, target in enumerate(afflicted_refs(case))
    )


def missing(case: Case) -> tuple[TakeLock, ...]:
    """Give those of them that are not known to be ours for a while yet."""
    return tuple(action for action in take(case) if not _is_safe(case, action.target))


def keep(case: Case) -> tuple[Action, ...]:
    """Give what the locks need while the fault lasts: renewal (Observe), or to be given up (Act)."""
    if case.spec.reaction is Reaction.ACT:
        return release(case)
    return tuple(_renewals(case))


def release(case: Case) -> tuple[Action, ...]:
    """Give up the locks that are still ours, once an evaluation: what fails expires by itself."""
    actions = (
        ReleaseLock(f"{run_id(case)}-unlock-{index}", target, case.seen.ref)
        for index, target in enumerate(afflicted_refs(case))
        if _is_ours(case, target)
    )
    return tuple(action for action in actions if action.id not in case.seen.outcomes)


def _is_ours(case: Case, target: Ref) -> bool:
    lock = case.seen.locks.get(target.uid)
    return lock is not None and lock.holder.uid == case.seen.ref.uid


def _is_safe(case: Case, target: Ref) -> bool:
    lock = case.seen.locks.get(target.uid)
    return lock is not None and _is_ours(case, target) and lock.until - case.now >= RENEW_BEFORE


def _renewals(case: Case) -> Iterator[TakeLock]:
    for index, target in enumerate(afflicted_refs(case)):
        lock = case.seen.locks.get(target.uid)
        is_free = lock is None or lock.until <= case.now
        is_ending = lock is not None and _is_ours(case, target) and lock.until - case.now < RENEW_BEFORE
        action = TakeLock(f"{run_id(case)}-keep-{index}", target, case.seen.ref, SECONDS)
        if (is_free or is_ending) and action.id not in case.seen.outcomes:
            yield action
