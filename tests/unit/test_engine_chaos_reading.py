"""What the shell reads for an experiment: before, all that a plan depends on; from then on, only what is on record."""

from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from fakes import NOON, FakeClock
from homeostat.api.chaos import ChaosExperimentSpec
from homeostat.api.chaos_status import ChaosExperimentStatus, Phase, TargetPhase, TargetRecord, WorkloadRecord
from homeostat.core.cluster import AgentContainer, Lock, Namespace, Pod, Service, Workload
from homeostat.core.guarding.watch import GuardSeen
from homeostat.core.orders import AgentState, Said
from homeostat.core.ref import Ref
from homeostat.engine.chaos.crowd import LASTS, LASTS_AT_START, Crowd
from homeostat.engine.chaos.links import AgentLinks, Heard
from homeostat.engine.chaos.reading import ExperimentReader
from homeostat.engine.objects import Key
from homeostat.ports import Forbidden, Unavailable
from scenarios.recovery.fleet import Member

KEY = Key("ChaosExperiment", "shop", "slow")
ALLOWED = (("homeostat.dev/chaos", "allowed"),)
AGENT = "homeostat-1"


@dataclass
class FakeCluster:
    """Workloads by (kind, name), Nodes with what is on them, more pods; `asked` is what was asked of it."""

    workloads_: dict[tuple[str, str], Workload] = field(default_factory=dict)
    guests: dict[str, tuple[Pod, ...]] = field(default_factory=dict)
    pods_: tuple[Pod, ...] = ()
    taking_part: frozenset[str] = frozenset({"shop"})
    counted: int | Exception = 12
    services_: tuple[Service, ...] | Exception = ()
    asked: list[str] = field(default_factory=list)

    async def workload(self, _namespace: str, kind: str, name: str) -> Workload | None:
        self.asked.append(f"{kind} {name}")
        return self.workloads_.get((kind, name))

    async def named(self, namespace: str, kind: str, name: str) -> Workload | None:
        return await self.workload(namespace, kind, name)

    async def selected(self, _namespace: str, kind: str, selector: str) -> tuple[Workload, ...]:
        self.asked.append(f"{kind} {selector}")
        return tuple(one for (known, _), one in self.workloads_.items() if known == kind)

    async def pods(self, namespace: str, selector: str) -> tuple[Pod, ...]:
        self.asked.append(f"pods {namespace} {selector}")
        return tuple(pod for pod in self.pods_ if pod.ref.namespace == namespace)

    async def pods_on(self, node: str) -> tuple[Pod, ...]:
        self.asked.append(f"pods on {node}")
        return self.guests[node]

    async def pod(self, _namespace: str, name: str) -> Pod | None:
        self.asked.append(f"Pod {name}")
        return next((pod for pod in self.pods_ if pod.ref.name == name), None)

    async def services(self, _namespace: str) -> tuple[Service, ...]:
        if isinstance(self.services_, Exception):
            raise self.services_
        return self.services_

    async def namespace(self, name: str) -> Namespace:
        return Namespace(name, is_terminating=False, labels=ALLOWED if name in self.taking_part else ())

    async def disruption_budgets(self, _namespace: str) -> tuple[()]:
        return ()

    async def lock(self, target: Ref) -> Lock | None:
        self.asked.append(f"lock {target.name}")
        return None

    async def ready_pods(self) -> int:
        self.asked.append("all pods")
        if isinstance(self.counted, Exception):
            raise self.counted
        return self.counted

    async def read(self, name: str) -> GuardSeen:
        self.asked.append(f"guard {name}")
        return GuardSeen(ready_for="records")


class Ears(AgentLinks):
    """Links that only note whom they attend."""

    def __init__(self) -> None:
        nobody: Any = None
        super().__init__(nobody, FakeClock(), lambda: True, lambda _key: None)
        self.attended: list[tuple[str, Key | None]] = []
        self.recalled: list[tuple[str, Key]] = []
        self.known: set[str] = set()
        self.said: Said | None = None
        self.has_the_go = False

    def attend(self, pod: Ref, name: str, experiment: Key | None = None) -> None:
        self.attended.append((pod.name, experiment))

    async def recall(self, pod: Ref, name: str, experiment: Key) -> None:
        self.recalled.append((pod.name, experiment))

    def knows(self, uid: str, name: str) -> bool:
        return uid in self.known

    def was_told(self, uid: str, name: str) -> bool:
        return self.has_the_go

    def heard(self, uid: str, name: str) -> Heard:
        return Heard(self.said, NOON)


def reader(cluster: FakeCluster, ears: AgentLinks | None = None, *, sees_all: bool = True) -> ExperimentReader:
    whole: Any = cluster
    return ExperimentReader(whole, whole, whole, ears or Ears(), Crowd(whole, FakeClock()) if sees_all else None)


def spec(fault: dict[str, Any], **target: Any) -> ChaosExperimentSpec:
    hypothesis = [{"healthCheck": {"name": "shop"}}]
    body = {"fault": fault, "target": target, "duration": "10s", "hypothesis": hypothesis}
    return ChaosExperimentSpec.model_validate(body)


WEB = {"selector": {"matchLabels": {"app": "web"}}}
LOSS = {"network": {"loss": "10%", "peers": {"selector": {"matchLabels": {"app": "db"}}}}}


def workload(name: str, kind: str = "Deployment") -> Workload:
    return Member(name, kind).workload(NOON, (0, 3))


def with_agent(pod: Pod, state: Any) -> Pod:
    return replace(pod, agents=(AgentContainer(AGENT, state),))


def under_way(phase: Phase, *pods: Pod, guard: str = "") -> ChaosExperimentStatus:
    owner = WorkloadRecord(kind="Deployment", name="web", uid="web-uid-1", ready_before=2)
    records = tuple(
        TargetRecord(kind="Pod", name=pod.ref.name, uid=pod.ref.uid, workload=owner, agent=AGENT) for pod in pods
    )
    return ChaosExperimentStatus(phase=phase, targets=records, guard=guard)


# --- before ---------------------------------------------------------------------------------------------


async def test_before_a_fault_all_that_a_plan_depends_on_is_read() -> None:
    """C10: owners, peers, the pods of the namespace and of the cluster."""
    web = workload("web")
    cluster = FakeCluster({("Deployment", "web"): web}, pods_=web.pods)
    read = await reader(cluster).before(spec(LOSS, kind="Pod", **WEB), ChaosExperimentStatus(), "shop")

    assert [pod.ref.name for pod in read.pods] == ["web-0", "web-1"]
    assert [owner.ref.name for owner in read.owners] == ["web"]
    assert (read.namespace_pods, read.cluster_pods) == (2, 12)
    assert read.peers == {"app=db": ("10.0.0.1",)}


async def test_nodes_are_not_looked_for_where_experiments_may_not_touch_them() -> None:
    """C10: in scope Namespaced that could only be refused."""
    cluster: Any = FakeCluster()
    closed = ExperimentReader(cluster, cluster, cluster, Ears(), None, node_namespaces=())
    read = await closed.before(spec({"cordon": {}}, kind="Node", name="one"), ChaosExperimentStatus(), "shop")

    assert read.workloads == ()
    assert not [what for what in cluster.asked if "one" in what]


async def test_peers_are_also_met_by_the_address_of_a_service_that_stands_for_them() -> None:
    """C10: inside a pod, what goes to a Service carries the Service's address."""
    web = workload("web")
    services = (Service("db", "", ("10.96.0.7",)), Service("other", "app=other", ("10.96.0.8",)))
    cluster = FakeCluster({("Deployment", "web"): web}, pods_=web.pods, services_=services)
    read = await reader(cluster).before(spec(LOSS, kind="Pod", **WEB), ChaosExperimentStatus(), "shop")
    cluster.services_ = Forbidden("no")
    unseen = await reader(cluster).before(spec(LOSS, kind="Pod", **WEB), ChaosExperimentStatus(), "shop")

    assert read.peers == {"app=db": ("10.0.0.1", "10.96.0.7")}
    assert unseen.peers == {"app=db": ("10.0.0.1",)}


async def test_the_pods_of_the_cluster_are_counted_once_for_many_looks() -> None:
    cluster, clock = FakeCluster(), FakeClock()
    whole: Any = cluster
    crowd = Crowd(whole, clock)
    assert [await crowd.count(3) for _ in range(3)] == [12, 12, 12]
    clock.advance(LASTS)
    cluster.counted = Forbidden("no")

    assert await crowd.count(3) is None
    assert cluster.asked == ["all pods"] * 2


async def test_a_count_of_fewer_pods_than_there_are_in_the_namespace_is_made_anew() -> None:
    """C10: the cluster was empty a moment ago; that refuses nothing now."""
    cluster = FakeCluster(counted=0)
    whole: Any = cluster
    crowd = Crowd(whole, FakeClock())
    assert await crowd.count(0) == 0
    cluster.counted = 40

    assert [await crowd.count(3), await crowd.count(3)] == [40, 40]
    assert cluster.asked == ["all pods"] * 2


async def test_a_run_that_begins_is_held_against_a_fresh_count() -> None:
    """C10: a refusal is final, so it does not rest on what was there half a minute ago."""
    cluster, clock = FakeCluster(counted=3), FakeClock()
    whole: Any = cluster
    crowd = Crowd(whole, clock)
    assert await crowd.count(3) == 3
    cluster.counted = 40
    clock.advance(LASTS_AT_START)

    assert (await crowd.count(3), await crowd.count(3, LASTS_AT_START)) == (3, 40)


async def test_who_sees_only_some_namespaces_counts_nobody_elsewhere() -> None:
    cluster = FakeCluster()
    read = await reader(cluster, sees_all=False).before(
        spec({"podKill": {}}, kind="Pod", **WEB), ChaosExperimentStatus(), "shop"
    )

    assert read.cluster_pods is None
    assert "all pods" not in cluster.asked


@pytest.mark.parametrize("target", [{"name": "n1"}, {"selector": {"matchLabels": {"pool": "spare"}}}])
async def test_a_node_comes_with_its_pods_and_says_which_are_of_other_people(target: dict[str, Any]) -> None:
    """C10: pods of namespaces that take no part are named; those that do come with their workloads."""
    web = workload("web")
    stranger = replace(web.pods[0], ref=Ref("Pod", "bank", "ledger-0", "ledger-uid"))
    guest = replace(web.pods[0], owner=Ref("ReplicaSet", "shop", "web-abc", "abc-uid"))
    node = replace(workload("n1", "Node"), pods=())
    cluster = FakeCluster(
        {("Node", "n1"): node, ("Deployment", "web"): web}, guests={"n1": (guest, stranger)}, pods_=web.pods
    )
    read = await reader(cluster).before(spec({"drain": {}}, kind="Node", **target), ChaosExperimentStatus(), "shop")

    (seen,) = read.workloads
    assert [pod.owner and pod.owner.kind for pod in seen.pods] == ["Deployment", "Deployment"]
    assert read.pods_elsewhere == frozenset({"ledger-uid"})
    assert [owner.ref.name for owner in read.owners] == ["web"]


# --- during ---------------------------------------------------------------------------------------------


async def test_while_a_fault_is_on_only_what_is_on_record_is_read() -> None:
    """C5: a workload with its pods, its lock, the guard: four questions a second, however many pods it has."""
    web = workload("web")
    cluster = FakeCluster({("Deployment", "web"): web})
    status = under_way(Phase.RUNNING, *web.pods, guard="guard-1")
    read = await reader(cluster).during(KEY, spec(LOSS, kind="Pod", **WEB), status)

    assert sorted(cluster.asked) == ["Deployment web", "guard guard-1", "lock web"]
    assert set(read.victims) == {pod.ref.uid for pod in web.pods}
    assert (read.guard, read.peers) == (GuardSeen(ready_for="records"), {})


async def test_a_pod_that_left_its_workload_is_asked_for_by_name() -> None:
    """C5: one of the same name and another uid is not the one on record."""
    web = workload("web")
    gone, replaced = web.pods
    cluster = FakeCluster(
        {("Deployment", "web"): replace(web, pods=())},
        pods_=(gone, replace(replaced, ref=replace(replaced.ref, uid="x"))),
    )
    read = await reader(cluster).during(KEY, spec(LOSS, kind="Pod", **WEB), under_way(Phase.RUNNING, gone, replaced))

    assert set(read.victims) == {gone.ref.uid}


async def test_a_plan_can_be_looked_at_again_until_the_fault_is_on() -> None:
    """C2: what was right a moment ago may be wrong by now; without an answer nothing is begun, and all is undone."""
    web = workload("web")
    cluster = FakeCluster({("Deployment", "web"): web}, pods_=web.pods)
    status = under_way(Phase.INJECTING, *web.pods)
    read = await reader(cluster).during(KEY, spec(LOSS, kind="Pod", **WEB), status)
    cluster.counted = Unavailable("no answer")
    blind = await reader(cluster).during(KEY, spec(LOSS, kind="Pod", **WEB), status)

    assert read.namespace is not None
    assert (len(read.pods), set(read.peers), set(read.victims)) == (2, {"app=db"}, set(blind.victims))
    assert (blind.namespace, blind.pods) == (None, ())


async def test_a_fault_that_is_on_somewhere_is_not_planned_again() -> None:
    web = workload("web")
    cluster = FakeCluster({("Deployment", "web"): web}, pods_=web.pods)
    status = under_way(Phase.INJECTING, *web.pods)
    first, *others = status.targets
    on = first.model_copy(update={"phase": TargetPhase.INJECTED})
    read = await reader(cluster).during(
        KEY, spec(LOSS, kind="Pod", **WEB), status.model_copy(update={"targets": (on, *others)})
    )

    assert (read.namespace, read.pods) == (None, ())


@pytest.mark.parametrize(
    ("said", "was_told", "is_planned_again"),
    [(AgentState.READY, False, True), (AgentState.READY, True, False), (AgentState.ON, False, False)],
)
async def test_a_fault_that_an_agent_may_begin_is_not_planned_again(
    said: AgentState, *, was_told: bool, is_planned_again: bool
) -> None:
    """C4: beats follow from each look, so that one is short as soon as there is a fault to be beaten for."""
    web, ears = workload("web"), Ears()
    cluster = FakeCluster({("Deployment", "web"): web}, pods_=web.pods)
    status = under_way(Phase.INJECTING, *web.pods)
    records = tuple(one.model_copy(update={"agent": AGENT}) for one in status.targets)
    ears.said, ears.has_the_go = Said(said), was_told
    read = await reader(cluster, ears).during(
        KEY, spec(LOSS, kind="Pod", **WEB), status.model_copy(update={"targets": records})
    )

    assert (read.namespace is not None) is is_planned_again


@pytest.mark.parametrize(
    ("state", "is_known", "attended", "recalled"),
    [
        ("Running", True, 1, 0),
        ("Waiting", False, 1, 0),
        ("Ended", False, 0, 1),
        ("Ended", True, 0, 0),
    ],
    ids=["runs", "starts", "ended unheard", "ended"],
)
async def test_agents_on_record_are_listened_to_until_they_have_ended(
    state: Any, attended: int, recalled: int, *, is_known: bool
) -> None:
    """C3: also after a restart of ours, when nobody knows them yet, and for the last word of one that has ended."""
    web, ears = workload("web"), Ears()
    pod = with_agent(web.pods[0], state)
    ears.known = {pod.ref.uid} if is_known else set()
    cluster = FakeCluster({("Deployment", "web"): replace(web, pods=(pod,))})
    read = await reader(cluster, ears).during(KEY, spec(LOSS, kind="Pod", **WEB), under_way(Phase.RUNNING, pod))

    assert ears.attended == [(pod.ref.name, KEY)] * attended
    assert ears.recalled == [(pod.ref.name, KEY)] * recalled
    seen = read.agents[pod.ref.uid]
    assert (seen.container, seen.heard_at) == (AgentContainer(AGENT, state), NOON)
