"""Nodes without a kubelet: nothing on them starts, ends or answers, as when a machine has died, unless we say so."""

from datetime import UTC, datetime
from typing import Any

from bench.faults import shop
from bench.faults.run import Run
from cluster.manifests import SAMPLE, Manifest
from cluster.waiting import until

KEPT_FOR_US = "homeostat.dev/bench"
STRATEGIC = "application/strategic-merge-patch+json"
ROOM = {"cpu": "2", "memory": "2Gi", "pods": "20"}
GUEST = "guest"


def make_node(run: Run) -> str:
    """Make a Node for a run, on which only pods are put that are meant to be there; it goes with the run."""
    name = f"node-{run.stage.namespace}"
    labels = {"kubernetes.io/hostname": name, "kubernetes.io/os": "linux"}
    taints = [{"key": KEPT_FOR_US, "effect": "NoSchedule"}]
    body = {
        "apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": labels}, "spec": {"taints": taints},
    }  # fmt: skip
    code, answer = run.stage.api("POST", "/api/v1/nodes", body)
    assert code < 300, answer
    run.nodes.append(name)
    run.closing.callback(run.stage.api, "DELETE", f"/api/v1/nodes/{name}")
    return name


def tell(run: Run, name: str, *, is_ready: bool) -> None:
    """Say of a Node what its kubelet would."""
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    condition = {
        "type": "Ready", "status": "True" if is_ready else "False", "reason": "Bench",
        "lastHeartbeatTime": now, "lastTransitionTime": now,
    }  # fmt: skip
    status = {"capacity": ROOM, "allocatable": ROOM, "conditions": [condition]}
    code, answer = run.stage.api("PATCH", f"/api/v1/nodes/{name}/status", {"status": status}, content_type=STRATEGIC)
    assert code < 300, answer


# --- a Node that is not ready ---------------------------------------------------------------------------


def with_guests(run: Run) -> None:
    """Have two pods, as far as anybody knows in good health, on a Node of the run's own."""
    name = make_node(run)
    tell(run, name, is_ready=True)
    until(lambda: _taints(run, name) == [KEPT_FOR_US], "the cluster takes the Node for ready")
    run.stage.put(_guests(name))
    run.desired[GUEST] = 2
    until(lambda: {_place(pod) for pod in run.pods(GUEST)} == {name} and len(run.pods(GUEST)) == 2, "guests came")
    for pod in run.pods(GUEST):
        _let_it_run(run, pod)


def _guests(node: str) -> Manifest:
    there = {"matchExpressions": [{"key": "kubernetes.io/hostname", "operator": "In", "values": [node]}]}
    preferred = [{"weight": 100, "preference": there}]
    return shop.in_pod(
        shop.deployment(GUEST, 2),
        affinity={"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": preferred}},
        tolerations=[{"key": KEPT_FOR_US, "operator": "Exists"}],
        terminationGracePeriodSeconds=1,
        volumes=[],
        containers=[_without_volumes()],
    )


def _without_volumes() -> dict[str, Any]:
    """Give the container of a guest: what has an emptyDir is not drained."""
    found: dict[str, Any] = shop.deployment(GUEST)["spec"]["template"]["spec"]["containers"][0]
    return {key: value for key, value in found.items() if key not in {"volumeMounts", "args"}}


def _let_it_run(run: Run, pod: Manifest) -> None:
    path = run.stage.path("Pod", pod["metadata"]["name"]) + "/status"
    conditions = [{"type": type_, "status": "True"} for type_ in ("Ready", "ContainersReady", "Initialized")]
    run.stage.api("PATCH", path, {"status": {"phase": "Running", "conditions": conditions}}, content_type=STRATEGIC)


def dies(run: Run) -> None:
    """Let the Node be not ready."""
    tell(run, run.nodes[0], is_ready=False)


def ended(run: Run) -> None:
    """End the pods that were told to go, as a kubelet does whose Node is not ready for want of a network, say."""
    for pod in run.stage.all_of("Pod"):
        if "deletionTimestamp" in pod["metadata"] and _place(pod) in run.nodes:
            path = run.stage.path("Pod", pod["metadata"]["name"])
            run.stage.api("DELETE", f"{path}?gracePeriodSeconds=0")


def have_moved(run: Run) -> bool:
    """Whether nothing new comes to the Node, and what was there runs elsewhere, for its users."""
    _, node = run.stage.api("GET", f"/api/v1/nodes/{run.nodes[0]}")
    return bool(node["spec"].get("unschedulable")) and run.is_well()


def _taints(run: Run, name: str) -> list[str]:
    _, node = run.stage.api("GET", f"/api/v1/nodes/{name}")
    return [one["key"] for one in node["spec"].get("taints", ())]


def _place(pod: Manifest) -> str:
    return str(pod["spec"].get("nodeName", ""))


# --- a pod that does not go -----------------------------------------------------------------------------


def stuck_pod(run: Run) -> None:
    """Tell a pod to go from a dead Node: its ReplicaSet, which has one too many by it, does so."""
    node = make_node(run)
    model = run.pods()[0]
    metadata = {"name": "checkout-stuck", "labels": model["metadata"]["labels"]}
    spec = {
        "nodeName": node, "terminationGracePeriodSeconds": 1, "automountServiceAccountToken": False,
        "containers": [{"name": "sample", "image": SAMPLE, "imagePullPolicy": "Never"}],
    }  # fmt: skip
    body = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}
    code, answer = run.stage.api("POST", run.stage.path("Pod"), body)
    assert code < 300, answer
    until(lambda: "deletionTimestamp" in run.stage.read("Pod", "checkout-stuck")["metadata"], "it is told to go")


def all_have_gone(run: Run) -> bool:
    """Whether all is well, and no pod is on its way out."""
    return run.is_well() and not any("deletionTimestamp" in pod["metadata"] for pod in run.stage.all_of("Pod"))
