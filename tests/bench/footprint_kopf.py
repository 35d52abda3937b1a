"""A plain Kopf operator of the three kinds that `footprint` creates: one handler each, default settings, no work."""

from datetime import UTC, datetime
from typing import Any

import kopf


@kopf.on.create("homeostat.dev", "v1alpha1", "healthchecks")
@kopf.on.create("homeostat.dev", "v1alpha1", "servicelevelobjectives")
@kopf.on.create("homeostat.dev", "v1alpha1", "recoverypolicies")
async def created(meta: kopf.Meta, patch: kopf.Patch, **_: Any) -> None:
    """Say that it has seen an object, and no more."""
    now = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    ready = {
        "type": "Ready", "status": "True", "reason": "Seen", "message": "seen",
        "observedGeneration": meta["generation"], "lastTransitionTime": now,
    }  # fmt: skip
    patch.status["observedGeneration"] = meta["generation"]
    patch.status["conditions"] = [ready]
