"""The hands of the engine: what it writes with, acts with and tells with, and the fence before every act."""

from collections.abc import Callable
from dataclasses import dataclass

from homeostat.core.decision import Action, Outcome
from homeostat.engine.gate import PacedGate
from homeostat.ports import Actuator, Clock, Objects, Recorder, Unavailable
from homeostat.telemetry.metrics import Metrics


@dataclass(frozen=True, slots=True)
class World:
    """All that the engine reaches out with. `may_act`: whether this replica leads now (fencing)."""

    objects: Objects
    actuator: Actuator
    recorder: Recorder
    clock: Clock
    gate: PacedGate
    metrics: Metrics
    may_act: Callable[[], bool]

    async def act(self, kind: str, action: Action) -> Outcome:
        """Perform one action for an object of `kind`. Raises Unavailable, and does nothing, without the lead."""
        if not self.may_act():
            raise Unavailable("leadership is lost: another replica may act by now")
        outcome = await self.actuator.act(action, self.clock.now())
        self.metrics.acted(kind, type(action).__name__, outcome.verb)
        return outcome
