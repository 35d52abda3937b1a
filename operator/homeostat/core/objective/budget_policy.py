"""What a low budget stops, and whether rollouts may go on.

A rule holds while less of the budget is left than it says; at 0% also when exactly nothing is left. A budget that is
still provisional holds too: it starts full, and only what really was bad has taken from it. What is held is let go when
a hundredth of the budget more than that is left, so that a budget at the edge does not switch to and fro. Without fresh
data all stays as it was: what is held stays held (fail closed), and nothing new is.
"""

from collections.abc import Collection, Sequence
from decimal import Decimal

from homeostat.api.objective import BudgetRule
from homeostat.api.objective_status import Hold
from homeostat.core.decision import Event, EventType

RELEASED_AT = Decimal("0.01")
"""How much more of the budget than a rule says must be left for it to let go."""


def held(
    policy: Sequence[BudgetRule], remaining: Decimal | None, before: Collection[Hold], *, is_live: bool
) -> tuple[Hold, ...]:
    """Give what the policy stops. `remaining` is a share of the budget, `is_live` whether it may be acted upon."""
    if not is_live or remaining is None:
        named = {hold for rule in policy for hold in rule.hold}
        return tuple(hold for hold in Hold if hold in named and hold in before)
    stopped = {hold for rule in policy for hold in rule.hold if _holds(rule, remaining, was_held=hold in before)}
    return tuple(hold for hold in Hold if hold in stopped)


def events(before: Collection[Hold], after: Collection[Hold]) -> tuple[Event, ...]:
    """Tell what began or ceased to be stopped."""
    stopped = [hold for hold in Hold if hold in after and hold not in before]
    released = [hold for hold in Hold if hold in before and hold not in after]
    begun = (Event("BudgetHolds", f"Too little error budget is left: held are {_names(stopped)}.", EventType.WARNING),)
    ended = (Event("BudgetReleases", f"No longer held for the error budget: {_names(released)}."),)
    return (*(begun if stopped else ()), *(ended if released else ()))


def _holds(rule: BudgetRule, remaining: Decimal, *, was_held: bool) -> bool:
    below = rule.remaining_below
    if was_held:
        return remaining < below + RELEASED_AT
    return remaining < below or remaining <= min(below, Decimal(0))


def _names(holds: Sequence[Hold]) -> str:
    return ", ".join(holds)
