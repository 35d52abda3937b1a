"""The workload probe: what the API says of a Deployment, StatefulSet or DaemonSet, without touching its pods."""

import asyncio
from collections.abc import Callable
from decimal import Decimal

from homeostat.core.cluster import Workload
from homeostat.core.probing import Reason, WorkloadRequest
from homeostat.ports import Cluster, Forbidden, Gone, Unavailable
from homeostat.probe.ending import Ending
from homeostat.probe.restarts import RestartMemory


class WorkloadProbe:
    """Looks at a workload once, and remembers how often it had restarted before."""

    def __init__(self, cluster: Cluster, monotonic: Callable[[], float]) -> None:
        self._cluster = cluster
        self._monotonic = monotonic
        self._memory: RestartMemory[WorkloadRequest] = RestartMemory()

    async def run(self, request: WorkloadRequest, deadline: float) -> Ending:
        """Give the ending before `deadline` (monotonic seconds). An API that does not answer teaches us nothing."""
        seen = await self._read(request, deadline)
        if isinstance(seen, Reason):
            return Ending(seen)
        is_restarting = self._is_restarting(request, seen)
        reason = of_readiness(seen, request.min_ready)
        if reason is Reason.OK and is_restarting:
            return Ending(Reason.TOO_MANY_RESTARTS)
        return Ending(reason)

    async def _read(self, request: WorkloadRequest, deadline: float) -> Workload | Reason:
        try:
            async with asyncio.timeout(deadline - self._monotonic()):
                seen = await self._cluster.workload(request.namespace, request.kind, request.name)
        except (TimeoutError, Unavailable):
            return Reason.API_UNAVAILABLE
        except Forbidden:
            return Reason.NOT_PERMITTED
        except Gone:
            return Reason.TARGET_NOT_FOUND
        return Reason.TARGET_NOT_FOUND if seen is None else seen

    def _is_restarting(self, request: WorkloadRequest, seen: Workload) -> bool:
        if request.max_restarts is None or request.restart_window is None:
            return False
        restarts = self._memory.of(request, request.restart_window)
        return restarts.observe(seen.pods, self._monotonic()) > request.max_restarts


def of_readiness(seen: Workload, min_ready: Decimal) -> Reason:
    """Compare the ready replicas with the share `min_ready` (a ratio) of those desired; none desired passes.

    Too few of them while the controller has not yet seen the latest spec is told as a rollout that does not
    come through: the counts are those of the spec before.
    """
    if seen.ready >= min_ready * seen.replicas:
        return Reason.OK
    if seen.observed_generation < seen.generation:
        return Reason.ROLLOUT_INCOMPLETE
    return Reason.NOT_ENOUGH_READY
