"""What others own in the cluster, read on demand (`ports.Cluster`).

Every read is a quorum read: acts follow from it, and a stale answer would act on a pod that is no longer there.
"""

from collections.abc import Collection, Iterable
from dataclasses import replace
from datetime import datetime
from typing import Any

from homeostat.core.cluster import Claim, DisruptionBudget, Lock, Namespace, Node, Pod, Service, TokenBudget, Workload
from homeostat.core.ref import Ref
from homeostat.kube.apiserver.client import METADATA, METADATA_LIST, ApiClient, Request
from homeostat.kube.apiserver.resources import (
    DISRUPTION_BUDGET,
    NAMESPACE,
    NODE,
    POD,
    REPLICA_SET,
    SERVICE,
    VOLUME_CLAIM,
    WORKLOADS,
    Resource,
)
from homeostat.kube.leases.budget import ActionBudget
from homeostat.kube.leases.locks import Locks
from homeostat.kube.workloads.projections import (
    claim_of,
    controller_of,
    disruption_budget_of,
    namespace_of,
    node_of,
    pod_of,
    workload_of,
)
from homeostat.kube.workloads.services import service_of
from homeostat.ports import Gone, Rejected

_FEW_NODES = 10
"""So many nodes are read one by one; more of them by a listing, which is ten requests for 1,000 nodes."""


class ApiCluster:
    """`ports.Cluster` on the API server. All methods raise Unavailable, Forbidden or Rejected."""

    def __init__(self, client: ApiClient, locks: Locks, budget: ActionBudget) -> None:
        self._client = client
        self._locks = locks
        self._budget = budget

    async def workload(self, namespace: str, kind: str, name: str) -> Workload | None:
        """Read a workload with the pods that it controls."""
        try:
            raw = await self._client.request("GET", _workload_resource(kind).path(namespace, name))
        except Gone:
            return None
        seen = workload_of(raw, kind)
        if not seen.selector:
            return seen
        return replace(seen, pods=_owned_by(seen, await self.pods(namespace, seen.selector)))

    async def workloads(self, namespace: str, kind: str, selector: str) -> tuple[Workload, ...]:
        """Read the workloads that match a label selector, with the pods that they control.

        Takes all pods of the namespace at once: two or three listings, however many workloads match.
        """
        raws = await self._collect(_workload_resource(kind), namespace, selector)
        if not raws:
            return ()
        pods = await self.pods(namespace, "")
        found = [workload_of(raw, kind) for raw in raws]
        return tuple(replace(one, pods=_owned_by(one, pods)) for one in found)

    async def pods(self, namespace: str, selector: str) -> tuple[Pod, ...]:
        """Read the pods that match a label selector ("" for all); their owner is the workload, not a ReplicaSet."""
        found = [pod_of(raw) for raw in await self._collect(POD, namespace, selector)]
        return tuple(await self._with_workloads(found, namespace, selector))

    async def pod(self, namespace: str, name: str) -> Pod | None:
        """Read one pod; its owner is the workload, not a ReplicaSet."""
        try:
            raw = await self._client.request("GET", POD.path(namespace, name))
        except Gone:
            return None
        found = pod_of(raw)
        deployment = await self._deployment_of(found.owner) if _is_replica_set(found.owner) else None
        return replace(found, owner=deployment or found.owner)

    async def ready_pods(self) -> int:
        """Count the ready pods of the whole cluster, a page at a time."""
        query, count = {"fieldSelector": "status.phase=Running"}, 0
        async for page in self._client.pages(POD.path(), query=query):
            count += sum(pod.is_ready and not pod.is_terminating for pod in map(pod_of, page))
        return count

    async def services(self, namespace: str) -> tuple[Service, ...]:
        """Read the Services of a namespace that have an address of their own and select pods."""
        found = map(service_of, await self._collect(SERVICE, namespace, ""))
        return tuple(one for one in found if one is not None)

    async def disruption_budgets(self, namespace: str) -> tuple[DisruptionBudget, ...]:
        """Read the PodDisruptionBudgets of a namespace that select anything."""
        raws = await self._collect(DISRUPTION_BUDGET, namespace, "")
        return tuple(found for found in map(disruption_budget_of, raws) if found is not None)

    async def namespace(self, name: str) -> Namespace | None:
        """Read a namespace."""
        try:
            return namespace_of(await self._client.request("GET", NAMESPACE.path(name=name)))
        except Gone:
            return None

    async def claims(self, namespace: str) -> tuple[Claim, ...]:
        """Read the PersistentVolumeClaims of a namespace."""
        return tuple(map(claim_of, await self._collect(VOLUME_CLAIM, namespace, "")))

    async def nodes(self, names: Collection[str]) -> tuple[Node, ...]:
        """Read the nodes with these names; those that are not there are left out."""
        if len(names) > _FEW_NODES:
            return await self._listed_nodes(frozenset(names))
        found = [await self._node(name) for name in names]
        return tuple(node for node in found if node is not None)

    async def lock(self, target: Ref) -> Lock | None:
        """Read who is the one writer of a target; expired ones are given too, `until` tells."""
        return await self._locks.read(target)

    async def token_budget(self, now: datetime) -> TokenBudget:
        """Read the cluster-wide action budget; Unavailable when it is missing or unreadable."""
        return await self._budget.read(now)

    async def _node(self, name: str) -> Node | None:
        try:
            return node_of(await self._client.request("GET", NODE.path(name=name)))
        except Gone:
            return None

    async def _listed_nodes(self, names: frozenset[str]) -> tuple[Node, ...]:
        """Keep of each page only what is asked for: a node's object lists all images it has."""
        found: dict[str, Node] = {}
        async for page in self._client.pages(NODE.path()):
            found.update({node.name: node for node in map(node_of, page) if node.name in names})
        return tuple(found.values())

    async def _collect(self, resource: Resource, namespace: str, selector: str) -> list[dict[str, Any]]:
        query = {"labelSelector": selector} if selector else None
        return await self._client.collect(resource.path(namespace), query=query)

    async def _with_workloads(self, pods: list[Pod], namespace: str, selector: str) -> Iterable[Pod]:
        """Replace ReplicaSets as owners by their Deployments."""
        owners = {pod.owner for pod in pods if pod.owner is not None and _is_replica_set(pod.owner)}
        if not owners:
            return pods
        deployments = await self._deployments(namespace, selector)
        for owner in owners:
            if owner.uid not in deployments:
                deployments[owner.uid] = await self._deployment_of(owner)
        return [
            replace(pod, owner=(deployments.get(pod.owner.uid) if pod.owner else None) or pod.owner) for pod in pods
        ]

    async def _deployments(self, namespace: str, selector: str) -> dict[str, Ref | None]:
        """Give the controllers of ReplicaSets by uid. They carry their pods' labels, so one listing finds most."""
        query = {"labelSelector": selector} if selector else None
        found: dict[str, Ref | None] = {}
        async for page in self._client.pages(REPLICA_SET.path(namespace), query=query, accept=METADATA_LIST):
            found.update({item["metadata"]["uid"]: controller_of(item) for item in page})
        return found

    async def _deployment_of(self, replica_set: Ref | None) -> Ref | None:
        """Read one ReplicaSet's controller; None when it has none, is gone, or was replaced."""
        if replica_set is None:
            return None
        path = REPLICA_SET.path(replica_set.namespace, replica_set.name)
        try:
            raw = await self._client.send(Request("GET", path, accept=METADATA))
        except Gone:
            return None
        return controller_of(raw) if raw["metadata"]["uid"] == replica_set.uid else None


def _workload_resource(kind: str) -> Resource:
    if kind not in WORKLOADS:
        raise Rejected(f"{kind} is not one of {', '.join(WORKLOADS)}")
    return WORKLOADS[kind]


def _owned_by(workload: Workload, pods: Iterable[Pod]) -> tuple[Pod, ...]:
    return tuple(pod for pod in pods if pod.owner is not None and pod.owner.uid == workload.ref.uid)


def _is_replica_set(owner: Ref | None) -> bool:
    return owner is not None and owner.kind == "ReplicaSet"
