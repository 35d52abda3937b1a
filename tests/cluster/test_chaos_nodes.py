"""cordon and drain as whole experiments, on a Node without a kubelet: the only Node that a test may drain."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest

from cluster.experiments import CHAOS, MARKER, ended, experiment, guards_of, may_break, open_booths
from cluster.installed import is_ready
from cluster.stage import MERGE, Stage
from cluster.test_recovery_steps_stories import SilentNode, on, silent_node
from cluster.waiting import until

pytestmark = pytest.mark.cluster

PASSED = ("Passed", "HypothesisHeld")


def fault_on(node: SilentNode, name: str, **more: Any) -> dict[str, Any]:
    target = {"kind": "Node", "name": node.name}
    fault = {name: more} if more else {name: {}}
    return experiment(name, fault, target=target, duration="10s", hypothesis=[may_break("calm")])


def is_marked(node: SilentNode) -> bool:
    return MARKER in node.read()["metadata"].get("annotations", {})


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


@contextmanager
def living(stage: Stage, node: SilentNode) -> Iterator[None]:
    """Have it beat all the while: a Node that is silent for 40 s is taken for dead, and its pods are driven away."""
    is_over = threading.Event()

    def live() -> None:
        while not is_over.wait(1):
            beat(stage, node)

    with ThreadPoolExecutor(1) as pool:
        life = pool.submit(live)
        try:
            yield
        finally:
            is_over.set()
            life.result()


def test_a_node_is_cordoned_and_drained_and_then_as_before(stage: Stage) -> None:
    """C2, C5, C10: only one that takes part; its pods go by evictions, and it takes pods again afterwards."""
    with silent_node(stage) as node, living(stage, node):
        stage.start("--chaos-node-namespaces", stage.namespace)
        open_booths(stage, "calm", replicas=3)
        stage.put(node.tenants(2))
        tenants = until(lambda: len(found := beat(stage, node)) == 2 and found, "its pods are there")
        until(lambda: stage.status("Deployment").get("readyReplicas") == 2, "they are ready")
        stage.put(fault_on(node, "cordon"))
        assert ended(stage.until_finished(1, "cordon")) == ("Aborted", "NodesNotAllowed")

        stage.api("PATCH", node.path, {"metadata": {"labels": {"homeostat.dev/chaos": "allowed"}}}, content_type=MERGE)
        stage.patch(CHAOS, {"metadata": {"annotations": {"homeostat.dev/run": "2"}}}, "cordon")
        until(lambda: node.is_cordoned() and is_marked(node), "it is cordoned, and says by what")
        assert ended(stage.until_finished(2, "cordon")) == PASSED
        assert beat(stage, node) == tenants

        stage.put(fault_on(node, "drain", gracePeriod="0s"))
        assert ended(stage.until_finished(1, "drain")) == PASSED
        assert not tenants & beat(stage, node)
        assert stage.faults.count("POST", r"/eviction") == 2
        assert not node.is_cordoned()
        assert not is_marked(node)
        until(lambda: not guards_of(stage), "the guards are gone")
