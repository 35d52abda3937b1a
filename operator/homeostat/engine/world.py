"""The hands of the engine: what it writes with, acts with and tells with, and the fence before every act."""

from collections.abc import Callable
from dataclasses import dataclass

from homeostat.core.action import Action, Outcome
from homeostat.core.ref import Ref
from homeostat.engine.gate import PacedGate
from homeostat.ports import UNTRACED, Actuator, Clock, Facts, Objects, Recorder, Tracer, Unavailable
from homeostat.telemetry.metrics import Metrics

_TARGETS = ("pod", "target", "node", "experiment", "owner")
"""Where an action says what it is done to; its owner where it is done to nothing else."""


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
    tracer: Tracer = UNTRACED

    async def act(self, kind: str, action: Action) -> Outcome:
        """Perform one action for an object of `kind`. Raises Unavailable, and does nothing, without the lead."""
        if not self.may_act():
            raise Unavailable("leadership is lost: another replica may act by now")
        with self.tracer.span("act", _facts(action) if self.tracer.is_kept else {}):
            outcome = await self.actuator.act(action, self.clock.now())
            self.tracer.note({"homeostat.outcome": outcome.verb.value, "homeostat.reason": outcome.reason})
        self.metrics.acted(kind, type(action).__name__, outcome.verb)
        return outcome


def _facts(action: Action) -> Facts:
    """Say what is done to which object, and nothing of what is written there."""
    facts = {"homeostat.action": type(action).__name__, "homeostat.action_id": action.id}
    target = next((found for part in _TARGETS if isinstance(found := getattr(action, part, None), Ref)), None)
    if target is None:
        return facts
    return facts | {
        "homeostat.target.kind": target.kind,
        "homeostat.target.namespace": target.namespace,
        "homeostat.target.name": target.name,
    }
