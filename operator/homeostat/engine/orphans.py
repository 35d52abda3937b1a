"""The last way to undo a fault: by the marker on the target, when no experiment answers for it any more (C3).

An experiment may be gone with its finalizer stripped by hand, and with it our record. The marker on the target
still says what was there before.
"""

from collections.abc import Awaitable, Callable

import structlog

from homeostat.api.chaos_status import ChaosExperimentStatus
from homeostat.core.chaos import orphans
from homeostat.core.cluster import Workload
from homeostat.core.decision import Ref
from homeostat.engine.objects import ObjectStore
from homeostat.engine.world import World
from homeostat.ports import Cluster

log = structlog.get_logger("homeostat.orphans")

Find = Callable[[], Awaitable[tuple[Ref, ...]]]
"""Finds the workloads that carry the marker of a fault."""


class OrphanSweep:
    """Undoes faults that nobody answers for."""

    def __init__(self, find: Find, cluster: Cluster, store: ObjectStore, world: World) -> None:
        self._find = find
        self._cluster = cluster
        self._store = store
        self._world = world

    async def sweep(self) -> int:
        """Undo what is orphaned; give the number of undone faults."""
        marked = [await self._read(ref) for ref in await self._find()]
        workloads = [workload for workload in marked if workload is not None]
        actions = orphans(workloads, self._experiments())
        for action in actions:
            outcome = await self._world.act("ChaosExperiment", action)
            log.warning(
                "orphaned fault undone",
                kind=action.target.kind, namespace=action.target.namespace, name=action.target.name,
                outcome=outcome.verb.value, reason=outcome.reason,
            )  # fmt: skip
        return len(actions)

    async def _read(self, ref: Ref) -> Workload | None:
        return await self._cluster.workload(ref.namespace, ref.kind, ref.name)

    def _experiments(self) -> dict[str, ChaosExperimentStatus]:
        """Give the status of every experiment by uid; read after the workloads, so that none looks gone that began."""
        found = ((entry.ref.uid, entry.status()) for entry in self._store.of_kind("ChaosExperiment"))
        return {uid: status for uid, status in found if isinstance(status, ChaosExperimentStatus)}
