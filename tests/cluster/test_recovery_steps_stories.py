"""What the steps of a RecoveryPolicy do to real pods, and what is left of it when they did not help."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cluster.manifests import SHOP, Manifest, deployment, health_check, objective, policy, service
from cluster.stage import MERGE, Stage
from cluster.waiting import until

pytestmark = pytest.mark.cluster

POLICY = "RecoveryPolicy"
SICK = {"path": "/no-such-page"}  # each pod of the shop fails this check, always
AT_ONCE = {"stabilise": "0s", "holdFor": "0s", "deadline": "3s"}
KEEP = {"onFailure": "NextStep"}
UNDO = {"rolloutUndo": {"changedWithin": "1h"}, "timeout": "5m"}


def changed(manifest: Manifest, **container: Any) -> Manifest:
    """Change the container of a workload: a release."""
    manifest["spec"]["template"]["spec"]["containers"][0] |= container
    return manifest


def container_of(stage: Stage) -> dict[str, Any]:
    """Give the container that the shop's template asks for."""
    found: dict[str, Any] = stage.read("Deployment")["spec"]["template"]["spec"]["containers"][0]
    return found


def done(status: dict[str, Any]) -> list[dict[str, Any]]:
    """Give the attempts that are over and acted, oldest first."""
    return [one for one in reversed(status.get("last", [])) if "actedAt" in one]


def recoveries(status: dict[str, Any]) -> int:
    return sum(one["outcome"] == "Recovered" for one in status.get("last", []))


def pods_of(stage: Stage, app: str) -> list[dict[str, Any]]:
    """Give the pods of an app that are not on their way out."""
    return [
        pod
        for pod in stage.all_of("Pod")
        if pod["metadata"].get("labels", {}).get("app") == app and "deletionTimestamp" not in pod["metadata"]
    ]


def until_ready(stage: Stage, *names: str) -> None:
    """Wait until all replicas of the Deployments serve."""

    def is_ready(name: str) -> bool:
        found = stage.read("Deployment", name)
        return found.get("status", {}).get("readyReplicas", 0) == found["spec"]["replicas"] == len(pods_of(stage, name))

    for name in names:
        until(lambda name=name: is_ready(name), f"{name} serves")


# --- going back -----------------------------------------------------------------------------------------

BAD = {
    "ImagePullBackOff": {"image": "homeostat.invalid/none:1", "imagePullPolicy": "IfNotPresent"},
    "CrashLoopBackOff": {"args": ["-no-such-setting"]},
}


@pytest.mark.parametrize("reason", BAD)
def test_a_release_that_cannot_start_is_rolled_back(shop: Stage, reason: str) -> None:
    """R7, R12: a bad image or configuration: the rollout that is the cause is no obstacle to its own undoing."""
    before = shop.open_healthy_shop(policy(step=UNDO, triggers=[{"pods": {"reason": reason}}]), replicas=2)
    original = container_of(shop)
    shop.put(changed(deployment(2), **BAD[reason]))
    record = shop.until_recovered()
    shop.until_serving(2)

    assert [one.split()[0] for one in record["targets"]] == ["UndoRollout"]
    assert container_of(shop) == original
    assert set(before) & set(shop.pods())


def test_an_objective_that_burns_since_a_release_has_it_rolled_back(shop: Stage) -> None:
    """R7: pods that Kubernetes finds ready fail their users; the burn rate is what tells."""
    burns = [{"slo": {"name": SHOP, "burnRateAbove": "0.2"}}]
    heal = policy(step=UNDO, triggers=burns, verify={"deadline": "30m"} | KEEP)
    shop.open_healthy_shop(heal, objective(), replicas=2)
    shop.put(changed(deployment(2), args=["-fault", '{"kind":"fail"}']))
    status = shop.until_status(POLICY, lambda it: it.get("phase") == "Verifying", "it rolled back")
    shop.until_state("Healthy")

    assert [one["action"] for one in status["inFlight"]] == ["UndoRollout"]
    assert not container_of(shop).get("args")


def test_what_was_changed_by_steps_before_is_restored_by_a_step(shop: Stage) -> None:
    """R8, R16: a patch and replicas that did not help stand until `restore` puts both back, newest first."""
    patch = {"patch": {"patch": {"metadata": {"labels": {"tier": "bronze"}}, "spec": {"minReadySeconds": 1}}}}
    steps = [patch, {"scale": {"by": "+1"}}, {"restore": {}}]
    heal = policy(steps=steps, verify=AT_ONCE | KEEP)
    shop.open_shop(heal, check=health_check(**SICK), replicas=1)
    status = shop.until_status(POLICY, lambda it: len(done(it)) == 3, "three steps were tried")
    found = shop.read("Deployment")

    assert [(one["name"], one.get("undone", False)) for one in done(status)] == [
        ("patch", False), ("scale", False), ("restore", False)
    ]  # fmt: skip
    assert done(status)[0]["outcome"] == done(status)[1]["outcome"] == "Failed"
    assert (found["spec"]["replicas"], found["spec"].get("minReadySeconds", 0)) == (1, 0)
    assert "tier" not in found["metadata"].get("labels", {})
    assert not status.get("changes")


# --- patches --------------------------------------------------------------------------------------------


def test_a_patch_that_did_not_help_is_taken_back_to_the_letter(shop: Stage) -> None:
    """R8: one field of the pods' template; what else somebody changed meanwhile stays."""
    container = {"name": "sample", "env": [{"name": "CAREFUL", "value": "yes"}]}
    template = {"spec": {"containers": [container]}}
    step = {"patch": {"type": "Strategic", "patch": {"spec": {"template": template}}}}
    heal = policy(step=step, verify=AT_ONCE | {"deadline": "8s"})
    shop.open_shop(heal, check=health_check(**SICK), replicas=1)
    before = container_of(shop)
    until(lambda: container_of(shop).get("env"), "it is patched")
    shop.patch("Deployment", {"metadata": {"labels": {"owner": "somebody"}}})
    status = shop.until_status(POLICY, done, "the attempt is over")

    assert (done(status)[0]["outcome"], done(status)[0]["undone"]) == ("Failed", True)
    assert container_of(shop) == before
    assert shop.read("Deployment")["metadata"]["labels"]["owner"] == "somebody"


def test_traffic_goes_to_the_standby_when_restarts_do_not_help(shop: Stage) -> None:
    """R16: a patch of the Service, which its check then finds healthy; it stays."""
    ill = changed(deployment(1), args=["-fault", '{"kind":"fail"}'])
    switch = {
        "patch": {"patch": {"spec": {"selector": {"app": "standby"}}}},
        "targets": [{"kind": "Service", "name": SHOP}],
    }
    steps = [{"restartPods": {"which": "All"}, "timeout": "5m"}, switch]
    shop.put(ill, deployment(1, "standby"), service())
    until_ready(shop, SHOP, "standby")
    shop.put(health_check(), policy(steps=steps, verify={"deadline": "30s"}))
    status = shop.until_status(POLICY, recoveries, "it recovers")

    assert [(one["name"], one["outcome"]) for one in done(status)] == [
        ("restartPods", "Failed"),
        ("patch", "Recovered"),
    ]
    assert shop.read("Service")["spec"]["selector"] == {"app": "standby"}


# --- pods -----------------------------------------------------------------------------------------------


def test_a_running_pod_gets_more_memory_without_a_restart(shop: Stage) -> None:
    """R2: the kubelet gives it half as much again, to the very container, which goes on running."""
    step = {"resize": {"memory": "+50%", "maxMemory": "128Mi"}, "timeout": "5m"}
    before = shop.open_healthy_shop(policy(step=step), replicas=2)
    victim = min(before)
    shop.break_pod(victim)
    until(lambda: sizes(shop, victim) == {"requests": "12Mi", "limits": "96Mi"}, "it runs with its new size")
    shop.heal_pod(victim)
    record = shop.until_recovered()
    other = next(name for name in before if name != victim)

    assert [one.split()[0] for one in record["targets"]] == ["ResizePod"]
    assert shop.pods() == before
    assert shop.read("Pod", victim)["status"]["containerStatuses"][0]["restartCount"] == 0
    assert sizes(shop, other) == {"requests": "8Mi", "limits": "64Mi"}


def sizes(shop: Stage, pod: str) -> dict[str, str]:
    """Give the memory that a container runs with, as the kubelet says it."""
    [container] = shop.read("Pod", pod)["status"]["containerStatuses"]
    return {one: container.get("resources", {}).get(one, {}).get("memory", "") for one in ("requests", "limits")}


def test_a_pod_that_is_not_ready_is_evicted_and_replaced(shop: Stage) -> None:
    """R10: what the kubelet says is enough; no check is needed."""
    asked = {"readinessProbe": {"httpGet": {"path": "/healthz", "port": "http"}, "periodSeconds": 1}}
    shop.put(changed(deployment(2), **asked))
    before = shop.until_serving(2)
    shop.put(policy(step={"evict": {}, "timeout": "5m"}, triggers=[{"pods": {"reason": "NotReady"}}]))
    shop.until_status(POLICY, lambda it: it.get("signals"), "it looks at the pods")
    shop.break_pod(min(before))
    record = shop.until_recovered()

    assert record["targets"] == [f"EvictPod {min(before)}"]
    assert set(before) - set(shop.until_serving(2)) == {min(before)}


# --- several targets ------------------------------------------------------------------------------------


def test_dependants_are_restarted_one_after_the_other(shop: Stage) -> None:
    """R4, R11: the second is touched once all of the first serves; the target itself is not."""
    names = ["worker", "orders"]
    step = {"rolloutRestart": {}, "targets": [{"kind": "Deployment", "name": name} for name in names], "timeout": "2m"}
    others = [deployment(1, name) for name in names]
    shop.open_shop(*others, policy(step=step, suspend=True), check=health_check(**SICK), replicas=1)
    old = {pod["metadata"]["name"] for name in names for pod in pods_of(shop, name)}
    shop.patch(POLICY, {"spec": {"suspend": False}})
    shop.until_status(POLICY, lambda it: it.get("phase") == "Verifying", "both are restarted")
    until_ready(shop, *names)
    first, second = (next(iter(pods_of(shop, name))) for name in names)
    shop.put(health_check())
    record = shop.until_recovered()

    assert record["targets"] == ["RestartRollout worker", "RestartRollout orders"]
    assert old.isdisjoint({first["metadata"]["name"], second["metadata"]["name"]})
    conditions = shop.read("Deployment", names[0])["status"]["conditions"]
    done = next(one["lastUpdateTime"] for one in conditions if one["type"] == "Progressing")
    assert done <= second["metadata"]["creationTimestamp"]  # not the pod's Ready, which a slow probe takes back
    assert shop.read("Deployment")["metadata"]["generation"] == 1


def test_of_several_targets_those_that_fail_are_treated_one_at_a_time(shop: Stage) -> None:
    """R4: a selector of two Deployments, a sick pod in each: one attempt for each, one after the other."""
    front = {"app": "front"}
    names = ("books", "wine")
    for name in names:
        manifest = deployment(2, name)
        manifest["metadata"]["labels"] = {"tier": "front"}
        manifest["spec"]["selector"]["matchLabels"] = front | {"part": name}
        manifest["spec"]["template"]["metadata"]["labels"] = front | {"part": name}
        shop.put(manifest)
    shop.put({**service(), "spec": service()["spec"] | {"selector": front}})
    before = until(lambda: serving(shop, 4), "both serve")
    target = {"kind": "Deployment", "selector": {"matchLabels": {"tier": "front"}}}
    shop.put(health_check(), policy(target=target, suspend=True))
    shop.until_state("Healthy")
    victims = [min(name for name in before if name.startswith(f"{part}-")) for part in names]
    for victim in victims:
        shop.break_pod(victim)
    shop.until_status("HealthCheck", lambda it: it.get("passing") == "2/4", "one of each fails")
    shop.patch(POLICY, {"spec": {"suspend": False}})
    status = shop.until_status(POLICY, lambda it: recoveries(it) == 2, "both recover")
    after = until(lambda: serving(shop, 4), "both serve again")

    first, second = done(status)
    assert (first["targets"], second["targets"]) == ([f"EvictPod {victims[0]}"], [f"EvictPod {victims[1]}"])
    assert second["actedAt"] >= first["endedAt"]
    assert before - after == set(victims)


def serving(shop: Stage, replicas: int) -> set[str]:
    """Give the pods before the Service once so many are ready, else none."""
    ready = [pod for pod in pods_of(shop, "front") if ("Ready", "True") in conditions(pod)]
    return {pod["metadata"]["name"] for pod in ready} if len(ready) == replicas else set()


def conditions(raw: dict[str, Any]) -> list[tuple[str, str]]:
    return [(one["type"], one["status"]) for one in raw.get("status", {}).get("conditions", [])]


# --- Nodes ----------------------------------------------------------------------------------------------


class SilentNode:
    """A Node without a kubelet: it is what it is said to be, and no pod on it ever starts or ends by itself."""

    def __init__(self, stage: Stage) -> None:
        self.name = f"silent-{stage.namespace}"
        self.path = f"/api/v1/nodes/{self.name}"
        self.api = stage.api
        taint = {"key": "homeostat.dev/story", "effect": "NoSchedule"}
        metadata = {"name": self.name, "labels": {"story": stage.namespace}}
        body = {"apiVersion": "v1", "kind": "Node", "metadata": metadata, "spec": {"taints": [taint]}}
        code, answer = stage.api("POST", "/api/v1/nodes", body)
        assert code == 201, answer
        self.say_ready("True")

    def say_ready(self, status: str) -> None:
        """Say whether it is ready, as its kubelet would."""
        beat = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")  # without one for a while, it is taken for dead
        ready = {"type": "Ready", "status": status, "reason": "Story", "lastHeartbeatTime": beat}
        room = {"cpu": "4", "memory": "4Gi", "pods": "20"}
        body = {"status": {"conditions": [ready], "capacity": room, "allocatable": room}}
        code, answer = self.api("PATCH", f"{self.path}/status", body, content_type=MERGE)
        assert code == 200, answer

    def read(self) -> dict[str, Any]:
        return self.api("GET", self.path)[1]

    def is_cordoned(self) -> bool:
        return bool(self.read()["spec"].get("unschedulable"))

    def tenants(self, replicas: int, grace: int = 0) -> Manifest:
        """Give a Deployment whose pods can only be here."""
        manifest = deployment(replicas)
        pod = manifest["spec"]["template"]["spec"]
        pod["nodeSelector"] = {"story": self.read()["metadata"]["labels"]["story"]}
        pod["tolerations"] = [{"key": "homeostat.dev/story", "operator": "Exists"}]
        pod["terminationGracePeriodSeconds"] = grace
        return manifest


@contextmanager
def silent_node(stage: Stage) -> Iterator[SilentNode]:
    """Have such a Node for a while."""
    node = SilentNode(stage)
    try:
        yield node
    finally:
        stage.api("DELETE", node.path)


def on(stage: Stage, node: SilentNode) -> set[str]:
    """Give the pods of the stage on the Node."""
    return {one["metadata"]["uid"] for one in stage.all_of("Pod") if one["spec"].get("nodeName") == node.name}


def for_node(node: SilentNode, step: Manifest, **spec: Any) -> Manifest:
    target = {"kind": "Node", "name": node.name}
    return policy(step=step, target=target, triggers=[{"node": {"condition": "NotReady"}}], **spec)


def test_a_node_that_is_not_ready_is_drained(stage: Stage) -> None:
    """R4, R7, R10: cordoned, then its pods go one by one by evictions; it stays cordoned once it is back."""
    with silent_node(stage) as node:
        stage.start("--node-namespaces", stage.namespace)
        node.say_ready("True")  # it was silent while the operator began
        stage.put(node.tenants(3), for_node(node, {"drain": {}, "timeout": "5m"}))
        until(lambda: node.say_ready("True") or len(on(stage, node)) == 3, "its pods are there")
        older = datetime.now(UTC) + timedelta(
            seconds=1
        )  # what is created in an attempt's own second counts as its doing
        until(lambda: node.say_ready("True") or datetime.now(UTC) > older, "they are older than the attempt")
        node.say_ready("False")
        until(lambda: not on(stage, node), "its pods are gone")
        stage.until_status(POLICY, lambda it: it.get("phase") == "Verifying", "it is drained")
        until(lambda: node.say_ready("True") or stage.status(POLICY)["stats"]["attempts"], "it counts as recovered")
        record = stage.until_recovered()

        assert [one.split()[0] for one in record["targets"]] == ["Cordon", *["EvictPod"] * 3]
        assert stage.faults.count("POST", r"/eviction$") == 3
        assert stage.faults.count("DELETE", r"/pods") == 0
        assert node.is_cordoned()


def test_a_node_that_stays_ill_is_uncordoned_again_unless_somebody_else_had_a_say(stage: Stage) -> None:
    """R8: the mark of ours goes with the change."""
    with silent_node(stage) as node:
        stage.start("--node-namespaces", stage.namespace)
        node.say_ready("True")  # it was silent while the operator began
        stage.put(for_node(node, {"cordon": {}}, verify=AT_ONCE | {"deadline": "20s"}))
        node.say_ready("False")
        until(node.is_cordoned, "it is cordoned")
        assert node.read()["metadata"]["annotations"]["homeostat.dev/attempt"]
        status = stage.until_status(POLICY, done, "the attempt is over")

        assert (done(status)[0]["outcome"], done(status)[0]["undone"]) == ("Failed", True)
        assert not node.is_cordoned()
        assert "homeostat.dev/attempt" not in node.read()["metadata"].get("annotations", {})


def test_a_pod_that_lingers_on_a_silent_node_is_ended(stage: Stage) -> None:
    """R10: `forceTerminating` ends what was told to go long ago, and the operator deletes nothing for it."""
    with silent_node(stage) as node:
        stage.start()
        step = {"evict": {"forceTerminating": True}, "timeout": "5m"}
        stage.put(node.tenants(1, grace=1), policy(step=step, triggers=[{"pods": {"reason": "Terminating"}}]))
        [uid] = until(lambda: node.say_ready("True") or on(stage, node), "its pod is there")
        [name] = stage.pods()
        stage.delete("Pod", name)
        until(lambda: uid not in on(stage, node), "it is gone")
        status = stage.until_status(POLICY, lambda it: it["signals"][0]["state"] == "Quiet", "nothing lingers")

        assert [(one["action"], one["target"]["uid"]) for one in status["inFlight"]] == [("EvictPod", uid)]
        assert stage.faults.count("DELETE", r"/pods") == 0


# --- what goes wrong ------------------------------------------------------------------------------------


def test_a_patch_that_the_api_server_refuses_gives_way_to_the_next_step(shop: Stage) -> None:
    """R15, R16: the dry run finds it; the reason has the server's words, and nothing was changed by it."""
    steps = [
        {"patch": {"patch": {"spec": {"noSuchField": 1}}}, "timeout": "10s"},
        {"restartPods": {"which": "Failing"}, "timeout": "5m"},
    ]
    before = shop.open_healthy_shop(policy(steps=steps), replicas=2)
    shop.break_pod(min(before))
    status = shop.until_blocked("PatchRefused")
    record = shop.until_recovered()

    assert "noSuchField" in status["blocked"]["message"]
    assert (record["name"], record["targets"]) == ("restartPods", [f"EvictPod {min(before)}"])
    assert shop.read("Deployment")["metadata"]["generation"] == 1


def test_a_target_that_was_replaced_under_its_name_is_another_target(shop: Stage) -> None:
    """R2, R8: replicas that were added to the old Deployment are not taken from the new one."""
    step = {"scale": {"by": "+1"}}
    verify = {"holdFor": "0s", "deadline": "30m"}
    limits = {"budget": {"actions": 1}}
    shop.open_shop(policy(step=step, verify=verify, limits=limits), check=health_check(**SICK), replicas=1)
    shop.until_status(POLICY, lambda it: it.get("phase") == "Verifying", "it scaled the old one")
    old = shop.read("Deployment")["metadata"]["uid"]
    shop.delete("Deployment")
    shop.put(deployment(3))
    status = shop.until_status(POLICY, done, "the attempt is over")
    shop.until_blocked("BudgetSpent")
    new = shop.read("Deployment")

    assert done(status)[0]["reason"] == "TargetReplaced"
    assert not status.get("changes")
    assert new["metadata"]["uid"] != old
    assert (new["spec"]["replicas"], new["metadata"]["generation"]) == (3, 1)
