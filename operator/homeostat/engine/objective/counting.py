"""How an objective counts: from which check, in which slices, and how far back."""

from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

from homeostat.api.objective import BudgetingMethod
from homeostat.engine.objects import Key


@dataclass(frozen=True, slots=True)
class Slicing:
    """Slices of `seconds`, aligned to the epoch. `objective`: the share of good events that makes one good."""

    method: BudgetingMethod
    seconds: int
    objective: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Counting:
    """`reach` is the longest window that is asked for. Without a `check` counts come by `Meters.add`.

    `faster_than` (s): a pass is good only if it took less. `groups` are those known from before a restart.
    """

    reach: timedelta
    check: Key | None = None
    faster_than: float | None = None
    slicing: Slicing | None = None
    groups: tuple[str, ...] = ()
