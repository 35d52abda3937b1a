"""The workload probe: what the API says of a Deployment, StatefulSet or DaemonSet, without touching its pods."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from decimal import Decimal

from homeostat.core.cluster import Node, Workload
from homeostat.core.probing.request import WorkloadRequest
from homeostat.core.probing.result import Reason
from homeostat.ports import Cluster
from homeostat.probe.cluster import troubles
from homeostat.probe.cluster.api_call import ask
from homeostat.probe.cluster.lag import Lag
from homeostat.probe.cluster.memory import Memory
from homeostat.probe.cluster.restarts import Restarts
from homeostat.probe.ending import Ending

_NODE_SECONDS = 10.0
"""How long what is known of a node is shared by all checks; Kubernetes itself takes 40 s to notice a lost one."""


class WorkloadProbe:
    """Looks at a workload once, and remembers what the API does not: earlier restarts, and since when it lags."""

    def __init__(self, cluster: Cluster, monotonic: Callable[[], float]) -> None:
        self._cluster = cluster
        self._monotonic = monotonic
        self._restarts: Memory[WorkloadRequest, Restarts] = Memory()
        self._lags: Memory[WorkloadRequest, Lag] = Memory()
        self._nodes = _Nodes(cluster, monotonic)

    async def run(self, request: WorkloadRequest, deadline: float) -> Ending:
        """Give the ending before `deadline` (monotonic seconds). An API that does not answer teaches us nothing."""
        look = self._cluster.workload(request.namespace, request.kind, request.name)
        seen = await ask(look, deadline - self._monotonic())
        if seen is None or isinstance(seen, Reason):
            return Ending(seen or Reason.TARGET_NOT_FOUND)
        is_lagging, is_restarting = self._is_lagging(request, seen), self._is_restarting(request, seen)
        readiness = of_readiness(seen, request.min_ready)
        asked = frozenset(map(Reason, request.fail_on))
        around = await self._look_around(seen, asked, deadline, is_short=readiness is Reason.NOT_ENOUGH_READY)
        reasons = (
            _explained(readiness, around.found),
            Reason.ROLLOUT_INCOMPLETE if is_lagging else None,
            troubles.most_telling(around.found & asked),
            Reason.TOO_MANY_RESTARTS if is_restarting else None,
            around.unread,
        )
        return Ending(next(filter(None, reasons), Reason.OK), share=(seen.ready, seen.replicas))

    async def _look_around(
        self, seen: Workload, asked: Collection[Reason], deadline: float, *, is_short: bool
    ) -> "_Around":
        """Look at the pods, and at their volumes and nodes where that is asked for or may explain what is missing."""
        pods = troubles.living(seen.pods)
        found, unread = troubles.of_pods(pods), None
        claims = troubles.claims_to_read(pods, asked, is_short=is_short)
        if claims:
            read = await ask(self._cluster.claims(seen.ref.namespace), deadline - self._monotonic())
            if isinstance(read, Reason):
                unread = read
            else:
                found |= troubles.of_claims(claims, read)
        names = troubles.nodes_to_read(pods, asked, is_short=is_short)
        if names:
            nodes = await ask(self._nodes.read(names), deadline - self._monotonic())
            if isinstance(nodes, Reason):
                unread = nodes
            else:
                found |= troubles.of_nodes(names, nodes)
        return _Around(frozenset(found), unread)

    def _is_restarting(self, request: WorkloadRequest, seen: Workload) -> bool:
        window = request.restart_window
        if request.max_restarts is None or window is None:
            return False
        restarts = self._restarts.of(request, lambda: Restarts(window))
        return restarts.observe(seen.pods, self._monotonic()) > request.max_restarts

    def _is_lagging(self, request: WorkloadRequest, seen: Workload) -> bool:
        limit = request.max_generation_lag
        if limit is None:
            return False
        lag = self._lags.of(request, Lag).observe(seen, self._monotonic())
        return lag > limit.total_seconds()


@dataclass(frozen=True, slots=True)
class _Around:
    """What was found around a workload, and why not all that was worth a look could be read."""

    found: frozenset[Reason]
    unread: Reason | None


class _Nodes:
    """What is known of nodes, shared by the checks of all workloads that run on them."""

    def __init__(self, cluster: Cluster, monotonic: Callable[[], float]) -> None:
        self._cluster = cluster
        self._monotonic = monotonic
        self._known: dict[str, Node] = {}
        self._until = 0.0

    async def read(self, names: Collection[str]) -> tuple[Node, ...]:
        """Give the nodes with these names that are there, as they were within the last 10 s."""
        now = self._monotonic()
        if now >= self._until:
            self._known, self._until = {}, now + _NODE_SECONDS
        known = self._known  # this very one: while we wait, another check may begin anew
        missing = [name for name in names if name not in known]
        if missing:
            known.update({node.name: node for node in await self._cluster.nodes(missing)})
        return tuple(known[name] for name in names if name in known)


def _explained(readiness: Reason, found: Collection[Reason]) -> Reason | None:
    """Give why it is not ready: the trouble that explains it, where there is one; None when it is ready."""
    if readiness is Reason.NOT_ENOUGH_READY:
        return troubles.most_telling(found) or readiness
    return None if readiness is Reason.OK else readiness


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
