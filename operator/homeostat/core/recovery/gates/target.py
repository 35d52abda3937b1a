"""What is wrong with the target: gone, held by somebody else, in a rollout, or mostly down."""

from homeostat.core.recovery.gates.wish import Wish
from homeostat.core.recovery.reasons import Block, BlockReason
from homeostat.core.recovery.signals import failing
from homeostat.core.recovery.steps.plan import Plan
from homeostat.core.recovery.targets.availability import allowance, unavailable


def namespace_terminating(wish: Wish) -> Block | None:
    """R12: nothing is healed in a namespace that ends."""
    if not wish.case.seen.is_namespace_terminating:
        return None
    return Block(BlockReason.NAMESPACE_TERMINATING, "The namespace is terminating.")


def target_not_found(wish: Wish) -> Block | None:
    """There is nothing to heal."""
    target = wish.case.seen.target
    if target is not None and not target.is_deleting:
        return None
    return Block(BlockReason.TARGET_NOT_FOUND, "The target is not there.")


def target_paused(wish: Wish) -> Block | None:
    """Somebody paused the target, and has a reason."""
    target = wish.case.seen.target
    if target is None or not target.is_paused:
        return None
    return Block(BlockReason.TARGET_PAUSED, "The target is paused.")


def locked(wish: Wish) -> Block | None:
    """R11: there is one writer at a time; the lock of a vanished one ends by itself."""
    seen = wish.case.seen
    lock = seen.lock
    if lock is None or lock.until <= wish.case.now or lock.holder.uid == seen.ref.uid:
        return None
    return Block(BlockReason.LOCKED, f"{lock.holder.kind} {lock.holder.name} holds the target.", lock.until)


def rollout_in_progress(wish: Wish) -> Block | None:
    """R12: a rollout is a writer too."""
    target = wish.case.seen.target
    if target is None or not target.is_rolling_out:
        return None
    return Block(BlockReason.ROLLOUT_IN_PROGRESS, "The target is in the middle of a rollout.")


def nothing_to_do(wish: Wish) -> Block | None:
    """The step finds nothing that it could do."""
    return wish.plan if isinstance(wish.plan, Block) else None


def too_many_unhealthy(wish: Wish) -> Block | None:
    """R4, R5: a fault of most pods is no fault of pods. What is in treatment or will be counts as unhealthy."""
    target = wish.case.seen.target
    if target is None:
        return None
    out = {ref.uid for ref in failing(wish.case, wish.signal.trigger)}
    out |= {entry.target.uid for entry in wish.case.status.in_flight}
    out |= {wish.plan.target.uid} if isinstance(wish.plan, Plan) else set()
    allowed = allowance(wish.case.spec.limits.max_unhealthy, target.replicas)
    count = unavailable(target, out)
    if count <= allowed:
        return None
    message = f"{count} of {target.replicas} pods are unhealthy or in treatment; maxUnhealthy allows {allowed}."
    return Block(BlockReason.TOO_MANY_UNHEALTHY, message)
