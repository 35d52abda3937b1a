"""What is known of an objective when it is decided on."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from homeostat.core.action import Outcomes
from homeostat.core.history.series import Series
from homeostat.core.objective.drills import Drill
from homeostat.core.objective.watch import TROUBLED, WELL
from homeostat.core.ref import Ref
from homeostat.core.rules.installation import RulesSeen


@dataclass(frozen=True, slots=True)
class SourceSeen:
    """What feeds the objective: how often data comes, when it last did, and what is wrong with it.

    `observed_at` is None when that never happened; give the time counting began until the first data after a
    restart, so that an objective with history does not go stale in between. `reason` and `message` say what is
    wrong ("" when all is well); with `is_valid` False the indicator itself cannot be evaluated as it is written.
    `is_clamped`: it gave a ratio below 0 or above 1, which counts as 0 or 1 (S14).
    """

    interval: timedelta
    observed_at: datetime | None
    stale_after: timedelta
    reason: str = ""
    message: str = ""
    is_valid: bool = True
    is_clamped: bool = False


@dataclass(frozen=True, slots=True)
class ObjectiveSeen:
    """`series` counts events, or slices where the budget is counted in them; one for each group besides.

    None: nothing counts. `problem` is a reason and a message why the objective is not evaluated at all. With
    `is_surveyed` somebody else notices when its budget moves or an alert's factor is crossed. `trouble_again_in` is how
    soon to look again while there are bad events, `well_again_in` how soon at most where there are none. `drills`: the
    experiments that expect alerts of this objective.
    """

    ref: Ref
    generation: int
    series: Series | None = None
    groups: Mapping[str, Series] = field(default_factory=dict)
    source: SourceSeen | None = None
    rules: RulesSeen | None = None
    outcomes: Outcomes = field(default_factory=dict)
    problem: tuple[str, str] | None = None
    is_surveyed: bool = False
    trouble_again_in: timedelta = TROUBLED
    well_again_in: timedelta = WELL
    drills: tuple[Drill, ...] = ()
