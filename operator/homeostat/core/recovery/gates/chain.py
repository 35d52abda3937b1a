"""The chain of gates, in order: the first refusal counts.

The order of each list is the order in which a human would want to be told: first what he decided himself, then
what we do not know, then what is wrong with the target, then our own limits.
"""

from collections.abc import Sequence

from homeostat.api.recovery_status import Signal
from homeostat.core.recovery.gates.decided import budget_held, frozen, observe_only, suspended
from homeostat.core.recovery.gates.known import dependency, expected_fault, signal_missing, signal_stale, stale_view
from homeostat.core.recovery.gates.limits import (
    budget_spent,
    cluster_budget_spent,
    cooling_down,
    in_flight,
    refused_lately,
)
from homeostat.core.recovery.gates.target import (
    locked,
    namespace_terminating,
    nothing_to_do,
    rollout_in_progress,
    target_not_found,
    target_paused,
    too_many_unhealthy,
)
from homeostat.core.recovery.gates.wish import Gate, Wish
from homeostat.core.recovery.reasons import Block
from homeostat.core.recovery.seen import Case
from homeostat.core.recovery.steps.plan import Plan


def first_block(gates: Sequence[Gate], wish: Wish) -> Block | None:
    """Ask the gates in order, and give the first refusal."""
    return next((block for gate in gates if (block := gate(wish))), None)


def permitted(gates: Sequence[Gate], case: Case, signal: Signal, planned: Plan | Block) -> Plan | Block:
    """Let a plan through, or give the first refusal."""
    return first_block(gates, Wish(case, signal, planned)) or planned


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
