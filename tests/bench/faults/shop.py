"""What is put into the cluster for one fault: the sample shop, what it depends on, its checks, and a runbook."""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any

import yaml

from bench.subject import ROOT
from cluster.manifests import OURS, SAMPLE, Manifest

RUNBOOKS = ROOT / "examples" / "runbooks"
NAME = "checkout"
SCRATCH = "/scratch"
HURRIED_VERIFY = {"stabilise": "1s", "holdFor": "3s", "deadline": "25s"}
HURRIED_LIMITS = {"cooldown": "2s"}


JOB: Manifest = {
    "spec": {
        "restartPolicy": "Never",
        "containers": [{"name": "it", "image": SAMPLE, "imagePullPolicy": "Never", "args": ["-h"]}],
    }
}


def deployment(
    name: str = NAME, replicas: int = 3, args: Sequence[str] = (), *, is_probed_by: str = "control", **spec: Any
) -> Manifest:
    """The sample. The kubelet asks the control port, or (`is_probed_by="http"`) whether users' port is ready."""
    labels = {"app": name}
    container = {
        "name": "sample",
        "image": SAMPLE,
        "imagePullPolicy": "Never",
        "args": ["-scratch", SCRATCH, *args],
        "ports": [{"name": "http", "containerPort": 8080}, {"name": "control", "containerPort": 8081}],
        "readinessProbe": {"httpGet": {"path": "/livez", "port": is_probed_by}, "periodSeconds": 1},
        "livenessProbe": {"httpGet": {"path": "/livez", "port": "control"}, "periodSeconds": 2, "failureThreshold": 3},
        "resources": {"requests": {"cpu": "1m", "memory": "8Mi"}, "limits": {"memory": "48Mi"}},
        "volumeMounts": [{"name": "scratch", "mountPath": SCRATCH}],
    }
    pod = {
        "terminationGracePeriodSeconds": 0,
        "automountServiceAccountToken": False,
        "containers": [container],
        "volumes": [{"name": "scratch", "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}}],
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": pod},
            **spec,
        },
    }


def changed(manifest: Manifest, **container: Any) -> Manifest:
    """Change the container of a workload: a release."""
    new = deepcopy(manifest)
    new["spec"]["template"]["spec"]["containers"][0] |= container
    return new


def in_pod(manifest: Manifest, **pod: Any) -> Manifest:
    """Change the pod of a workload."""
    new = deepcopy(manifest)
    new["spec"]["template"]["spec"] |= pod
    return new


def probed_as_usual(manifest: Manifest) -> Manifest:
    """Give the same workload as one who relies on Kubernetes would have it: both probes ask what users ask."""
    asked = {"path": "/healthz", "port": "http"}
    new = changed(manifest)
    container = new["spec"]["template"]["spec"]["containers"][0]
    for probe in ("readinessProbe", "livenessProbe"):
        container[probe] = {"httpGet": asked, "periodSeconds": 2, "failureThreshold": 3, "timeoutSeconds": 1}
    return new


def service(name: str = NAME) -> Manifest:
    """The Service before it."""
    spec = {"selector": {"app": name}, "ports": [{"name": "http", "port": 80, "targetPort": "http"}]}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec}


def check(name: str = NAME, of: str = "", probe: Manifest | None = None, **spec: Any) -> Manifest:
    """Ask each pod what users see."""
    asked = probe or {"http": {"service": {"name": of or name, "port": "http", "path": "/healthz"}}}
    defaults = {"interval": "1s", "timeout": "700ms", "failureThreshold": 2, "successThreshold": 1, "probe": asked}
    return _ours("HealthCheck", name, defaults | spec)


def runbook(name: str, changes: Mapping[str, Any] | None = None, wait: str = "1s") -> Manifest:
    """Read a shipped runbook, trusted (mode Auto, nobody is asked) and in a hurry.

    What it does and in which order stays as it is.
    """
    body: Manifest = yaml.safe_load((RUNBOOKS / f"{name}.yaml").read_text(encoding="utf-8"))
    spec = body["spec"]
    spec["mode"] = "Auto"
    spec["verify"] |= HURRIED_VERIFY
    spec["limits"] |= HURRIED_LIMITS
    for trigger in spec["triggers"]:
        trigger["for"] = wait
    for step in spec["steps"]:
        step.pop("approval", None)
        if "escalate" not in step:
            step["timeout"] = "25s"
            step.get("retries", {}).update({"backoff": "1s", "maxBackoff": "2s"} if "retries" in step else {})
    return _ours("RecoveryPolicy", name, spec | dict(changes or {}))


def freeze(name: str, namespace: str) -> Manifest:
    """Stop recovery in a namespace."""
    return _ours("Freeze", name, {"stops": ["Recovery"], "reason": "the bench says so", "namespaces": [namespace]})


def _ours(kind: str, name: str, spec: Mapping[str, Any]) -> Manifest:
    return {"apiVersion": OURS, "kind": kind, "metadata": {"name": name}, "spec": dict(spec)}
