"""What is wrong with the target: gone, held by somebody else, in a rollout, or mostly down."""

from homeostat.api.recovery import Mode
from homeostat.api.recovery_target import TargetKind
from homeostat.core.recovery import rights
from homeostat.core.recovery.gates.wish import Wish
from homeostat.core.recovery.reasons import Block, BlockReason
from homeostat.core.recovery.signals import failing
from homeostat.core.recovery.steps.plan import Plan
from homeostat.core.recovery.steps.rollback import undoes_the_rollout
from homeostat.core.recovery.targets.availability import allowance, unhealthy
from homeostat.core.recovery.targets.memory import MOST_TARGETS
from homeostat.core.recovery.targets.subject import entries_of, lock_of
from homeostat.core.rights import REMEDY


def nodes_not_allowed(wish: Wish) -> Block | None:
    """Nodes belong to everybody: only namespaces that the administrator names may touch them."""
    if wish.case.spec.target.kind is not TargetKind.NODE or wish.case.seen.are_nodes_allowed:
        return None
    message = "Policies of this namespace may not touch Nodes (setting node_namespaces)."
    return Block(BlockReason.NODES_NOT_ALLOWED, message)


def namespace_terminating(wish: Wish) -> Block | None:
    """R12: nothing is healed in a namespace that ends."""
    if not wish.case.seen.is_namespace_terminating:
        return None
    return Block(BlockReason.NAMESPACE_TERMINATING, "The namespace is terminating.")


def target_unclear(wish: Wish) -> Block | None:
    """Of several targets none is accused, or there are more than can be kept in mind: nobody is picked by chance."""
    count = len(wish.case.seen.candidates)
    if count > MOST_TARGETS:
        message = f"The selector matches more than {MOST_TARGETS} objects."
        return Block(BlockReason.TOO_MANY_TARGETS, message)
    if wish.case.seen.target is not None or count <= 1:
        return None
    message = f"{wish.trigger} does not say which of the {count} targets is meant."
    return Block(BlockReason.TARGET_UNCLEAR, message)


def target_not_found(wish: Wish) -> Block | None:
    """There is nothing to heal."""
    target, wanted = wish.case.seen.target, wish.case.spec.target
    if target is not None and not target.is_deleting:
        return None
    if target is None and wanted.selector is not None:
        message = f"The selector {wanted.selector.text} matches no {wanted.kind.value}."
        return Block(BlockReason.TARGET_NOT_FOUND, message)
    return Block(BlockReason.TARGET_NOT_FOUND, "The target is not there.")


def not_replaced(wish: Wish) -> Block | None:
    """A pod that nothing controls would be lost: it is never evicted."""
    target = wish.case.seen.target
    if target is None or target.ref.kind != TargetKind.POD.value:
        return None
    return Block(BlockReason.NOT_REPLACED, f"Pod {target.ref.name} has no controller that would replace it.")


def target_paused(wish: Wish) -> Block | None:
    """Somebody paused the target, and has a reason."""
    target = wish.target
    if target is None or not target.is_paused:
        return None
    return Block(BlockReason.TARGET_PAUSED, "The target is paused.")


def locked(wish: Wish) -> Block | None:
    """R11: there is one writer at a time; the lock of a vanished one ends by itself."""
    target = wish.target
    lock = lock_of(wish.case, target) if target else None
    if lock is None or lock.until <= wish.case.now or lock.holder.uid == wish.case.seen.ref.uid:
        return None
    return Block(BlockReason.LOCKED, f"{lock.holder.kind} {lock.holder.name} holds the target.", lock.until)


def rollout_in_progress(wish: Wish) -> Block | None:
    """R12: a rollout is a writer too, but for the one that is to be undone."""
    target, planned = wish.target, wish.plan
    if target is None or not target.is_rolling_out:
        return None
    if isinstance(planned, Plan) and undoes_the_rollout(wish.case, planned, wish.signal):
        return None
    return Block(BlockReason.ROLLOUT_IN_PROGRESS, "The target is in the middle of a rollout.")


def nothing_to_do(wish: Wish) -> Block | None:
    """The step finds nothing that it could do."""
    return wish.plan if isinstance(wish.plan, Block) else None


def too_many_unhealthy(wish: Wish) -> Block | None:
    """R4, R5: a fault of most pods is no fault of pods. What is in treatment or will be counts as unhealthy."""
    target = wish.target
    if target is None:
        return None
    out = {ref.uid for ref in failing(wish.case, wish.signal.trigger)}
    out |= {entry.target.uid for entry in entries_of(wish.case, target)}
    out |= {wish.plan.target.uid} if isinstance(wish.plan, Plan) else set()
    share = unhealthy(target, out)
    allowed = allowance(wish.case.spec.limits.max_unhealthy, share.of)
    if share.count <= allowed:
        return None
    counted = f"{share.count} of {share.of} {share.noun}"
    message = f"{counted} are unhealthy or in treatment; maxUnhealthy allows {allowed}."
    return Block(BlockReason.TOO_MANY_UNHEALTHY, message)


def not_permitted(wish: Wish) -> Block | None:
    """The operator lacks a right that the step needs; where nothing would be done, that is no obstacle."""
    case = wish.case
    if case.spec.mode not in {Mode.AUTO, Mode.APPROVE} or not case.seen.missing_rights:
        return None
    index = case.status.attempt.step if case.status.attempt else case.status.next_step
    lacking = rights.lacking_for(case.spec, index, case.seen.missing_rights)
    if not lacking:
        return None
    return Block(BlockReason.NOT_PERMITTED, f"The operator may not {rights.listed(lacking)}. {REMEDY}")
