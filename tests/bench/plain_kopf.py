"""The plain Kopf operator that benchmarks compare with: one handler, default settings. Run with `kopf run`."""

from datetime import UTC, datetime
from typing import Any

import kopf


@kopf.on.create("homeostat.dev", "v1alpha1", "healthchecks")
async def created(meta: kopf.Meta, patch: kopf.Patch, **_: Any) -> None:
    """Write a status of the same kind as ours when it first meets a HealthCheck."""
    now = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    told = {
        "observedGeneration": meta["generation"],
        "lastTransitionTime": now,
        "reason": "NoResultYet",
        "message": "not running yet",
        "status": "Unknown",
    }
    patch.status["observedGeneration"] = meta["generation"]
    patch.status["type"] = "tcp"
    patch.status["state"] = "Unknown"
    patch.status["since"] = now
    patch.status["message"] = "not running yet"
    patch.status["conditions"] = [{"type": "Ready", **told}, {"type": "Healthy", **told}]
