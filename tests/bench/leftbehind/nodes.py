"""Nodes that are objects only, one for each place: what is cordoned and drained here must not end the cluster.

What a kubelet would do for their few pods is done here: they run when they come, and go when they are told to.
"""

import threading
from contextlib import suppress
from datetime import UTC, datetime
from http.client import HTTPException

from cluster.manifests import Manifest
from cluster.stage import Api
from cluster.waiting import until

KEPT = "homeostat.dev/bench"
STRATEGIC = "application/strategic-merge-patch+json"
LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
ROOM = {"cpu": "2", "memory": "2Gi", "pods": "20"}
BEAT, LEASE = 0.4, 8.0  # seconds


class Nodes:
    """Keeps Nodes alive, and their pods, in a thread of its own."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._names: list[str] = []
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._live, daemon=True)
        self._thread.start()

    def make(self, name: str) -> None:
        """Make a Node that takes part in experiments, and wait until the cluster takes it for ready."""
        labels = {"kubernetes.io/hostname": name, "kubernetes.io/os": "linux", "homeostat.dev/chaos": "allowed"}
        spec = {"taints": [{"key": KEPT, "effect": "NoSchedule"}]}
        body = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": labels}, "spec": spec}
        code, answer = self._api("POST", "/api/v1/nodes", body)
        assert code < 300, answer
        self._api("POST", LEASES, {"metadata": {"name": name}, "spec": self._renewal(name)})
        condition = {"type": "Ready", "status": "True", "reason": "Bench", "lastHeartbeatTime": _now()}
        status = {"capacity": ROOM, "allocatable": ROOM, "conditions": [condition]}
        self._api("PATCH", f"/api/v1/nodes/{name}/status", {"status": status}, content_type=STRATEGIC)
        self._names.append(name)
        until(lambda: self._taints(name) == [KEPT], f"the cluster takes Node {name} for ready")

    def read(self, name: str) -> Manifest:
        """Read a Node."""
        return self._api("GET", f"/api/v1/nodes/{name}")[1]

    def close(self) -> None:
        """Remove them all."""
        self._is_over.set()
        self._thread.join()
        for name in self._names:
            self._api("DELETE", f"/api/v1/nodes/{name}")
            self._api("DELETE", f"{LEASES}/{name}")

    def _taints(self, name: str) -> list[str]:
        return [one["key"] for one in self.read(name)["spec"].get("taints", ())]

    def _live(self) -> None:
        beats = 0
        while not self._is_over.wait(BEAT):
            beats += 1
            with suppress(OSError, HTTPException):  # the API server may be away
                for name in list(self._names):
                    if beats % int(LEASE / BEAT) == 0:
                        body = {"spec": self._renewal(name)}
                        self._api("PATCH", f"{LEASES}/{name}", body, content_type="application/merge-patch+json")
                    self._serve(name)

    def _serve(self, node: str) -> None:
        for pod in self._api("GET", f"/api/v1/pods?fieldSelector=spec.nodeName%3D{node}")[1].get("items", ()):
            meta = pod["metadata"]
            path = f"/api/v1/namespaces/{meta['namespace']}/pods/{meta['name']}"
            if "deletionTimestamp" in meta:
                self._api("DELETE", f"{path}?gracePeriodSeconds=0")
            elif pod["status"].get("phase") != "Running":
                conditions = [{"type": one, "status": "True"} for one in ("Ready", "ContainersReady", "Initialized")]
                status = {"status": {"phase": "Running", "conditions": conditions}}
                self._api("PATCH", f"{path}/status", status, content_type=STRATEGIC)

    @staticmethod
    def _renewal(name: str) -> Manifest:
        return {"holderIdentity": name, "leaseDurationSeconds": 40, "renewTime": _now(6)}


def _now(digits: int = 0) -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds" if digits else "seconds").replace("+00:00", "Z")
