"""What RecoveryPolicies heal, read on demand (`ports.Targets`): workloads, Nodes, Services, and what controls Pods.

Every read is a quorum read, as those of `kube/workloads/cluster.py`, which it builds on.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any, Protocol

from homeostat.core.chaos.selector import selects
from homeostat.core.cluster import Job, PatchEffect, Pod, Revision, Workload
from homeostat.core.ref import Ref
from homeostat.kube.apiserver.client import ApiClient
from homeostat.kube.apiserver.resources import NODE, POD, SERVICE, WORKLOADS
from homeostat.kube.workloads.cluster import ApiCluster
from homeostat.kube.workloads.projections import (
    controller_workload_of,
    node_conditions_of,
    node_workload_of,
    pod_of,
    service_workload_of,
)
from homeostat.ports import Gone

Raw = Mapping[str, Any]


class Changes(Protocol):
    """What is read to change an object and to put it back."""

    async def revisions(self, workload: Workload) -> tuple[Revision, ...]:
        """Read the revisions of a workload, newest first."""
        ...

    async def try_patch(self, target: Ref, strategy: str, body: Mapping[str, Any]) -> PatchEffect:
        """Find by a dry run what a patch would change."""
        ...

    async def fields(self, target: Ref, wanted: Mapping[str, Any]) -> Mapping[str, Any]:
        """Read those fields of an object that a merge patch names."""
        ...


class RunningJobs(Protocol):
    """The Jobs that steps are."""

    async def job(self, namespace: str, name: str) -> Job | None:
        """Read a Job."""
        ...


class ApiTargets:
    """`ports.Targets` on the API server. All methods raise Unavailable, Forbidden or Rejected."""

    def __init__(self, client: ApiClient, cluster: ApiCluster, changes: Changes, jobs: RunningJobs) -> None:
        self._client = client
        self._cluster = cluster
        self._changes = changes
        self._jobs = jobs

    async def named(self, namespace: str, kind: str, name: str) -> Workload | None:
        """Read one target; of a Pod, what controls it, and of a controller of another kind, what its pods tell."""
        if kind in WORKLOADS:
            return await self._cluster.workload(namespace, kind, name)
        if kind == "Node":
            return await self._node(name)
        if kind == "Service":
            raw = await self._read(SERVICE.path(namespace, name))
            return service_workload_of(raw) if raw else None
        if kind == "Pod":
            pod = await self._cluster.pod(namespace, name)
            found = await self._controllers(namespace, (pod,)) if pod else ()
            return found[0] if found else None
        return await self._of_another_kind(namespace, kind, name)

    async def selected(self, namespace: str, kind: str, selector: str) -> tuple[Workload, ...]:
        """Read the targets that match a label selector.

        Of Nodes, only those with something wrong come with the pods on them.
        """
        if kind == "Node":
            return await self._nodes(selector)
        if kind == "Pod":
            return await self._controllers(namespace, await self._cluster.pods(namespace, selector))
        return await self._cluster.workloads(namespace, kind, selector)

    async def pods_on(self, node: str) -> tuple[Pod, ...]:
        """Read the pods on a Node, of all namespaces; their owner is who controls them directly."""
        query = {"fieldSelector": f"spec.nodeName={node}"}
        return tuple(map(pod_of, await self._client.collect(POD.path(), query=query)))

    async def revisions(self, workload: Workload) -> tuple[Revision, ...]:
        """Read the revisions of a Deployment, StatefulSet or DaemonSet, newest first."""
        return await self._changes.revisions(workload)

    async def try_patch(self, target: Ref, strategy: str, body: Mapping[str, Any]) -> PatchEffect:
        """Find by a dry run on the API server what a patch would change, or why it would not apply."""
        return await self._changes.try_patch(target, strategy, body)

    async def fields(self, target: Ref, wanted: Mapping[str, Any]) -> Mapping[str, Any]:
        """Read those fields of an object that a merge patch names; absent ones are None."""
        return await self._changes.fields(target, wanted)

    async def job(self, namespace: str, name: str) -> Job | None:
        """Read a Job."""
        return await self._jobs.job(namespace, name)

    # --- nodes ------------------------------------------------------------------------------------------

    async def _node(self, name: str) -> Workload | None:
        found = await self._all_nodes(lambda raw: bool(raw["metadata"]["name"] == name))
        return replace(found[0], pods=await self.pods_on(name)) if found else None

    async def _nodes(self, selector: str) -> tuple[Workload, ...]:
        found = await self._all_nodes(lambda raw: selects(selector, raw["metadata"].get("labels") or {}))
        pods = {node.ref.uid: await self.pods_on(node.ref.name) for node in found if node.conditions}
        return tuple(replace(node, pods=pods.get(node.ref.uid, ())) for node in found)

    async def _all_nodes(self, is_wanted: Callable[[Raw], bool]) -> list[Workload]:
        """Go through all Nodes: keep what is wanted, for an object lists all images it has, and count the rest."""
        found: dict[str, Workload] = {}
        is_sick: dict[str, bool] = {}
        async for page in self._client.pages(NODE.path()):
            is_sick |= {raw["metadata"]["name"]: bool(node_conditions_of(raw)) for raw in page}
            found |= {raw["metadata"]["name"]: node_workload_of(raw) for raw in page if is_wanted(raw)}
        population = sum(is_sick.values()), len(is_sick)
        return [replace(node, population=population) for _, node in sorted(found.items())]

    # --- pods -------------------------------------------------------------------------------------------

    async def _controllers(self, namespace: str, pods: Iterable[Pod]) -> tuple[Workload, ...]:
        """Give what controls the pods, each with all its pods; a pod without controller stands for itself."""
        meant: dict[Ref, set[str]] = {}
        alone: list[Workload] = []
        for pod in pods:
            if pod.owner is None or pod.is_mirror:
                alone.append(replace(controller_workload_of(pod.ref, (pod,)), eligible=frozenset({pod.ref.uid})))
            else:
                meant.setdefault(pod.owner, set()).add(pod.ref.uid)
        known = await self._known(namespace, meant)
        found = [replace(one, eligible=frozenset(meant[one.ref])) for one in known]
        return tuple(sorted((*found, *alone), key=lambda one: (one.ref.kind, one.ref.name)))

    async def _known(self, namespace: str, wanted: Iterable[Ref]) -> list[Workload]:
        """Read controllers: one by its name, several by listings, which are few however many match."""
        refs = set(wanted)
        known: dict[Ref, Workload] = {}
        for kind in sorted({ref.kind for ref in refs} & WORKLOADS.keys()):
            of_kind = [ref for ref in refs if ref.kind == kind]
            known |= {one.ref: one for one in await self._of_kind(namespace, kind, of_kind) if one.ref in refs}
        missing = refs - known.keys()
        pods = await self._cluster.pods(namespace, "") if missing else ()
        made = [controller_workload_of(ref, tuple(pod for pod in pods if pod.owner == ref)) for ref in missing]
        return [*known.values(), *(one for one in made if one.pods)]

    async def _of_kind(self, namespace: str, kind: str, refs: list[Ref]) -> tuple[Workload, ...]:
        if len(refs) > 1:
            return await self._cluster.workloads(namespace, kind, "")
        found = await self._cluster.workload(namespace, kind, refs[0].name)
        return (found,) if found else ()

    async def _of_another_kind(self, namespace: str, kind: str, name: str) -> Workload | None:
        pods = await self._cluster.pods(namespace, "")
        own = [pod for pod in pods if pod.owner and (pod.owner.kind, pod.owner.name) == (kind, name)]
        if not own or own[0].owner is None:
            return None
        return controller_workload_of(own[0].owner, tuple(own))

    async def _read(self, path: str) -> dict[str, Any] | None:
        try:
            return await self._client.request("GET", path)
        except Gone:
            return None
