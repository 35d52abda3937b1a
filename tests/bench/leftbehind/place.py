"""Where trials take place: a namespace with the sample shop, a Node of its own, an operator and its namespace."""

import itertools
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import yaml

from bench.kills.server import Server
from bench.leftbehind.faults import Kind
from bench.leftbehind.halting import Desk, Halt, Halting
from bench.leftbehind.nodes import KEPT, Nodes
from bench.scene import kubeconfig, new_stage
from bench.subject import ROOT
from cluster.manifests import OURS, SHOP, Manifest, bystander, deployment, health_check
from cluster.stage import APPLY, MERGE, Api
from cluster.waiting import until

IMAGE = "homeostat.dev/operator:dev"
GUEST, STEADY = "guest", "steady"
NUMBERS = itertools.count(1)
RBAC = "/apis/rbac.authorization.k8s.io/v1"
WHERE = {
    "ServiceAccount": "/api/v1",
    "Role": RBAC,
    "RoleBinding": RBAC,
    "ClusterRole": RBAC,
    "ClusterRoleBinding": RBAC,
}
UNDO = ("homeostat-undo", "homeostat-undo-nodes")
MOST_AGENTS = 8
"""So many ended agents may be listed in a pod before it is replaced."""
OWN_LEASES = ("homeostat-leader", "homeostat-actions")


class Place:
    """One place, for one trial after another."""

    def __init__(self, api: Api, nodes: Nodes, server: Server, folder: Path) -> None:
        number = next(NUMBERS)
        self.stage = new_stage(api, f"left-{os.getpid()}-{number}", Path(tempfile.mkdtemp(dir=folder)))
        self.nodes, self.node, self._api = nodes, f"node-{os.getpid()}-{number}", api
        self.desk = Desk(self.stage.folder / "halt", self.stage.folder / "points")
        self.desk.tell(Halt(0))
        self.operator: Halting | None = None
        labels = {"metadata": {"labels": {"homeostat.dev/chaos": "allowed"}}}
        api("PATCH", f"/api/v1/namespaces/{self.stage.namespace}", labels, content_type=MERGE)
        self._permit()
        nodes.make(self.node)
        server.heal(self.stage.namespace)
        check = {"probe": {"http": {"url": server.url(self.stage.namespace)}}, "interval": "2s", "timeout": "2s"}
        self.stage.put(shop(), bystander(), self._guest(), health_check(STEADY, **check))
        for name in (SHOP, "bystander", GUEST):
            self.until_serving(name)

    # --- what is in it ----------------------------------------------------------------------------------

    def _permit(self) -> None:
        """Give the undo Pods of this place what dist/ gives them, and no more."""
        for document in _documents():
            kind, name = document["kind"], document["metadata"]["name"]
            if kind == "ClusterRoleBinding":
                name = document["metadata"]["name"] = f"{name}-{self.stage.namespace}"
                self.stage.cluster_bindings.append(name)
            for subject in document.get("subjects", ()):
                subject["namespace"] = self.stage.system
            scope = "" if kind.startswith("Cluster") else f"namespaces/{self.stage.system}/"
            if scope:
                document["metadata"]["namespace"] = self.stage.system
            path = f"{WHERE[kind]}/{scope}{kind.lower()}s/{name}?fieldManager=bench&force=true"
            code, answer = self._api("PATCH", path, document, content_type=APPLY)
            assert code < 300, answer

    def _guest(self) -> Manifest:
        """Write the Deployment that a drain evicts: its pod has only this place's Node to go to."""
        found = deployment(1, GUEST)
        pod = found["spec"]["template"]["spec"]
        pod["nodeSelector"] = {"kubernetes.io/hostname": self.node}
        pod["tolerations"] = [{"key": KEPT, "operator": "Exists"}]
        return found

    def workload(self, kind: Kind) -> str:
        """Name the Deployment that a fault is about."""
        return GUEST if kind.name == "drain" else SHOP

    def pods(self, name: str) -> list[Manifest]:
        """List the pods of a Deployment that are not on their way out."""
        path = f"{self.stage.path('Pod')}?labelSelector=app%3D{name}"
        items: list[Manifest] = self._api("GET", path)[1].get("items", [])
        return [pod for pod in items if "deletionTimestamp" not in pod["metadata"]]

    def is_serving(self, name: str) -> bool:
        """Whether exactly its one pod is there, of the newest template, and ready."""
        found, pods = self.stage.read("Deployment", name), self.pods(name)
        status = found.get("status", {})
        is_seen = status.get("observedGeneration") == found["metadata"]["generation"]
        counts = [status.get(one, 0) for one in ("replicas", "readyReplicas", "updatedReplicas")]
        return is_seen and counts == [1, 1, 1] and len(pods) == 1 and not status.get("terminatingReplicas")

    def until_serving(self, name: str, seconds: float = 90) -> None:
        """Wait until it serves."""
        until(lambda: self.is_serving(name), f"{name} serves in {self.stage.namespace}", seconds)

    def refresh(self, kind: Kind) -> Manifest:
        """Have a pod that is as good as new, and give it."""
        name = self.workload(kind)
        self.until_serving(name)
        pod = self.pods(name)[0]
        restarts = sum(one["restartCount"] for one in pod["status"].get("containerStatuses", ()))
        if restarts or len(pod["spec"].get("ephemeralContainers", ())) > MOST_AGENTS:
            path = self.stage.path("Pod", pod["metadata"]["name"])
            self._api("DELETE", f"{path}?gracePeriodSeconds=0")
            uid = pod["metadata"]["uid"]
            until(lambda: uid not in {one["metadata"]["uid"] for one in self.pods(name)}, "the old pod is gone")
            self.until_serving(name)
            pod = self.pods(name)[0]
        return pod

    def experiment(self, name: str, kind: Kind, seconds: int) -> Manifest:
        """Write an experiment whose hypothesis holds whatever happens to the shop."""
        spec = {
            "fault": kind.fault,
            "target": kind.target(self.node),
            "duration": f"{seconds}s",
            "hypothesis": [{"healthCheck": {"name": STEADY}, "duringFault": "MayBreak"}],
            "steadyFor": "0s",
            "recoveryTimeout": "1m",
            "blastRadius": {"minAvailable": 0},
            "reaction": "Observe",
        }
        return {"apiVersion": OURS, "kind": "ChaosExperiment", "metadata": {"name": name}, "spec": spec}

    # --- the operator -----------------------------------------------------------------------------------

    def operate(self) -> Halting:
        """Have an operator, and give it."""
        if self.operator is None or not self.operator.is_running():
            stage = self.stage
            flags = (
                "--namespaces", stage.namespace, "--operator-namespace", stage.system, "--agent-image", IMAGE,
                "--allow-networks", "127.0.0.0/8", "--chaos-node-namespaces", stage.namespace,
            )  # fmt: skip
            self.operator = Halting(stage.folder, kubeconfig(), flags, self.desk)
            stage.processes.append(self.operator)
            self.operator.start(wait_for="")
        return self.operator

    # --- what a run leaves in the operator's namespace --------------------------------------------------

    def guard_pods(self) -> list[Manifest]:
        """List the undo Pods."""
        found: list[Manifest] = self._api("GET", f"/api/v1/namespaces/{self.stage.system}/pods")[1]["items"]
        return found

    def leases(self) -> Iterator[tuple[str, str]]:
        """Give the Leases of faults, as namespace and name: those of guards, and locks on targets."""
        for namespace in (self.stage.system, self.stage.namespace):
            path = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"
            for item in self._api("GET", path)[1]["items"]:
                if item["metadata"]["name"] not in OWN_LEASES:
                    yield namespace, item["metadata"]["name"]

    def drop_lease(self, namespace: str, name: str) -> None:
        """Delete a Lease."""
        self._api("DELETE", f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases/{name}")

    def drop_guards(self) -> int:
        """Delete all guards at once, Pod before Lease, so that none of them can restore; give how many there were."""
        pods = self.guard_pods()
        for pod in pods:
            path = f"/api/v1/namespaces/{self.stage.system}/pods/{pod['metadata']['name']}"
            self._api("DELETE", f"{path}?gracePeriodSeconds=0")
        for namespace, name in list(self.leases()):
            if name.startswith("homeostat-undo"):
                self.drop_lease(namespace, name)
        return len(pods)


def shop() -> Manifest:
    """Write the target: one pod with limits, without which CPU could not be used up in it."""
    found = deployment(1)
    found["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"]["cpu"] = "200m"
    return found


def _documents() -> Iterator[Manifest]:
    for file in ("chaos.yaml", "chaos-nodes.yaml"):
        for document in yaml.safe_load_all((ROOT / "dist" / "rights" / file).read_text(encoding="utf-8")):
            if document["metadata"]["name"] in UNDO:
                yield document
