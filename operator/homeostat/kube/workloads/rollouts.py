"""What a changed template does to the pods of a workload: how many it takes, and whether it can be taken back. Pure."""

from collections.abc import Mapping
from typing import Any

Raw = Mapping[str, Any]


def rollout_takes(raw: Raw, kind: str) -> int:
    """Give the most pods that a rollout of a workload makes unavailable: its strategy's word, or Kubernetes' own."""
    spec = raw.get("spec") or {}
    replicas = int(spec.get("replicas", 1)) if kind != "DaemonSet" else _wanted(raw)
    strategy = spec.get("strategy" if kind == "Deployment" else "updateStrategy") or {}
    if strategy.get("type") == "Recreate":
        return replicas
    if strategy.get("type") == "OnDelete":
        return 0
    most = (strategy.get("rollingUpdate") or {}).get("maxUnavailable", "25%" if kind == "Deployment" else 1)
    return _share(most, replicas, rounds_up=kind == "DaemonSet")


def rolls_out(raw: Raw, kind: str) -> bool:
    """Whether a changed template reaches a pod without another hand: paused, OnDelete or without pods it does not."""
    spec = raw.get("spec") or {}
    strategy = spec.get("updateStrategy") or {}
    if spec.get("paused") or (kind != "Deployment" and strategy.get("type") == "OnDelete"):
        return False
    replicas = int(spec.get("replicas", 1)) if kind != "DaemonSet" else _wanted(raw)
    kept = (strategy.get("rollingUpdate") or {}).get("partition", 0) if kind == "StatefulSet" else 0
    return replicas > int(kept or 0)


def keeps_broken_pods(raw: Raw, kind: str) -> bool:
    """Whether a pod that never gets ready stays although the template that it came from is no more.

    A StatefulSet that goes by its pods in order waits for each of them, for ever, before it replaces any.
    """
    return kind == "StatefulSet" and (raw.get("spec") or {}).get("podManagementPolicy") != "Parallel"


def drops_claims(raw: Raw, kind: str) -> bool:
    """Whether the volumes of replicas go with them when it is scaled down."""
    retention = (raw.get("spec") or {}).get("persistentVolumeClaimRetentionPolicy") or {}
    return kind == "StatefulSet" and retention.get("whenScaled") == "Delete"


def _wanted(raw: Raw) -> int:
    return int((raw.get("status") or {}).get("desiredNumberScheduled", 0))


def _share(value: int | str, of: int, *, rounds_up: bool) -> int:
    """Read a count or a share, rounded as the controller of the kind does."""
    if not isinstance(value, str) or not value.endswith("%"):
        return int(value)
    part = int(value[:-1]) * of
    return -(-part // 100) if rounds_up else part // 100
