"""A Service as others in the cluster see it: one address that stands for pods. Pure."""

from collections.abc import Mapping
from typing import Any

from homeostat.core.cluster import Service
from homeostat.kube.workloads.selectors import selector_text


def service_of(raw: Mapping[str, Any]) -> Service | None:
    """Project a Service; None for one without an address of its own (headless), or without a selector."""
    spec = raw["spec"]
    addresses = tuple(one for one in spec.get("clusterIPs") or (spec.get("clusterIP"),) if one and one != "None")
    if not addresses or not spec.get("selector") or spec.get("type") == "ExternalName":
        return None
    return Service(raw["metadata"]["name"], selector_text({"matchLabels": spec["selector"]}), addresses)
