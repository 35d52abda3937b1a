"""cordon and drain as whole experiments, on a Node without a kubelet: the only Node that a test may drain."""

from typing import Any

import pytest

from cluster.experiments import CHAOS, MARKER, ended, experiment, guards_of, may_break, open_booths
from cluster.stage import MERGE, Stage
from cluster.test_recovery_steps_stories import SilentNode, on, silent_node
from cluster.waiting import until

pytestmark = pytest.mark.cluster

PASSED = ("Passed", "HypothesisHeld")


def fault_on(node: SilentNode, name: str, **more: Any) -> dict[str, Any]:
    target = {"kind": "Node", "name": node.name}
    fault = {name: more} if more else {name: {}}
    return experiment(name, fault, target=target, duration="3s", hypothesis=[may_break("calm")])


def is_ready(pod: dict[str, Any]) -> bool:
    conditions = pod["status"].get("conditions", [])
    return any((one["type"], one["status"]) == ("Ready", "True") for one in conditions)


def beat(stage: Stage, node: SilentNode) -> set[str]:
    """Do what a kubelet would: the Node is well, and so are its pods; gives their uids."""
    node.say_ready("True")
    ready = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
    for pod in stage.all_of("Pod"):
        is_here = pod["spec"].get("nodeName") == node.name
        if is_here and not is_ready(pod):
            path = f"{stage.path('Pod', pod['metadata']['name'])}/status"
            stage.api("PATCH", path, {"status": ready}, content_type=MERGE)
    return on(stage, node)


def run(stage: Stage, node: SilentNode, manifest: dict[str, Any]) -> dict[str, Any]:
    """Run an experiment while the Node lives; give how it ended."""
    name = manifest["metadata"]["name"]
    stage.put(manifest)

    def look() -> dict[str, Any] | None:
        beat(stage, node)
        status = stage.status(CHAOS, name)
        return status if status.get("phase") == "Finished" else None

    return until(look, f"{name} is over", seconds=150)


def test_a_node_is_cordoned_and_drained_and_then_as_before(stage: Stage) -> None:
    """C2, C5, C10: only one that takes part; its pods go by evictions, and it takes pods again afterwards."""
    with silent_node(stage) as node:
        stage.start("--chaos-node-namespaces", stage.namespace)
        open_booths(stage, "calm", replicas=3)
        stage.put(node.tenants(2))
        tenants = until(lambda: len(found := beat(stage, node)) == 2 and found, "its pods are there")
        until(lambda: stage.status("Deployment").get("readyReplicas") == 2, "they are ready")
        assert ended(run(stage, node, fault_on(node, "cordon"))) == ("Aborted", "NodesNotAllowed")

        stage.api("PATCH", node.path, {"metadata": {"labels": {"homeostat.dev/chaos": "allowed"}}}, content_type=MERGE)
        stage.patch(CHAOS, {"metadata": {"annotations": {"homeostat.dev/run": "2"}}}, "cordon")
        stage.until_status(CHAOS, lambda it: it.get("phase") == "Running", "runs", "cordon")
        assert node.is_cordoned()
        assert MARKER in node.read()["metadata"]["annotations"]
        assert ended(stage.until_finished(2, "cordon")) == PASSED
        assert beat(stage, node) == tenants

        assert ended(run(stage, node, fault_on(node, "drain", gracePeriod="0s"))) == PASSED
        assert not tenants & beat(stage, node)
        assert stage.faults.count("POST", r"/eviction") == 2
        assert not node.is_cordoned()
        assert MARKER not in node.read()["metadata"].get("annotations", {})
        until(lambda: not guards_of(stage), "the guards are gone")
