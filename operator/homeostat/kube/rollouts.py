"""How many pods a rollout takes away before the first new one must be ready. Pure."""

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


def _wanted(raw: Raw) -> int:
    return int((raw.get("status") or {}).get("desiredNumberScheduled", 0))


def _share(value: int | str, of: int, *, rounds_up: bool) -> int:
    """Read a count or a share, rounded as the controller of the kind does."""
    if not isinstance(value, str) or not value.endswith("%"):
        return int(value)
    part = int(value[:-1]) * of
    return -(-part // 100) if rounds_up else part // 100
