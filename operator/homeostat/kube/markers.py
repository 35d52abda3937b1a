"""Finds workloads by an annotation, cluster-wide and cheaply: metadata only, page by page."""

from collections.abc import Iterable

from homeostat.core.decision import Ref
from homeostat.kube.client import METADATA_LIST, ApiClient
from homeostat.kube.resources import WORKLOADS

SCALABLE = ("Deployment", "StatefulSet")
"""The kinds that a fault can leave something on."""


class Markers:
    """Looks for annotations on workloads of the given namespaces; none means the whole cluster."""

    def __init__(self, client: ApiClient, namespaces: Iterable[str]) -> None:
        self._client = client
        self._namespaces = tuple(namespaces) or ("",)

    async def find(self, annotation: str) -> tuple[Ref, ...]:
        """Give the workloads that carry `annotation`. Raises Unavailable or Forbidden."""
        found: list[Ref] = []
        for kind in SCALABLE:
            for namespace in self._namespaces:
                async for page in self._client.pages(WORKLOADS[kind].path(namespace), accept=METADATA_LIST):
                    metas = (item["metadata"] for item in page)
                    found += [
                        Ref(kind, meta["namespace"], meta["name"], meta["uid"])
                        for meta in metas
                        if annotation in (meta.get("annotations") or {})
                    ]
        return tuple(found)
