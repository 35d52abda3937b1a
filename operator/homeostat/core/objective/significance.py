"""Which part of an objective's status is worth a write: in steady state there is none.

Time passes, events are counted and rates tremble in every window; none of that is news. Budget that is spent is,
in steps of 0.1 percent. A refresh is worth a percent of the window's coverage, or of a group's budget, or a tenth of a
burn rate.
"""

from datetime import timedelta
from decimal import Decimal
from typing import Any

from homeostat.api.objective_status import ServiceLevelObjectiveStatus
from homeostat.core.significance import Significance

_TREMBLE = Decimal("0.1")
_COVERAGE_STEP = _GROUP_STEP = Decimal(1)
_SLI_STEP = Decimal("0.01")


def significance(old: ServiceLevelObjectiveStatus, new: ServiceLevelObjectiveStatus) -> Significance:
    """Compare two statuses: what humans and other decisions act on, then figures that moved visibly."""
    if _essence(old) != _essence(new):
        return Significance.CHANGE
    return Significance.REFRESH if _has_moved(old, new) else Significance.NOTHING


def _essence(status: ServiceLevelObjectiveStatus) -> tuple[Any, ...]:
    conditions = [
        (entry.type, entry.status, entry.reason, entry.message, entry.observed_generation)
        for entry in status.conditions
    ]
    groups = [(group.name, group.state) for group in status.groups]
    figures = status.objective, status.state, status.alerts, status.budget
    return status.observed_generation, figures, groups, status.holds, status.rules_object, conditions


def _has_moved(old: ServiceLevelObjectiveStatus, new: ServiceLevelObjectiveStatus) -> bool:
    return (
        (old.exhaustion_at is None) != (new.exhaustion_at is None)
        or _has_sli_moved(old, new)
        or _has_coverage_moved(old, new)
        or _have_groups_moved(old, new)
        or _have_rates_moved(_rates(old), _rates(new))
    )


def _has_sli_moved(old: ServiceLevelObjectiveStatus, new: ServiceLevelObjectiveStatus) -> bool:
    if old.sli is None or new.sli is None or new.budget is None:
        return old.sli != new.sli
    return abs(new.sli - old.sli) >= _SLI_STEP * new.budget.total


def _has_coverage_moved(old: ServiceLevelObjectiveStatus, new: ServiceLevelObjectiveStatus) -> bool:
    if old.window is None or new.window is None:
        return old.window != new.window
    return abs(new.window.coverage - old.window.coverage) >= _COVERAGE_STEP


def _have_groups_moved(old: ServiceLevelObjectiveStatus, new: ServiceLevelObjectiveStatus) -> bool:
    """Compare the budgets of the same groups: other ones are a change anyway."""
    pairs = zip(old.groups, new.groups, strict=True)
    return any(_has_budget_moved(before.remaining, after.remaining) for before, after in pairs)


def _has_budget_moved(old: Decimal | None, new: Decimal | None) -> bool:
    return old != new if old is None or new is None else abs(new - old) >= _GROUP_STEP


def _rates(status: ServiceLevelObjectiveStatus) -> dict[timedelta, Decimal]:
    return {entry.window: entry.rate for entry in status.burn_rates}


def _have_rates_moved(old: dict[timedelta, Decimal], new: dict[timedelta, Decimal]) -> bool:
    if old.keys() != new.keys():
        return True
    return any(abs(new[window] - rate) > max(_TREMBLE * rate, _TREMBLE) for window, rate in old.items())
