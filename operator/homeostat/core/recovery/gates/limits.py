"""What limits us: the target rests, so many at once, so many in a period (R3, R4)."""

from homeostat.core.recovery.gates.wish import Wish
from homeostat.core.recovery.reasons import Block, BlockReason
from homeostat.core.recovery.steps.plan import Plan
from homeostat.core.recovery.targets.availability import allowance, in_treatment


def cooling_down(wish: Wish) -> Block | None:
    """R3: the target rests after an attempt."""
    until = wish.case.status.cooldown_until
    if until is None or until <= wish.case.now:
        return None
    return Block(BlockReason.COOLING_DOWN, "The target rests after the attempt before.", until)


def refused_lately(wish: Wish) -> Block | None:
    """What was refused or lost is not asked for again at once."""
    status = wish.case.status
    if status.retry_at is None or status.retry_at <= wish.case.now:
        return None
    if status.blocked is None:
        return Block(BlockReason.REFUSED, "The last action was refused.", status.retry_at)
    return Block(status.blocked.reason, status.blocked.message, status.blocked.until)


def in_flight(wish: Wish) -> Block | None:
    """R4: so many pods in treatment at once and no more, asked again for each action."""
    target, attempt = wish.case.seen.target, wish.case.status.attempt
    if target is None:
        return None
    cap = allowance(wish.case.spec.limits.max_in_flight, target.replicas)
    planned = wish.plan.target.uid if isinstance(wish.plan, Plan) else ""
    others = [entry for entry in wish.case.status.in_flight if entry.target.uid != planned]
    count = in_treatment(target, others, attempt.started_at) if attempt else 0
    if count < cap:
        return None
    message = f"{count} of {target.replicas} pods are in treatment; maxInFlight allows {cap}."
    return Block(BlockReason.IN_FLIGHT, message)


def budget_spent(wish: Wish) -> Block | None:
    """R3: so many actions in a period and no more."""
    budget = wish.case.status.budget
    if budget.used < budget.of:
        return None
    return Block(BlockReason.BUDGET_SPENT, f"All {budget.of} actions of the period are spent.", budget.resets_at)


def cluster_budget_spent(wish: Wish) -> Block | None:
    """R3: so many actions of all policies together."""
    budget = wish.case.seen.cluster_budget
    over = budget.resets_at is not None and budget.resets_at <= wish.case.now
    if over or budget.used < budget.of:
        return None
    message = f"All {budget.of} actions of the operator's period are spent."
    return Block(BlockReason.CLUSTER_BUDGET_SPENT, message, budget.resets_at)
