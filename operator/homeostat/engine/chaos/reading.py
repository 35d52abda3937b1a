"""What an experiment breaks, as the API server has it now: targets and owners, what limits a fault, what holds one.

Two looks: before anything is on record, at all that a plan depends on; and from then on only at what is on record, as
no undo may wait for anything else. Whatever is read, is read with quorum; what cannot be read is an evaluation put off.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace

import structlog

from homeostat.api.chaos import ALLOWED_LABEL, ChaosExperimentSpec, TargetKind
from homeostat.api.chaos_status import ChaosExperimentStatus, Phase, TargetPhase
from homeostat.core.chaos import recorded, target_selector
from homeostat.core.chaos.seen import AgentSeen, ref_of
from homeostat.core.cluster import AgentContainer, DisruptionBudget, Lock, Namespace, Pod, Workload
from homeostat.core.guarding.watch import GuardSeen
from homeostat.core.orders import AgentState
from homeostat.core.ref import Ref
from homeostat.engine.chaos.crowd import LASTS, LASTS_AT_START, Crowd
from homeostat.engine.chaos.links import AgentLinks
from homeostat.engine.chaos.peers import peers_of
from homeostat.engine.objects import Key
from homeostat.ports import Cluster, Forbidden, Guards, Rejected, Targets, Unavailable
from homeostat.side_by_side import read_each, side_by_side

log = structlog.get_logger("homeostat.chaos")

_WORKLOADS = frozenset({"Deployment", "StatefulSet", "DaemonSet"})
_NODE = TargetKind.NODE.value


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What was read, as `core.chaos.seen` names it; the defaults are of an experiment at rest, which needs none."""

    namespace: Namespace | None = None
    pods: tuple[Pod, ...] = ()
    owners: tuple[Workload, ...] = ()
    workloads: tuple[Workload, ...] = ()
    afflicted: tuple[Workload, ...] = ()
    disruption_budgets: tuple[DisruptionBudget, ...] = ()
    namespace_pods: int = 0
    cluster_pods: int | None = None
    locks: Mapping[str, Lock] = field(default_factory=dict)
    victims: Mapping[str, Pod] = field(default_factory=dict)
    agents: Mapping[str, AgentSeen] = field(default_factory=dict)
    guard: GuardSeen | None = None
    peers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    pods_elsewhere: frozenset[str] = frozenset()


class ExperimentReader:
    """Reads what experiments are about. `crowd` counts the pods of the cluster, None where we see only a part of it.

    `node_namespaces`: those whose experiments may touch Nodes, None for all; for others none are looked for.
    """

    def __init__(
        self,
        cluster: Cluster,
        targets: Targets,
        guards: Guards,
        links: AgentLinks,
        crowd: Crowd | None,
        node_namespaces: Collection[str] | None = None,
    ) -> None:
        self._cluster = cluster
        self._targets = targets
        self._guards = guards
        self._links = links
        self._crowd = crowd
        self._node_namespaces = node_namespaces

    async def before(self, spec: ChaosExperimentSpec, status: ChaosExperimentStatus, namespace: str) -> Surroundings:
        """Read all that a plan depends on: nothing is on record yet."""
        async with side_by_side() as reads:
            asked = reads.start(self._asked_for(spec, namespace))
            recorded_ones = reads.start(self._read_workloads(recorded(namespace, status)))
            everybody = reads.start(self._cluster.pods(namespace, ""))
            home = reads.start(self._cluster.namespace(namespace))
            disruption_budgets = reads.start(self._cluster.disruption_budgets(namespace))
            peers = reads.start(peers_of(self._cluster, spec, namespace))
        found, afflicted, ready = asked.result(), recorded_ones.result(), _ready(everybody.result())
        lasts = LASTS_AT_START if status.phase in {Phase.PENDING, Phase.FINISHED} else LASTS
        return replace(
            found,
            namespace=home.result(),
            afflicted=afflicted,
            disruption_budgets=disruption_budgets.result(),
            namespace_pods=ready,
            cluster_pods=await self._crowd.count(ready, lasts) if self._crowd else None,
            locks=await self._locks((*found.owners, *found.workloads, *afflicted)),
            peers=peers.result(),
        )

    async def during(self, key: Key, spec: ChaosExperimentSpec, status: ChaosExperimentStatus) -> Surroundings:
        """Read what is on record, and what holds the fault; while that may be dropped, what its plan depends on too.

        A fault that is on is beaten for by what follows from this look: it has to be a short one.
        """
        async with side_by_side() as reads:
            held = reads.start(self._held(key, status))
            peers = reads.start(peers_of(self._cluster, spec, key.namespace)) if _is_injecting(status) else None
            guard = reads.start(self._guards.read(status.guard)) if status.guard else None
        seen = held.result()
        is_to_begin = _is_to_begin(status) and not any(_may_be_on(agent) for agent in seen.agents.values())
        around = await self._before_if_possible(spec, status, key.namespace) if is_to_begin else Surroundings()
        return replace(
            around,
            afflicted=seen.afflicted,
            victims=seen.victims,
            agents=seen.agents,
            peers=peers.result() if peers else {},
            guard=guard.result() if guard else None,
            locks={**around.locks, **seen.locks},
        )

    async def _held(self, key: Key, status: ChaosExperimentStatus) -> Surroundings:
        """Read what is on record as it stands now, with agents and locks."""
        afflicted = await self._read_workloads(recorded(key.namespace, status))
        async with side_by_side() as reads:
            locks = reads.start(self._locks_if_possible(afflicted))
            victims = reads.start(self._victims(status, key.namespace, afflicted))
        agents = await self._agents(key, status, victims.result())
        return Surroundings(afflicted=afflicted, victims=victims.result(), agents=agents, locks=locks.result())

    async def _before_if_possible(
        self, spec: ChaosExperimentSpec, status: ChaosExperimentStatus, namespace: str
    ) -> Surroundings:
        """Read all that a plan depends on if the API server lets us: without it the fault is not begun, but undone."""
        try:
            return await self.before(spec, status, namespace)
        except (Unavailable, Forbidden, Rejected) as error:
            log.warning("plan not looked at again", error=type(error).__name__)
            return Surroundings()

    # --- targets ----------------------------------------------------------------------------------------

    async def _asked_for(self, spec: ChaosExperimentSpec, namespace: str) -> Surroundings:
        """Read what the spec chooses, and who owns that."""
        pods, workloads = await self._chosen(spec, namespace)
        workloads, pods_elsewhere = await self._resolved(workloads)
        owners = await self._owners(pods or _pods_on_nodes(workloads))
        return Surroundings(pods=pods, owners=owners, workloads=workloads, pods_elsewhere=pods_elsewhere)

    async def _chosen(self, spec: ChaosExperimentSpec, namespace: str) -> tuple[tuple[Pod, ...], tuple[Workload, ...]]:
        target = spec.target
        if target.kind is TargetKind.POD:
            return await self._cluster.pods(namespace, target_selector(spec)), ()
        if target.kind is TargetKind.NODE and not self._may_touch_nodes(namespace):
            return (), ()
        home = "" if target.kind is TargetKind.NODE else namespace
        if target.name is None:
            return (), await self._targets.selected(home, target.kind.value, target_selector(spec))
        found = await self._targets.named(home, target.kind.value, target.name)
        return (), () if found is None else (found,)

    def _may_touch_nodes(self, namespace: str) -> bool:
        return self._node_namespaces is None or namespace in self._node_namespaces

    async def _resolved(self, workloads: tuple[Workload, ...]) -> tuple[tuple[Workload, ...], frozenset[str]]:
        """Give Nodes the pods on them, each with the workload it belongs to, and say which are of other people."""
        if not any(one.ref.kind == _NODE for one in workloads):
            return workloads, frozenset()
        nodes = [one if one.pods else await self._with_pods(one) for one in workloads]
        names = sorted({pod.ref.namespace for node in nodes for pod in node.pods})
        taking_part = [name for name in names if await self._takes_part(name)]
        known = {pod.ref.uid: pod for name in taking_part for pod in await self._cluster.pods(name, "")}
        resolved = tuple(replace(node, pods=tuple(known.get(pod.ref.uid, pod) for pod in node.pods)) for node in nodes)
        strangers = (pod for node in nodes for pod in node.pods if pod.ref.namespace not in taking_part)
        return resolved, frozenset(pod.ref.uid for pod in strangers)

    async def _with_pods(self, node: Workload) -> Workload:
        return replace(node, pods=await self._targets.pods_on(node.ref.name))

    async def _takes_part(self, namespace: str) -> bool:
        found = await self._cluster.namespace(namespace)
        return found is not None and ALLOWED_LABEL in found.labels

    async def _owners(self, pods: Iterable[Pod]) -> tuple[Workload, ...]:
        refs = dict.fromkeys(pod.owner for pod in pods if pod.owner is not None)
        return await self._read_workloads(ref for ref in refs if ref.kind in _WORKLOADS)

    async def _read_workloads(self, refs: Iterable[Ref]) -> tuple[Workload, ...]:
        found = await read_each(self._read_workload, refs)
        return tuple(workload for workload in found if workload is not None)

    async def _read_workload(self, ref: Ref) -> Workload | None:
        if ref.kind in _WORKLOADS:
            return await self._cluster.workload(ref.namespace, ref.kind, ref.name)
        return await self._targets.named(ref.namespace, ref.kind, ref.name)

    # --- what is on record ------------------------------------------------------------------------------

    async def _victims(
        self, status: ChaosExperimentStatus, namespace: str, afflicted: tuple[Workload, ...]
    ) -> dict[str, Pod]:
        """Give the pods on record that are there: most came with their workloads, the others are read by name."""
        known = {pod.ref.uid: pod for workload in afflicted for pod in workload.pods}
        refs = [ref_of(record, namespace) for record in status.targets if record.kind == "Pod"]
        strange = [ref for ref in refs if ref.uid not in known]
        read = await read_each(lambda ref: self._cluster.pod(ref.namespace, ref.name), strange)
        known |= {pod.ref.uid: pod for pod in read if pod is not None}
        return {ref.uid: known[ref.uid] for ref in refs if ref.uid in known}

    async def _agents(
        self, key: Key, status: ChaosExperimentStatus, victims: Mapping[str, Pod]
    ) -> dict[str, AgentSeen]:
        """Say how each agent on record is, and go on listening to those that may have something to say."""
        found: dict[str, AgentSeen] = {}
        for record in status.targets:
            if not record.agent:
                continue
            container = _container(victims.get(record.uid), record.agent)
            if container is not None:
                await self._listen(key, ref_of(record, key.namespace), container)
            heard = self._links.heard(record.uid, record.agent)
            found[record.uid] = AgentSeen(
                container, heard.said, heard.at, self._links.was_told(record.uid, record.agent)
            )
        return found

    async def _listen(self, key: Key, pod: Ref, container: AgentContainer) -> None:
        if container.state != "Ended":
            self._links.attend(pod, container.name, key)
        elif not self._links.knows(pod.uid, container.name):
            await self._links.recall(pod, container.name, key)

    # --- locks ------------------------------------------------------------------------------------------

    async def _locks(self, workloads: Iterable[Workload]) -> dict[str, Lock]:
        refs = {workload.ref.uid: workload.ref for workload in workloads}
        found = zip(refs, await read_each(self._cluster.lock, refs.values()), strict=True)
        return {uid: lock for uid, lock in found if lock is not None}

    async def _locks_if_possible(self, workloads: Iterable[Workload]) -> dict[str, Lock]:
        """Read locks if the API server lets us; taking one is refused anyway while another holds it."""
        try:
            return await self._locks(workloads)
        except (Unavailable, Forbidden, Rejected) as error:
            log.warning("locks not read", error=type(error).__name__)
            return {}


def _is_to_begin(status: ChaosExperimentStatus) -> bool:
    """Whether a fault is on record and not known to be on anywhere: it may have been a moment too late for it."""
    return status.phase is Phase.INJECTING and all(one.phase is TargetPhase.PLANNED for one in status.targets)


def _is_injecting(status: ChaosExperimentStatus) -> bool:
    return status.phase is Phase.INJECTING


def _may_be_on(agent: AgentSeen) -> bool:
    return agent.was_told or (agent.said is not None and agent.said.state is AgentState.ON)


def _container(pod: Pod | None, name: str) -> AgentContainer | None:
    return next((one for one in pod.agents if one.name == name), None) if pod else None


def _pods_on_nodes(workloads: Iterable[Workload]) -> tuple[Pod, ...]:
    return tuple(pod for one in workloads if one.ref.kind == _NODE for pod in one.pods)


def _ready(pods: Iterable[Pod]) -> int:
    return sum(pod.is_ready and not pod.is_terminating for pod in pods)
