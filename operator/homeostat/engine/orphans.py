"""The last way to undo a fault: by the marker on the target, when no experiment answers for it any more (C3).

An experiment may be gone with its finalizer stripped by hand, and with it our record. The marker on the target
still says what was there before. Guards that have nothing to do any more go the same way.
"""

from collections.abc import Awaitable, Callable

import structlog

from homeostat.api.chaos_status import ChaosExperimentStatus
from homeostat.core.action import DropGuard, HoldFields, Verb
from homeostat.core.chaos import orphans
from homeostat.core.chaos.faults.sweeping import needless
from homeostat.core.guarding.held import Held, Leftover
from homeostat.core.ref import Ref
from homeostat.engine.objects import ObjectStore
from homeostat.engine.world import World
from homeostat.ports import Forbidden

log = structlog.get_logger("homeostat.orphans")

Find = Callable[[], Awaitable[tuple[Held, ...]]]
"""Finds the objects that carry the marker of a fault."""
FindGuards = Callable[[], Awaitable[tuple[Leftover, ...]]]
"""Finds the guards that are there."""


async def no_guards() -> tuple[Leftover, ...]:
    """Find none, where there are no guards."""
    return ()


class OrphanSweep:
    """Undoes faults that nobody answers for."""

    def __init__(self, find: Find, store: ObjectStore, world: World, find_guards: FindGuards = no_guards) -> None:
        self._find = find
        self._find_guards = find_guards
        self._store = store
        self._world = world

    async def sweep(self) -> int:
        """Undo what is orphaned; give the number of undone faults."""
        marked, guards = await self._find(), await self._guards()
        experiments = self._experiments()
        actions = orphans(marked, experiments)
        are_undone = [await self._undo(action) for action in actions]
        if all(are_undone):  # a guard may still be needed where we failed
            for guard in needless(guards, experiments):
                await self._drop(guard)
        return len(actions)

    async def _guards(self) -> tuple[Leftover, ...]:
        """Find the guards; who may not make any has none."""
        try:
            return await self._find_guards()
        except Forbidden:
            return ()

    async def _undo(self, action: HoldFields) -> bool:
        outcome = await self._world.act("ChaosExperiment", action)
        log.warning(
            "orphaned fault undone",
            kind=action.target.kind, namespace=action.target.namespace, name=action.target.name,
            outcome=outcome.verb.value, reason=outcome.reason,
        )  # fmt: skip
        return outcome.verb is Verb.DONE

    async def _drop(self, guard: Leftover) -> None:
        owner = Ref("ChaosExperiment", guard.namespace, "", guard.experiment)
        outcome = await self._world.act("ChaosExperiment", DropGuard(f"sweep-{guard.name}", guard.name, owner))
        log.warning("guard of a run that is over removed", name=guard.name, outcome=outcome.verb.value)

    def _experiments(self) -> dict[str, ChaosExperimentStatus]:
        """Give the status of every experiment by uid; read after the targets, so that none looks gone that began."""
        found = ((entry.ref.uid, entry.status()) for entry in self._store.of_kind("ChaosExperiment"))
        return {uid: status for uid, status in found if isinstance(status, ChaosExperimentStatus)}
