"""What is to be let through, and what a gate is: a pure question about it."""

from collections.abc import Callable
from dataclasses import dataclass

from homeostat.api.recovery_status import Signal
from homeostat.core.cluster import Workload
from homeostat.core.recovery.reasons import Block
from homeostat.core.recovery.seen import Case
from homeostat.core.recovery.signals import title
from homeostat.core.recovery.steps.plan import Plan


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be let through: an action, because of a signal; `plan` is a Block when there is none to do."""

    case: Case
    signal: Signal
    plan: Plan | Block | None = None

    @property
    def target(self) -> Workload | None:
        """What would be touched: the policy's target, or the one that the step names instead."""
        return self.plan.workload if isinstance(self.plan, Plan) else self.case.seen.target

    @property
    def trigger(self) -> str:
        """Name the trigger for a human."""
        return title(self.case, self.signal.trigger)


Gate = Callable[[Wish], Block | None]
