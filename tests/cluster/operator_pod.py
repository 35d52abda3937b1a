"""The operator of a story in a pod instead of a process: HOMEOSTAT_TEST_OPERATOR=pod, where the Node is this machine.

The image, its user, its limits and its read-only files are what users have; so are the rights, as in every story. The
network, the store and the log are this machine's, so that a story finds them where those of a process would be.
"""

import os
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

from typing_extensions import override

from cluster.operator_process import AGENT_IMAGE, HURRIED, OperatorProcess, Running
from cluster.waiting import until

NAMESPACE = "homeostat-operators"
"""Of the pods: in none that a story looks at."""


class OperatorPod(OperatorProcess):
    """One replica in a pod, which is another one after each start."""

    def __init__(self, api: Any, folder: Path, *others: Any) -> None:
        super().__init__(folder, *others)
        self._api = api
        self._folder = folder
        folder.chmod(0o777)  # the image's user is nobody here

    @override
    def _launch(self, environment: Mapping[str, str], log: BinaryIO) -> Running:
        self.log.chmod(0o666)
        pod = PodRun(self._api, f"operator-{uuid.uuid4().hex[:12]}")
        pod.begin(self._pod_spec())
        return pod

    def _pod_spec(self) -> dict[str, Any]:
        mounts = [{"name": "folder", "mountPath": str(self._folder)}]
        mounts += [{"name": "hurried", "mountPath": str(HURRIED), "readOnly": True}]
        container = {
            "name": "operator",
            "image": AGENT_IMAGE,
            "imagePullPolicy": "IfNotPresent",
            "command": ["/bin/sh", "-c", f'exec python3 "$@" >>{self.log} 2>&1', "sh", *self._command[1:]],
            "resources": {"requests": {"cpu": "10m"}, "limits": {"memory": "256Mi"}},
            "securityContext": {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            },
            "volumeMounts": mounts,
        }
        return {
            "hostNetwork": True,
            "dnsPolicy": "ClusterFirstWithHostNet",
            "restartPolicy": "Never",
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "securityContext": {"runAsNonRoot": True, "runAsUser": 65532, "runAsGroup": 65532},
            "containers": [container],
            "volumes": [
                {"name": "folder", "hostPath": {"path": str(self._folder), "type": "Directory"}},
                {"name": "hurried", "hostPath": {"path": str(HURRIED), "type": "File"}},
            ],
        }


class PodRun:
    """A pod as a process is seen: its exit code, signals to it, its end."""

    def __init__(self, api: Any, name: str) -> None:
        self._api = api
        self._name = name
        self._path = f"/api/v1/namespaces/{NAMESPACE}/pods/{name}"

    def begin(self, spec: Mapping[str, Any]) -> None:
        """Make it, in a namespace that is there afterwards."""
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
        self._api("POST", "/api/v1/namespaces", namespace)
        body = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": self._name}, "spec": spec}
        until(lambda: self._api("POST", self._path.rpartition("/")[0], body)[0] == 201, f"{self._name} is made")

    def poll(self) -> int | None:
        """Give the exit code, that of a signal as minus its number; None while it lives, or has not begun."""
        ended = self._state().get("terminated")
        if ended is None:
            return None
        code = int(ended["exitCode"])
        return 128 - code if code > 128 else code

    def send_signal(self, sig: int) -> None:
        """Send it a signal, as soon as there is a process to send it to."""
        process = until(self._process, f"{self._name} runs")
        if process > 0:
            os.kill(process, sig)

    def wait(self, timeout: float | None = None) -> int:
        """Wait until it ends, give its exit code, and have the pod gone."""
        until(lambda: self.poll() is not None, f"{self._name} ends", seconds=timeout or 90)
        code = self.poll()
        assert code is not None
        return code

    def _state(self) -> dict[str, Any]:
        statuses = self._api("GET", self._path)[1].get("status", {}).get("containerStatuses") or [{}]
        found: dict[str, Any] = statuses[0].get("state", {})
        return found

    def _process(self) -> int:
        """Find the container's first process on this machine; -1 when it has ended, 0 while there is none."""
        statuses = self._api("GET", self._path)[1].get("status", {}).get("containerStatuses") or [{}]
        if "terminated" in statuses[0].get("state", {}):
            return -1
        container = statuses[0].get("containerID", "").rpartition("/")[2]
        return min(processes_of(container), default=0) if container else 0


def processes_of(container: str) -> list[int]:
    """Give the processes of a container, by the cgroup that they are in."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if container in (folder / "cgroup").read_text():
                found.append(int(folder.name))
        except (FileNotFoundError, ProcessLookupError):
            continue  # it ended while we looked
    return found
