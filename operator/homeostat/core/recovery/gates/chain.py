"""The chain of gates, in order: the first refusal counts. A gate is called after its function: `cooling_down`.

The order of each list is the order in which a human would want to be told: first what he decided himself, then
what we do not know, then what is wrong with the target, then our own limits.
"""

from collections.abc import Sequence

from homeostat.api.recovery_status import Signal
from homeostat.core.recovery.gates.consent import beyond_approval, paused, rejected
from homeostat.core.recovery.gates.decided import budget_held, frozen, observe_only, outside_window, suspended
from homeostat.core.recovery.gates.known import dependency, expected_fault, signal_missing, signal_stale, stale_view
from homeostat.core.recovery.gates.limits import (
    budget_spent,
    cluster_budget_spent,
    cooling_down,
    flapping,
    in_flight,
    ineffective,
    refused_lately,
    storm,
)
from homeostat.core.recovery.gates.target import (
    locked,
    namespace_terminating,
    nodes_not_allowed,
    not_permitted,
    not_replaced,
    nothing_to_do,
    rollout_in_progress,
    target_not_found,
    target_paused,
    target_unclear,
    too_many_unhealthy,
)
from homeostat.core.recovery.gates.wish import Gate, Wish
from homeostat.core.recovery.reasons import Block
from homeostat.core.recovery.seen import Case
from homeostat.core.recovery.steps.plan import Plan


def name_of(gate: Gate) -> str:
    """Name a gate as users see it, and as an override names it."""
    return str(getattr(gate, "__name__", ""))


def first_block(gates: Sequence[Gate], wish: Wish) -> Block | None:
    """Ask the gates in order, and give the first refusal."""
    return next((block for gate in gates if (block := gate(wish))), None)


def permitted(gates: Sequence[Gate], case: Case, signal: Signal, planned: Plan | Block) -> Plan | Block:
    """Let a plan through, or give the first refusal. An attempt that a human runs passes over what he overrode."""
    return first_block(still_asked(gates, case), Wish(case, signal, planned)) or planned


def still_asked(gates: Sequence[Gate], case: Case) -> Sequence[Gate]:
    """Leave out the gates that the open attempt passes over, because a human runs it by hand."""
    attempt = case.status.attempt
    if attempt is None or not attempt.requested_by:
        return gates
    return tuple(gate for gate in gates if gate not in BY_HAND and name_of(gate) not in attempt.overridden)


TO_TELL: tuple[Gate, ...] = (
    suspended,  # whoever suspended the policy knows
    nodes_not_allowed,  # the administrator's word: nothing is looked at, so nothing is known
    paused,  # as does whoever paused it
    stale_view,  # what we know must be of now: of the cluster,
    signal_stale,  # of the trigger,
    signal_missing,
    expected_fault,  # a drill is nobody's alarm
    dependency,  # the alarm is elsewhere
)
"""Before a human is told: nothing is touched, so limits and the target do not matter."""

TO_ACT: tuple[Gate, ...] = (
    suspended,  # cheapest and most deliberate
    paused,  # as deliberate
    rejected,  # a human said no to this very plan
    frozen,  # deliberate too, for many policies at once
    budget_held,  # deliberate, and said beforehand
    nodes_not_allowed,  # the administrator's word
    outside_window,  # the same, and it is known when it ends
    stale_view,  # before all that is judged by this view
    signal_stale,  # the ground to act on is old,
    signal_missing,  # or not there
    expected_fault,  # there is a ground, but it was made
    dependency,  # there is a ground, but it lies elsewhere
    flapping,  # there is a ground, but it comes and goes
    storm,  # there is a ground, but it is not one of this target alone
    ineffective,  # there is a ground, but acting on it did not help for long
    namespace_terminating,  # the target goes with it
    target_unclear,  # of several, none is accused
    target_not_found,  # from here on there is a target
    not_replaced,  # it would be lost
    target_paused,  # a human holds it
    locked,  # another policy or experiment holds it
    not_permitted,  # we may not do it to this one, whenever
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

TO_GO_ON: tuple[Gate, ...] = (
    observe_only,
    *(gate for gate in TO_ACT if gate is not cooling_down),
    beyond_approval,  # last: whoever asks for more must be able to do it
)
"""Before the next pod of an attempt: the same, but the rest comes after the attempt."""

PAID = frozenset({cooling_down, refused_lately, nothing_to_do, budget_spent, cluster_budget_spent})
TO_ASK_AGAIN: tuple[Gate, ...] = (observe_only, *(gate for gate in TO_ACT if gate not in PAID))
"""Before an action on record is asked for (again): it is planned and paid for, the rest may have changed."""

TO_UNDO: tuple[Gate, ...] = (
    observe_only,
    suspended,
    paused,
    frozen,
    stale_view,
    namespace_terminating,
    target_not_found,
    locked,
)
"""Before a step is taken back: that only restores, so limits do not matter, but holders of the target do."""

BY_HAND: frozenset[Gate] = frozenset({signal_stale, signal_missing, rejected})
"""A run by hand passes over these: it needs no trigger, and who runs a step has changed their mind about it."""

NEVER_OVERRIDDEN: frozenset[Gate] = frozenset(
    {
        observe_only,
        suspended,  # who wants to run it lifts these first
        paused,
        frozen,
        stale_view,  # these protect what we do not know,
        locked,  # another writer,
        namespace_terminating,  # or have nothing to act on
        target_not_found,
        target_unclear,
        not_replaced,
        nodes_not_allowed,
        not_permitted,
        nothing_to_do,
        cluster_budget_spent,  # its token would be refused all the same
    }
)
"""No human can override these."""
