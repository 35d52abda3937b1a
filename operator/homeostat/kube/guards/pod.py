"""The undo Pod of a guard: how it is made, and why it may not start."""

import math
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from homeostat.core.action import KeepGuard
from homeostat.kube.apiserver.resources import LEASE, POD
from homeostat.kube.guards.lease import labels_of

Raw = Mapping[str, Any]

SERVICE_ACCOUNT = "homeostat-undo"
GRACE = timedelta(hours=1)
"""For so long after the deadline a guard goes on trying, when the API server does not answer."""
_CANNOT_START = frozenset(
    {
        "ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull", "InvalidImageName", "ImageInspectError",
        "CreateContainerConfigError", "CreateContainerError", "RunContainerError", "CrashLoopBackOff",
    }
)  # fmt: skip
_NOBODY = 65532


def manifest(action: KeepGuard, namespace: str, image: str, lease_uid: str, now: datetime) -> dict[str, Any]:
    """Describe the Pod. It goes with its Lease, and a process of it that crashes is started again."""
    left = math.ceil((action.deadline - now + GRACE).total_seconds())
    owner = {"apiVersion": LEASE.api_version, "kind": "Lease", "name": action.name, "uid": lease_uid}
    return {
        "apiVersion": POD.api_version,
        "kind": "Pod",
        "metadata": {
            "name": action.name,
            "namespace": namespace,
            "labels": labels_of(action),
            "ownerReferences": [owner],
        },
        "spec": {
            "serviceAccountName": SERVICE_ACCOUNT,
            "restartPolicy": "OnFailure",
            "activeDeadlineSeconds": max(1, left),
            "terminationGracePeriodSeconds": 30,
            "enableServiceLinks": False,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": _NOBODY,
                "runAsGroup": _NOBODY,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [_container(action.name, image)],
        },
    }


def _container(name: str, image: str) -> dict[str, Any]:
    return {
        "name": "undo",
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "args": ["undo", name],
        "resources": {"requests": {"cpu": "10m", "memory": "48Mi"}, "limits": {"memory": "128Mi"}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
    }


def has_ended(raw: Raw) -> bool:
    """Whether the Pod will never run again."""
    return (raw.get("status") or {}).get("phase") in {"Succeeded", "Failed"}


def trouble_of(raw: Raw) -> str:
    """Say why the Pod does not run, in the kubelet's or the scheduler's word; "" when nothing is wrong."""
    status = raw.get("status") or {}
    if status.get("phase") == "Failed":
        return str(status.get("reason") or "Failed")
    for container in status.get("containerStatuses") or ():
        reason = ((container.get("state") or {}).get("waiting") or {}).get("reason", "")
        if reason in _CANNOT_START:
            return str(reason)
    conditions = status.get("conditions") or ()
    is_homeless = any(
        one.get("type") == "PodScheduled" and one.get("status") == "False" and one.get("reason") == "Unschedulable"
        for one in conditions
    )
    return "Unschedulable" if is_homeless else ""
