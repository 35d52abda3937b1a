"""Finds objects by an annotation, cluster-wide and cheaply: metadata only, page by page, and then what bears it."""

from collections.abc import Iterable

from homeostat.core.guarding.held import Held
from homeostat.core.ref import Ref
from homeostat.kube.apiserver.client import METADATA_LIST, ApiClient
from homeostat.kube.faults.fields import HOLDABLE, ApiFields
from homeostat.ports import Forbidden


class Markers:
    """Looks for annotations on objects of the given namespaces, and on Nodes; none means the whole cluster."""

    def __init__(self, client: ApiClient, namespaces: Iterable[str]) -> None:
        self._client = client
        self._fields = ApiFields(client)
        self._namespaces = tuple(namespaces) or ("",)

    async def find(self, annotation: str) -> tuple[Held, ...]:
        """Give what carries `annotation`, as it is now. Raises Unavailable or Forbidden.

        Where Nodes may not be listed no fault can be on them.
        """
        found: list[Ref] = []
        for kind in HOLDABLE:
            try:
                found += await self._named(kind, annotation)
            except Forbidden:
                if kind != "Node":
                    raise
        read = [await self._fields.read(ref) for ref in found]
        return tuple(held for held in read if held is not None)

    async def _named(self, kind: str, annotation: str) -> list[Ref]:
        resource = HOLDABLE[kind]
        found: list[Ref] = []
        for namespace in self._namespaces if resource.is_namespaced else ("",):
            async for page in self._client.pages(resource.path(namespace), accept=METADATA_LIST):
                metas = (item["metadata"] for item in page)
                found += [
                    Ref(kind, meta.get("namespace", ""), meta["name"], meta["uid"])
                    for meta in metas
                    if annotation in (meta.get("annotations") or {})
                ]
        return found
