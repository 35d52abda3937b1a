"""A stage for one story: a namespace, the sample shop in it, an operator, and a proxy to break the API with."""

import json
import re
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cluster.manifests import OURS, SHOP, Manifest, deployment, health_check, service
from cluster.operator_process import AGENT_IMAGE, LOOPBACK, Operator, OperatorProcess, kubeconfig_for
from cluster.proxy import FaultProxy
from cluster.waiting import PATIENCE, until

Api = Callable[..., tuple[int, dict[str, Any]]]

APPLY, MERGE = "application/apply-patch+yaml", "application/merge-patch+json"
PLURALS = {
    "HealthCheck": "healthchecks",
    "ServiceLevelObjective": "servicelevelobjectives",
    "RecoveryPolicy": "recoverypolicies",
    "ChaosExperiment": "chaosexperiments",
    "GameDay": "gamedays",
    "Freeze": "freezes",
    "Deployment": "deployments",
    "Service": "services",
    "Pod": "pods",
    "Secret": "secrets",
    "Job": "jobs",
    "PodDisruptionBudget": "poddisruptionbudgets",
    "Lease": "leases",
}
GROUPS = {
    "Deployment": "apis/apps/v1",
    "Service": "api/v1",
    "Pod": "api/v1",
    "Secret": "api/v1",
    "Job": "apis/batch/v1",
    "PodDisruptionBudget": "apis/policy/v1",
    "Lease": "apis/coordination.k8s.io/v1",
}
CONTROLLED = ("HealthCheck", "ServiceLevelObjective", "RecoveryPolicy", "GameDay", "ChaosExperiment")


def until_takes_pods(api: Api, namespace: str) -> None:
    """Wait until pods can be made in a new namespace: their account comes a moment later."""
    path = f"/api/v1/namespaces/{namespace}/serviceaccounts/default"
    until(lambda: api("GET", path)[0] == 200, f"the account of pods in {namespace}")


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder that an operator keeps things in: where it finds it, and where the test does."""

    seen: Path
    here: Path


@dataclass
class Stage:
    """Everything a story needs; what it started is ended by `strike`."""

    api: Api
    kubeconfig: Path
    namespace: str
    folder: Path
    operator: Operator | None = None
    proxy: FaultProxy | None = None
    processes: list[OperatorProcess] = field(default_factory=list)
    freezes: list[str] = field(default_factory=list)
    cluster_bindings: list[str] = field(default_factory=list)
    token: str = ""
    host: str = LOOPBACK
    """Where its operators reach what runs beside the test, such as the proxy."""

    # --- objects --------------------------------------------------------------------------------------------

    @property
    def system(self) -> str:
        """Name of the namespace of the stage's own operator."""
        return f"{self.namespace}-system"

    def path(self, kind: str, name: str = "") -> str:
        """Give the path of an object or a collection of the stage; Leases are those of its operator."""
        namespace = self.system if kind == "Lease" else self.namespace
        scope = "" if kind == "Freeze" else f"namespaces/{namespace}/"
        return f"/{GROUPS.get(kind, f'apis/{OURS}')}/{scope}{PLURALS[kind]}" + (f"/{name}" if name else "")

    def put(self, *manifests: Manifest) -> None:
        """Apply as `kubectl apply --server-side` does; a refusal ends the story with the server's words."""
        for manifest in manifests:
            if manifest["kind"] == "Freeze":
                self.freezes.append(manifest["metadata"]["name"])
            path = self.path(manifest["kind"], manifest["metadata"]["name"]) + "?fieldManager=story&force=true"
            code, answer = self.api("PATCH", path, manifest, content_type=APPLY)
            assert code < 300, answer

    def find(self, kind: str, name: str = SHOP) -> dict[str, Any] | None:
        """Read an object; None when it is not there."""
        code, answer = self.api("GET", self.path(kind, name))
        assert code in {200, 404}, answer
        return answer if code == 200 else None

    def read(self, kind: str, name: str = SHOP) -> dict[str, Any]:
        """Read an object that is there."""
        found = self.find(kind, name)
        assert found is not None, f"{kind} {name} is gone"
        return found

    def status(self, kind: str, name: str = SHOP) -> dict[str, Any]:
        """Read an object's status; {} before there is one."""
        return self.read(kind, name).get("status") or {}

    def all_of(self, kind: str) -> list[dict[str, Any]]:
        """List a collection."""
        items: list[dict[str, Any]] = self.api("GET", self.path(kind))[1]["items"]
        return items

    def patch(self, kind: str, body: Manifest, name: str = SHOP) -> None:
        """Merge something into an object."""
        code, answer = self.api("PATCH", self.path(kind, name), body, content_type=MERGE)
        assert code < 300, answer

    def delete(self, kind: str, name: str = SHOP) -> None:
        """Delete an object; that it is gone already is fine."""
        code, answer = self.api("DELETE", self.path(kind, name))
        assert code in {200, 202, 404}, answer

    def condition(self, kind: str, type_: str, name: str = SHOP) -> dict[str, Any]:
        """Give a condition; {} when there is none."""
        conditions = self.status(kind, name).get("conditions", [])
        return next((one for one in conditions if one["type"] == type_), {})

    def events(self, reason: str) -> list[dict[str, Any]]:
        """Give the events with a reason, as `kubectl get events` would show them."""
        return [event for event in self.all_events() if event["reason"] == reason]

    def all_events(self) -> list[dict[str, Any]]:
        """Give all events of the stage."""
        path = f"/apis/events.k8s.io/v1/namespaces/{self.namespace}/events"
        items: list[dict[str, Any]] = self.api("GET", path)[1]["items"]
        return items

    # --- waiting --------------------------------------------------------------------------------------------

    def until_status(
        self, kind: str, holds: Callable[[dict[str, Any]], Any], what: str, name: str = SHOP, seconds: float = PATIENCE
    ) -> dict[str, Any]:
        """Wait until an object's status satisfies `holds`, and give it."""
        last: dict[str, Any] = {}

        def look() -> dict[str, Any] | None:
            last.clear()
            last.update(self.status(kind, name))
            return dict(last) if holds(last) else None

        try:
            return until(look, f"{kind} {name}: {what}", seconds)
        except AssertionError as error:
            error.add_note(json.dumps(last, indent=1)[:4000])
            raise

    def until_state(self, state: str, name: str = SHOP) -> dict[str, Any]:
        """Wait until a HealthCheck is in a state."""
        return self.until_status("HealthCheck", lambda status: status.get("state") == state, state, name)

    def told(self, name: str = SHOP) -> tuple[str, str]:
        """Give the state of a HealthCheck, and in a word what is wrong: with its target, else with itself, else ""."""
        status = self.status("HealthCheck", name)
        failing = [one["reason"] for one in status.get("failing", [])]
        refused = [
            one["reason"] for one in status.get("conditions", []) if (one["type"], one["status"]) == ("Ready", "False")
        ]
        return status.get("state", "Unknown"), next(iter(failing + refused), "")

    def until_told(self, wanted: dict[str, tuple[str, str]]) -> None:
        """Wait until each HealthCheck has the state and the word that are wanted of it."""
        others: dict[str, tuple[str, str]] = {}

        def look() -> bool:
            told = {name: self.told(name) for name in wanted}
            others.clear()
            others.update({name: it for name, it in told.items() if it != wanted[name]})
            return not others

        try:
            until(look, "each check tells what is so")
        except AssertionError as error:
            error.add_note("\n".join(f"{name}: {it}, not {wanted[name]}" for name, it in others.items()))
            raise

    def results(self, name: str = SHOP) -> dict[str, int]:
        """Give the runs of a HealthCheck by result, as the operator's metrics counted them a second ago at most.

        {} when it did not run then.
        """
        pattern = rf'homeostat_check_results_total{{namespace="{self.namespace}",name="{name}",result="(\w+)"}} (\d+)'
        return {result: int(count) for result, count in re.findall(pattern, self.one.get("/metrics")[1])}

    def until_blocked(self, reason: str, name: str = SHOP) -> dict[str, Any]:
        """Wait until a policy says why it does nothing."""
        what = f"blocked by {reason}"
        return self.until_status("RecoveryPolicy", lambda it: it.get("blocked", {}).get("reason") == reason, what, name)

    def until_recovered(self, name: str = SHOP) -> dict[str, Any]:
        """Wait until a policy's newest attempt that acted is over, and give its record, which must say Recovered."""
        status = self.until_status(
            "RecoveryPolicy", lambda it: it.get("stats", {}).get("attempts"), "an attempt is over", name
        )
        record: dict[str, Any] = next(one for one in status["last"] if "actedAt" in one)
        assert record["outcome"] == "Recovered", record
        return record

    def until_finished(self, number: int = 1, name: str = SHOP) -> dict[str, Any]:
        """Wait until a run of an experiment is over, and give the status."""
        return self.until_status(
            "ChaosExperiment",
            lambda it: it.get("phase") == "Finished" and it.get("runNumber") == number,
            "finished",
            name,
            seconds=400,
        )

    def until_phase(self, phase: str, name: str = SHOP) -> dict[str, Any]:
        """Wait until an experiment is in a phase."""
        return self.until_status("ChaosExperiment", lambda it: it.get("phase") == phase, phase, name)

    # --- the shop -------------------------------------------------------------------------------------------

    def open_shop(self, *others: Manifest, replicas: int = 3, check: Manifest | None = None) -> dict[str, str]:
        """Open the sample shop with its check, wait until it serves; give its pods as name → uid."""
        neighbours = [one for one in others if one["kind"] == "Deployment"]
        self.put(deployment(replicas), service(), *neighbours)
        pods = self.until_serving(replicas)
        for one in neighbours:
            name = one["metadata"]["name"]
            until(lambda name=name: self.status("Deployment", name).get("readyReplicas"), f"{name} serves")
        until(lambda: self.endpoints() >= pods.keys(), "clients find all pods")
        self.put(check or health_check(), *(one for one in others if one["kind"] != "Deployment"))
        return pods

    def open_healthy_shop(self, *others: Manifest, replicas: int = 3) -> dict[str, str]:
        """Open it, and wait until its check passes."""
        pods = self.open_shop(*others, replicas=replicas)
        self.until_status(
            "HealthCheck", lambda it: it.get("state") == "Healthy" and it.get("passing") == f"{replicas}/{replicas}",
            "healthy",
        )  # fmt: skip
        return pods

    def until_serving(self, replicas: int) -> dict[str, str]:
        """Wait until exactly so many pods are there and ready; give them."""

        def look() -> dict[str, str] | None:
            status = self.status("Deployment")
            pods = self.pods()
            return pods if status.get("readyReplicas", 0) == replicas == len(pods) else None

        if replicas == 0:
            until(lambda: not self.pods(), "all pods are gone")
            return {}
        return until(look, f"{replicas} pods serve")

    def pods(self) -> dict[str, str]:
        """Give the shop's pods that are not on their way out, as name → uid."""
        return {
            pod["metadata"]["name"]: pod["metadata"]["uid"]
            for pod in self.all_of("Pod")
            if pod["metadata"]["labels"].get("app") == SHOP and "deletionTimestamp" not in pod["metadata"]
        }

    def endpoints(self) -> set[str]:
        """Name the pods that clients of the shop's Service are led to."""
        path = f"/apis/discovery.k8s.io/v1/namespaces/{self.namespace}/endpointslices"
        slices = self.api("GET", f"{path}?labelSelector=kubernetes.io/service-name={SHOP}")[1]["items"]
        found = (one for part in slices for one in part.get("endpoints") or ())
        return {one["targetRef"]["name"] for one in found if one["conditions"].get("ready")}

    def break_pod(self, name: str, kind: str = "fail", **fault: Any) -> None:
        """Make one pod fail its users, while the kubelet finds it well."""
        path = f"/api/v1/namespaces/{self.namespace}/pods/http:{name}:8081/proxy/fault"
        code, answer = self.api("POST", path, {"kind": kind, "duration": "10m", **fault})
        assert code < 300, answer

    def heal_pod(self, name: str) -> None:
        """Take the fault off again."""
        path = f"/api/v1/namespaces/{self.namespace}/pods/http:{name}:8081/proxy/fault"
        self.api("DELETE", path)

    def counted(self, pod: str, what: str) -> dict[str, int]:
        """Read what a pod of the sample counts: `sessions` (open, made) or `requests` (begun, ended)."""
        code, answer = self.api("GET", f"/api/v1/namespaces/{self.namespace}/pods/http:{pod}:8081/proxy/{what}")
        assert code == 200, answer
        return answer

    # --- the operator ---------------------------------------------------------------------------------------

    def start(
        self,
        *flags: str,
        identity: str = "one",
        wait_for: str = "loaded",
        direct: bool = False,
        kubeconfig: Path | None = None,
        hurry: Mapping[str, float] | None = None,
        agent_image: str = AGENT_IMAGE,
    ) -> OperatorProcess:
        """Start an operator for this namespace alone, which reaches the API server through the proxy.

        `direct`, or with a `kubeconfig` of its own, it does not. `hurry`: see hurried.py.
        """
        if self.proxy is None:
            self.proxy = FaultProxy(self.kubeconfig, self.token, self.host)
        own = ("--namespaces", self.namespace, "--operator-namespace", self.system, "--agent-image", agent_image)
        if kubeconfig is None and direct:
            kubeconfig = self.kubeconfig
        process = self.replica(identity, (*own, *flags), hurry, kubeconfig)
        self.processes.append(process)
        self.operator = self.operator or process
        process.start(wait_for=wait_for)
        return process

    def replica(
        self, identity: str, flags: tuple[str, ...], hurry: Mapping[str, float] | None, kubeconfig: Path | None
    ) -> OperatorProcess:
        """Make an operator that is not started yet: a process here; without a kubeconfig, behind the proxy."""
        kubeconfig = kubeconfig or kubeconfig_for(self.folder, self.faults.url)
        return OperatorProcess(self.folder, kubeconfig, identity, flags, hurry)

    def store_folder(self) -> Folder:
        """Give a folder that its operators can write to."""
        return Folder(self.folder, self.folder)

    @contextmanager
    def disk(self, options: str) -> Iterator[Folder]:
        """Mount a small file system in memory where its operators find it."""
        folder = self.folder / "store"
        folder.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "homeostat-test", str(folder)], check=True)
        try:
            yield Folder(folder, folder)
        finally:
            subprocess.run(["umount", "--lazy", str(folder)], check=True)

    @property
    def faults(self) -> FaultProxy:
        """The proxy, once an operator was started."""
        assert self.proxy is not None
        return self.proxy

    @property
    def one(self) -> Any:
        """The operator that serves the stage: an InstalledOperator where it is shared, else an OperatorProcess."""
        assert self.operator is not None
        return self.operator

    def strike(self) -> None:
        """End what was started, and let go of what would keep the namespace from going."""
        for process in self.processes:
            process.kill()
        if self.proxy is not None:
            self.proxy.close()
        for name in self.freezes:
            self.delete("Freeze", name)
        for name in self.cluster_bindings:
            self.api("DELETE", f"/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/{name}")
        for kind in CONTROLLED:
            for item in self.all_of(kind):
                name = item["metadata"]["name"]
                self.api("PATCH", self.path(kind, name), {"metadata": {"finalizers": None}}, content_type=MERGE)
        for namespace in (self.namespace, self.system):
            self.api("DELETE", f"/api/v1/namespaces/{namespace}")
