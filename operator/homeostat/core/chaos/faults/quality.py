"""The quality of service class that Kubernetes gives a pod by its sizes, and never changes afterwards."""

from collections.abc import Mapping

from homeostat.core.quantity import is_same_quantity

_RESOURCES = ("cpu", "memory")


def quality_of(containers: tuple[str, ...], fields: Mapping[str, str]) -> str:
    """Give Guaranteed, Burstable or BestEffort. A request that is not set is the limit."""
    pairs = [
        (fields.get(f"requests/{container}/{resource}"), fields.get(f"limits/{container}/{resource}"))
        for container in containers
        for resource in _RESOURCES
    ]
    if all(request is None and limit is None for request, limit in pairs):
        return "BestEffort"
    is_guaranteed = all(
        limit is not None and (request is None or is_same_quantity(request, limit)) for request, limit in pairs
    )
    return "Guaranteed" if is_guaranteed else "Burstable"
