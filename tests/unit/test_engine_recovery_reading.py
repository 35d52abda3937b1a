"""What the shell reads of a policy's targets: nothing that is not asked for, and all that acting depends on."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from fakes import NOON
from homeostat.api.recovery import RecoveryPolicySpec
from homeostat.api.recovery_attempt import ActionName, Attempt, AttemptPhase, InFlight, ObjectId
from homeostat.api.recovery_status import RecoveryPolicyStatus
from homeostat.core.cluster import Job, Lock, PatchEffect, Revision, Workload
from homeostat.core.recovery.targets.memory import MOST_TARGETS
from homeostat.core.ref import Ref
from homeostat.engine.recovery.reading import TargetReader
from scenarios.recovery.fleet import Member
from scenarios.recovery.world import OTHER, spec

FRESH = RecoveryPolicyStatus()
REVISION = Revision("web-1", 1, NOON, is_current=True)


@dataclass
class FakeTargets:
    """A cluster of workloads by (kind, name); `asked` is what was asked of it."""

    known: dict[tuple[str, str], Workload] = field(default_factory=dict)
    controls: dict[str, Workload] = field(default_factory=dict)  # what controls a pod, by its name
    asked: list[str] = field(default_factory=list)
    held: dict[str, Lock] = field(default_factory=dict)

    async def named(self, namespace: str, kind: str, name: str) -> Workload | None:
        self.asked.append(f"{kind} {namespace}/{name}")
        return self.controls.get(name) if kind == "Pod" else self.known.get((kind, name))

    async def selected(self, namespace: str, kind: str, selector: str) -> tuple[Workload, ...]:
        self.asked.append(f"{kind} {namespace} {selector}")
        return tuple(self.controls.values() if kind == "Pod" else self.known.values())

    async def revisions(self, workload: Workload) -> tuple[Revision, ...]:
        self.asked.append(f"revisions {workload.ref.name}")
        return (REVISION,)

    async def try_patch(self, target: Ref, strategy: str, body: Mapping[str, Any]) -> PatchEffect:
        self.asked.append(f"try {strategy} {target.name} {body}")
        return PatchEffect({"spec": {"paused": True}}, {"spec": {"paused": None}})

    async def fields(self, target: Ref, wanted: Mapping[str, Any]) -> Mapping[str, Any]:
        self.asked.append(f"fields {target.name} {wanted}")
        return wanted

    async def job(self, namespace: str, name: str) -> Job | None:
        self.asked.append(f"job {namespace}/{name}")
        return None

    async def lock(self, target: Ref) -> Lock | None:
        return self.held.get(target.name)


def workload(name: str, kind: str = "Deployment") -> Workload:
    return Member(name, kind).workload(NOON, (0, 3))


def cluster(*names: str) -> FakeTargets:
    return FakeTargets({("Deployment", name): workload(name) for name in names})


def reader(targets: FakeTargets, *node_namespaces: str) -> TargetReader:
    both: Any = targets
    return TargetReader(both, both, node_namespaces)


def attempt_on(name: str, step: int = 0, **entry: Any) -> RecoveryPolicyStatus:
    """Give the status of an attempt under way on a workload, with one action."""
    target = ObjectId(kind="Deployment", name=name, uid=f"{name}-uid-1")
    attempt = Attempt(
        id="a", step=step, name="patch" if step else "restartPods", trigger=0, phase=AttemptPhase.VERIFYING,
        workload=target, detected_at=NOON, started_at=NOON, deadline=NOON,
    )  # fmt: skip
    known = {"id": "a-0", "target": target, "step": step, "action": ActionName.EVICT_POD, **entry}
    return RecoveryPolicyStatus(attempt=attempt, in_flight=(InFlight(started_at=NOON, deadline=NOON, **known),))


def policy(**changes: Any) -> RecoveryPolicySpec:
    return spec(**{"target": {"kind": "Deployment", "name": "web"}, **changes})


async def test_nodes_are_not_even_looked_at_where_they_are_not_allowed() -> None:
    targets = cluster()
    of_nodes = policy(target={"kind": "Node", "name": "n1"}, steps=[{"cordon": {}}])

    assert await reader(targets, "system").targets(of_nodes, FRESH, "shop") == ()
    assert targets.asked == []
    await reader(targets, "shop").targets(of_nodes, FRESH, "shop")
    assert targets.asked == ["Node shop/n1"]


async def test_of_a_selector_that_matches_everything_no_more_is_kept_than_shows_it() -> None:
    targets = cluster(*(f"d{number}" for number in range(200)))
    selector = {"kind": "Deployment", "selector": {"matchLabels": {"app": "shop"}}}

    found = await reader(targets).targets(policy(target=selector), FRESH, "shop")

    assert len(found) == MOST_TARGETS + 1


async def test_what_an_open_attempt_treats_is_found_although_its_pod_is_gone() -> None:
    """R2: the evicted pod led to its controller; now the record does, and no other pod of it is meant."""
    targets = cluster("web")
    of_pod = policy(target={"kind": "Pod", "name": "web-0"})

    found = await reader(targets).targets(of_pod, attempt_on("web"), "shop")

    assert [one.ref.name for one in found] == ["web"]
    assert found[0].eligible == frozenset()
    assert await reader(targets).targets(of_pod, FRESH, "shop") == ()


async def test_without_steps_that_need_it_only_locks_are_read() -> None:
    targets = cluster("web")
    targets.held["web"] = Lock(OTHER, NOON)

    target, around = await reader(targets).round(policy(), FRESH, "shop", workload("web"))

    assert target.ref.name == "web"
    assert around.lock == Lock(OTHER, NOON)
    assert targets.asked == []


async def test_what_steps_name_is_read_once_with_its_lock() -> None:
    """R11: the target itself is not read a second time."""
    targets = cluster("db")
    targets.held["db"] = Lock(OTHER, NOON)
    names = [{"kind": "Deployment", "name": name} for name in ("web", "db", "gone")]
    steps = [{"rolloutRestart": {}, "targets": names}, {"rolloutUndo": {}, "targets": names[1:2]}]

    _, around = await reader(targets).round(policy(steps=steps), FRESH, "shop", workload("web"))

    assert [one.ref.name for one in around.others] == ["db"]
    assert around.locks == {"db-uid-1": Lock(OTHER, NOON)}
    assert around.revisions == {"db-uid-1": (REVISION,)}
    assert targets.asked == ["Deployment shop/db", "Deployment shop/gone", "revisions db"]


async def test_patches_are_tried_out_by_step_and_object() -> None:
    targets = cluster("web")
    steps = [{"restartPods": {}}, {"patch": {"patch": {"spec": {"paused": True}}}}]

    _, around = await reader(targets).round(policy(steps=steps), FRESH, "shop", workload("web"))

    assert list(around.effects) == [(1, "web-uid-1")]
    assert targets.asked == ["try Merge web {'spec': {'paused': True}}"]


async def test_while_an_attempt_is_open_only_its_own_step_is_prepared() -> None:
    """The cost of a look each second: no patch of another step is tried out."""
    targets = cluster("web")
    steps = [{"restartPods": {}}, {"patch": {"patch": {"spec": {"paused": True}}}}]

    _, around = await reader(targets).round(policy(steps=steps), attempt_on("web"), "shop", workload("web"))

    assert around.effects == {}
    assert targets.asked == []


async def test_what_stands_in_the_fields_of_a_patch_is_read_under_the_name_of_the_change() -> None:
    """R8: its undo is judged by the same fields."""
    targets = cluster("web")
    patches = {"original": {"patch": '{"spec":{"paused":null}}'}, "desired": {"patch": '{"spec":{"paused":true}}'}}
    status = attempt_on("web", step=1, action=ActionName.PATCH, undoes="a-9", **patches)
    steps = [{"restartPods": {}}, {"patch": {"patch": {"spec": {"paused": True}}}}]

    _, around = await reader(targets).round(policy(steps=steps), status, "shop", workload("web"))

    assert list(around.fields) == ["a-9"]
    assert list(around.fields["a-9"]["spec"]) == ["paused"]


async def test_the_job_of_an_attempt_is_read_in_the_policys_namespace() -> None:
    """Also of a policy for Nodes, which have none."""
    targets = FakeTargets({("Node", "n1"): workload("n1", "Node")})
    status = attempt_on("n1", action=ActionName.RUN_JOB)

    await reader(targets, "shop").round(policy(), status, "shop", workload("n1", "Node"))

    assert targets.asked == ["job shop/homeostat-a-0"]
