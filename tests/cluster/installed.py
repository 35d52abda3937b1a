"""The operator as users have it: the Deployment that is installed, in a pod, with the rights of its account alone."""

from collections.abc import Mapping
from typing import Any

from typing_extensions import override

from cluster.installation import apply, documents
from cluster.operator_process import Operator
from cluster.stage import MERGE, Api
from cluster.waiting import until

NAME = "homeostat"
CPU = "500m"
"""What it asks for: it beats for the agents of all stories at once, beside dozens of pods that start on two cores."""


class InstalledOperator(Operator):
    """The one replica of the Deployment `homeostat`, asked through the API server as `kubectl` would."""

    def __init__(self, api: Api, namespace: str, settings: Mapping[str, str]) -> None:
        self._api = api
        self._namespace = namespace
        self._path = f"/apis/apps/v1/namespaces/{namespace}/deployments/{NAME}"
        [deployment] = (one for one in documents() if one["kind"] == "Deployment")
        container = deployment["spec"]["template"]["spec"]["containers"][0]
        told = [{"name": name, "value": value} for name, value in settings.items()]
        container["env"] = [one for one in container["env"] if one["name"] not in settings] + told
        container["resources"]["requests"]["cpu"] = CPU
        apply(api, deployment)
        self._pod = until(self._ready_pod, "the operator that is installed is ready")
        self.await_log("loaded")

    @override
    def words(self) -> str:
        """Give what it has logged, the last lines where it is long."""
        return self._text(f"/log?tailLines=20000&limitBytes={8 << 20}")[1]

    @override
    def is_running(self) -> bool:
        """Whether its container runs, and is the first one still: a restart would hide what ended it."""
        code, pod = self._api("GET", self._pod)
        states = pod.get("status", {}).get("containerStatuses", [])
        return code == 200 and all("running" in one["state"] and one["restartCount"] == 0 for one in states)

    @override
    def get(self, path: str) -> tuple[int, str]:
        """Ask its own HTTP server."""
        return self._text(f":8080/proxy{path}")

    @override
    def stop(self) -> None:
        """Have none of it any more, and wait until it is gone."""
        code, answer = self._api("PATCH", self._path, {"spec": {"replicas": 0}}, content_type=MERGE)
        assert code == 200, answer
        until(lambda: self._api("GET", self._pod)[0] == 404, "the operator that was installed is gone")

    def _text(self, rest: str) -> tuple[int, str]:
        code, answer = self._api("GET", f"{self._pod}{rest}", accept="*/*")
        return code, answer.get("text", "")

    def _ready_pod(self) -> str | None:
        selector = f"labelSelector=app.kubernetes.io/name={NAME}"
        pods = self._api("GET", f"/api/v1/namespaces/{self._namespace}/pods?{selector}")[1]["items"]
        names = [
            one["metadata"]["name"] for one in pods if is_ready(one) and "deletionTimestamp" not in one["metadata"]
        ]
        return f"/api/v1/namespaces/{self._namespace}/pods/{names[0]}" if len(names) == 1 == len(pods) else None


def is_ready(pod: dict[str, Any]) -> bool:
    """Whether the kubelet finds a pod ready."""
    conditions = pod.get("status", {}).get("conditions", [])
    return any((one["type"], one["status"]) == ("Ready", "True") for one in conditions)
