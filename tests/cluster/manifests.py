"""What the stories put into the cluster: the sample shop, and short-lived rules for it."""

from collections.abc import Sequence
from typing import Any

Manifest = dict[str, Any]

OURS = "homeostat.dev/v1alpha1"
SHOP = "shop"
SAMPLE = "homeostat.dev/sample:dev"
PORTS = {"http": (80, 8080), "https": (443, 8443), "grpc": (50051, 50051)}
"""Ports of the sample by name: the Service's, and the container's. Nobody listens to `https` without a certificate."""


def deployment(replicas: int = 3, name: str = SHOP, image: str = SAMPLE, args: Sequence[str] = ()) -> Manifest:
    """The sample, where the kubelet asks a port that always answers, and users ask others."""
    labels = {"app": name}
    ready = {"httpGet": {"path": "/livez", "port": 8081}, "periodSeconds": 1}
    patience = {"timeoutSeconds": 5, "failureThreshold": 10}  # who serves stays ready, however slow the kubelet is
    container = {
        "name": "sample",
        "image": image,
        "imagePullPolicy": "Never",
        "args": list(args),
        "ports": [{"name": door, "containerPort": port} for door, (_, port) in PORTS.items()],
        "readinessProbe": ready | patience,
        "resources": {"requests": {"cpu": "1m", "memory": "8Mi"}, "limits": {"memory": "64Mi"}},
    }
    pod = {"terminationGracePeriodSeconds": 0, "automountServiceAccountToken": False, "containers": [container]}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": pod},
        },
    }


def deployment_with_tls(certificates: str, replicas: int = 1) -> Manifest:
    """The sample, which speaks TLS too, with the certificate in a Secret."""
    manifest = deployment(replicas, args=["-certificates", "/certificates"])
    pod = manifest["spec"]["template"]["spec"]
    pod["containers"][0]["volumeMounts"] = [{"name": "certificates", "mountPath": "/certificates"}]
    pod["volumes"] = [{"name": "certificates", "secret": {"secretName": certificates}}]
    return manifest


def secret(name: str, type_: str = "Opaque", **data: str) -> Manifest:
    """A Secret; in keys, `_` stands for a dot."""
    texts = {key.replace("_", "."): value for key, value in data.items()}
    return {"apiVersion": "v1", "kind": "Secret", "type": type_, "metadata": {"name": name}, "stringData": texts}


def bystander() -> Manifest:
    """Another workload of the namespace, so that a fault on the shop is not a fault on everything."""
    return deployment(1, "bystander")


def service(name: str = SHOP) -> Manifest:
    """The Service before the sample."""
    ports = [{"name": door, "port": port, "targetPort": door} for door, (port, _) in PORTS.items()]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {"selector": {"app": name}, "ports": ports},
    }


def disruption_budget(min_available: int) -> Manifest:
    """A PodDisruptionBudget for the sample."""
    selector = {"matchLabels": {"app": SHOP}}
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": SHOP},
        "spec": {"minAvailable": min_available, "selector": selector},
    }


def health_check(name: str = SHOP, path: str = "/healthz", probe: Manifest | None = None, **spec: Any) -> Manifest:
    """Ask each pod what users see, every second."""
    asked = probe or {"http": {"service": {"name": SHOP, "port": "http", "path": path}}}
    defaults = {"interval": "1s", "timeout": "1s", "failureThreshold": 2, "successThreshold": 1, "probe": asked}
    return _ours("HealthCheck", name, defaults | spec)


def objective(check: str = SHOP) -> Manifest:
    """99 % of the runs of a check pass."""
    indicator = {"healthCheck": {"name": check}}
    return _ours(
        "ServiceLevelObjective", SHOP, {"objective": "99", "window": {"rolling": "1d"}, "indicator": indicator}
    )


def policy(
    name: str = SHOP,
    step: Manifest | None = None,
    limits: Manifest | None = None,
    verify: Manifest | None = None,
    **spec: Any,
) -> Manifest:
    """Heal the sample at once, with short rests; what it waits for may take its time on a slow machine."""
    defaults = {
        "mode": "Auto",
        "target": {"kind": "Deployment", "name": SHOP},
        "triggers": [{"healthCheck": {"name": SHOP}}],
        "steps": [step or {"restartPods": {"which": "Failing"}, "timeout": "5m"}],
        "limits": {"cooldown": "1s", "maxUnhealthy": "100%"} | (limits or {}),
        "verify": {"stabilise": "0s", "holdFor": "2s", "deadline": "5m"} | (verify or {}),
    }
    return _ours("RecoveryPolicy", name, defaults | spec)


def kill_experiment(**spec: Any) -> Manifest:
    """Kill one pod of the sample; users must not notice for long."""
    defaults = {
        "fault": {"podKill": {"gracePeriod": "0s"}},
        "target": {"kind": "Pod", "selector": {"matchLabels": {"app": SHOP}}, "count": 1},
        "duration": "3s",
    }
    return _experiment(defaults | spec)


def scale_experiment(to: int = 0, duration: str = "5s", **spec: Any) -> Manifest:
    """Take the sample down to so many replicas."""
    defaults = {
        "fault": {"scale": {"to": to}},
        "target": {"kind": "Deployment", "name": SHOP},
        "duration": duration,
        "blastRadius": {"minAvailable": 0},
    }
    return _experiment(defaults | spec)


def _experiment(spec: Manifest) -> Manifest:
    hypothesis = [{"healthCheck": {"name": SHOP, "state": "Degraded"}, "duringFault": "MayBreak"}]
    defaults = {"hypothesis": hypothesis, "steadyFor": "1s", "recoveryTimeout": "5m"}
    return _ours("ChaosExperiment", SHOP, defaults | spec)


def freeze(name: str, namespace: str, *stops: str) -> Manifest:
    """Stop something in one namespace."""
    return _ours("Freeze", name, {"stops": list(stops), "reason": "a test says so", "namespaces": [namespace]})


def _ours(kind: str, name: str, spec: Manifest) -> Manifest:
    return {"apiVersion": OURS, "kind": kind, "metadata": {"name": name}, "spec": spec}
