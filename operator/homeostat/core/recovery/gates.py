"""What must be so before anything is done: an ordered list of pure questions, the first refusal counts.

The order of each list is the order in which a human would want to be told: first what he decided himself, then
what we do not know, then what is wrong with the target, then our own limits.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from homeostat.api.health_check import HealthState
from homeostat.api.recovery import Mode
from homeostat.api.recovery_status import Signal, SignalState
from homeostat.core.recovery.availability import allowance, in_treatment, unavailable
from homeostat.core.recovery.plan import Plan
from homeostat.core.recovery.reasons import Block, BlockReason
from homeostat.core.recovery.seen import Case
from homeostat.core.recovery.signals import dependencies, failing, title

OLDEST_VIEW = timedelta(seconds=30)
"""Beyond this age our own view of the API server is no ground to act on (R12)."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be let through: an action, because of a signal; `plan` is a Block when there is none to do."""

    case: Case
    signal: Signal
    plan: Plan | Block | None = None


SUSPENDED = Block(BlockReason.SUSPENDED, "spec.suspend is set.")

Gate = Callable[[Wish], Block | None]


def first_block(gates: Sequence[Gate], wish: Wish) -> Block | None:
    """Ask the gates in order, and give the first refusal."""
    return next((block for gate in gates if (block := gate(wish))), None)


def permitted(gates: Sequence[Gate], case: Case, signal: Signal, planned: Plan | Block) -> Plan | Block:
    """Let a plan through, or give the first refusal."""
    return first_block(gates, Wish(case, signal, planned)) or planned


# --- decisions of humans --------------------------------------------------------------------------------


def observe_only(wish: Wish) -> Block | None:
    """R1: only Auto may touch a target."""
    if wish.case.spec.mode is Mode.AUTO:
        return None
    return Block(BlockReason.OBSERVE_ONLY, "The mode is no longer Auto.")


def suspended(wish: Wish) -> Block | None:
    """The policy is told to do nothing."""
    return SUSPENDED if wish.case.spec.suspend else None


def frozen(wish: Wish) -> Block | None:
    """A Freeze stops recovery."""
    freeze = wish.case.seen.freeze
    if freeze is None:
        return None
    return Block(BlockReason.FROZEN, f"Freeze {freeze.name}: {freeze.reason}", freeze.until)


def budget_held(wish: Wish) -> Block | None:
    """The budget policy of an objective holds recovery: what little budget is left is not spent on trying."""
    name = wish.case.seen.budget_held_by
    if not name:
        return None
    return Block(BlockReason.BUDGET_HELD, f"The budget policy of ServiceLevelObjective {name} holds recovery.")


# --- what we do not know --------------------------------------------------------------------------------


def stale_view(wish: Wish) -> Block | None:
    """R12: no act on an old picture of the cluster."""
    if wish.case.seen.view_age <= OLDEST_VIEW:
        return None
    return Block(BlockReason.STALE_VIEW, "The view of the API server is too old to act on.")


def signal_stale(wish: Wish) -> Block | None:
    """R12: no act on old data."""
    if wish.signal.state is not SignalState.STALE:
        return None
    return Block(BlockReason.SIGNAL_STALE, f"The data of {_title(wish)} is too old to act on.")


def signal_missing(wish: Wish) -> Block | None:
    """R12: no act without data."""
    if wish.signal.state is not SignalState.UNKNOWN:
        return None
    return Block(BlockReason.SIGNAL_MISSING, f"There is no data of {_title(wish)}.")


def expected_fault(wish: Wish) -> Block | None:
    """C12: an experiment that asks us to look on."""
    by = wish.case.seen.expected_by
    if by is None:
        return None
    return Block(BlockReason.EXPECTED_FAULT, f"{by.kind} {by.name} broke the target and wants no reaction.")


def dependency(wish: Wish) -> Block | None:
    """R14, H5: what is wrong here is likely wrong there, or we cannot tell.

    What the trigger's check depends on counts like what the policy itself names.
    """
    wanted = [entry.health_check.name for entry in wish.case.spec.depends_on]
    states = {entry.name: entry.state for entry in wish.case.seen.dependencies}
    of_trigger = dependencies(wish.case, wish.signal.trigger)
    named = [(name, states.get(name, HealthState.UNKNOWN), "") for name in wanted]
    named += [(one.name, one.state, f" (on which {_title(wish)} depends)") for one in of_trigger]
    for name, state, why in named:
        if state is HealthState.UNHEALTHY:
            return Block(BlockReason.DEPENDENCY_UNHEALTHY, f"HealthCheck {name}{why} is Unhealthy.")
        if state not in {HealthState.HEALTHY, HealthState.DEGRADED}:
            return Block(BlockReason.DEPENDENCY_UNKNOWN, f"The state of HealthCheck {name}{why} is not known.")
    return None


# --- the target -----------------------------------------------------------------------------------------


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


# --- our limits -----------------------------------------------------------------------------------------


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


# --- the lists ------------------------------------------------------------------------------------------

TO_TELL: tuple[Gate, ...] = (
    suspended,  # whoever suspended the policy knows
    stale_view,  # what we know must be of now: of the cluster,
    signal_stale,  # of the trigger,
    signal_missing,
    expected_fault,  # a drill is nobody's alarm
    dependency,  # the alarm is elsewhere
)
"""Before a human is told: nothing is touched, so limits and the target do not matter."""

TO_ACT: tuple[Gate, ...] = (
    suspended,  # cheapest and most deliberate
    frozen,  # deliberate too, for many policies at once
    budget_held,  # deliberate, and said beforehand
    stale_view,  # before all that is judged by this view
    signal_stale,  # the ground to act on is old,
    signal_missing,  # or not there
    expected_fault,  # there is a ground, but it was made
    dependency,  # there is a ground, but it lies elsewhere
    namespace_terminating,  # the target goes with it
    target_not_found,  # from here on there is a target
    target_paused,  # a human holds it
    locked,  # another policy or experiment holds it
    cooling_down,  # it rests
    refused_lately,  # we were told to wait
    nothing_to_do,  # from here on there is an action
    in_flight,  # before the rollout gate: our own pod, being replaced, may look like a rollout
    rollout_in_progress,  # a rollout holds it
    too_many_unhealthy,  # acting would make an outage worse
    budget_spent,  # we have done enough
    cluster_budget_spent,  # all of us have done enough
)
"""Before an attempt begins."""

TO_GO_ON: tuple[Gate, ...] = (observe_only, *(gate for gate in TO_ACT if gate is not cooling_down))
"""Before the next pod of an attempt: the same, but the rest comes after the attempt."""

PAID = frozenset({cooling_down, refused_lately, nothing_to_do, budget_spent, cluster_budget_spent})
TO_ASK_AGAIN: tuple[Gate, ...] = (observe_only, *(gate for gate in TO_ACT if gate not in PAID))
"""Before an action on record is asked for (again): it is planned and paid for, the rest may have changed."""

TO_UNDO: tuple[Gate, ...] = (
    observe_only,
    suspended,
    frozen,
    stale_view,
    namespace_terminating,
    target_not_found,
    locked,
)
"""Before a step is taken back: that only restores, so limits do not matter, but holders of the target do."""


def _title(wish: Wish) -> str:
    return title(wish.case, wish.signal.trigger)
