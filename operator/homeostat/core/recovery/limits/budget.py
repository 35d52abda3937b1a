"""The policy's own budget of actions, kept in its status: a period begins with its first action (R3)."""

from datetime import datetime

from homeostat.api.recovery_limits import ActionBudget
from homeostat.api.recovery_status import BudgetStatus


def refreshed(budget: BudgetStatus, limit: ActionBudget, now: datetime) -> BudgetStatus:
    """Bring the budget up to `now` and to the limit in force; a clock set back cannot stretch a period."""
    ends = budget.resets_at
    if ends is None or ends <= now:
        return BudgetStatus(of=limit.actions)
    return budget.model_copy(update={"of": limit.actions, "resets_at": min(ends, now + limit.per)})


def spent(budget: BudgetStatus, limit: ActionBudget, now: datetime) -> BudgetStatus:
    """Take one action from the budget."""
    ends = budget.resets_at or now + limit.per
    return budget.model_copy(update={"used": budget.used + 1, "resets_at": ends})


def given_back(budget: BudgetStatus) -> BudgetStatus:
    """Give one action back that certainly did not happen."""
    return budget.model_copy(update={"used": max(0, budget.used - 1)})
