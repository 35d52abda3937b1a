"""What limits us: the target rests, so many at once, so many in a period (R3, R4)."""

from homeostat.api.meta import format_duration
from homeostat.core.recovery.gates.wish import Wish
from homeostat.core.recovery.limits.flapping import is_flapping
from homeostat.core.recovery.limits.ineffective import held_until
from homeostat.core.recovery.reasons import Block, BlockReason
from homeostat.core.recovery.steps.plan import Plan
from homeostat.core.recovery.targets.availability import at_once, in_treatment, size
from homeostat.core.recovery.targets.subject import entries_of


def flapping(wish: Wish) -> Block | None:
    """R6: a trigger that comes and goes is no ground to act on, until it has been steady for a while."""
    until = is_flapping(wish.case, wish.signal)
    if until is None:
        return None
    return Block(BlockReason.FLAPPING, f"{wish.trigger} comes and goes.", until)


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
    target, attempt = wish.target, wish.case.status.attempt
    if target is None:
        return None
    cap = at_once(wish.case.spec.limits.max_in_flight, target)
    planned = wish.plan.target.uid if isinstance(wish.plan, Plan) else ""
    others = [entry for entry in entries_of(wish.case, target) if entry.target.uid != planned]
    count = in_treatment(target, others, attempt.started_at) if attempt else 0
    if count < cap:
        return None
    message = f"{count} of {size(target)} pods are in treatment; maxInFlight allows {cap}."
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


def storm(wish: Wish) -> Block | None:
    """R5: when many policies want to act at once, none begins."""
    until = wish.case.status.storm_until
    if until is None or until <= wish.case.now:
        return None
    limit = wish.case.seen.storm.limit
    message = f"More policies want to act at once than the {limit} that may: the fault is not one of single targets."
    return Block(BlockReason.STORM, message, until)


def ineffective(wish: Wish) -> Block | None:
    """R9: what always falls back is not healed once more."""
    limit = wish.case.spec.limits.ineffective
    until = held_until(wish.case.status.returns, limit, wish.case.now)
    if until is None:
        return None
    message = f"The target fell back {limit.count} times within {format_duration(limit.window)}."
    return Block(BlockReason.INEFFECTIVE, message, until)
