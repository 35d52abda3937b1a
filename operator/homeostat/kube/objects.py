"""Our own kinds in the API server: read, listed, and written by server-side apply (`ports.Objects`)."""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from homeostat.api.meta import API_VERSION, GROUP, Kind
from homeostat.core.condition import OCCASIONAL
from homeostat.core.ref import Ref
from homeostat.kube.apiserver.answers import ServerError
from homeostat.kube.apiserver.client import APPLY_PATCH, JSON_PATCH, METADATA_LIST, ApiClient
from homeostat.kube.apiserver.gate import Urgency
from homeostat.kube.apiserver.resources import resource_of
from homeostat.ports import Conflict, Rejected

FIELD_MANAGER = "homeostat"
FINALIZER = f"{GROUP}/undo"
"""Our finalizer: what this object did to the cluster is not undone yet."""

_ATTEMPTS = 5
_APPLY = {"fieldManager": FIELD_MANAGER, "force": "true"}


class ApiObjects:
    """`ports.Objects` on the API server."""

    def __init__(self, client: ApiClient) -> None:
        self._client = client

    async def apply_status(
        self,
        kind: Kind,
        ref: Ref,
        status: dict[str, Any],
        *,
        resource_version: str | None = None,
        is_urgent: bool = False,
    ) -> dict[str, Any]:
        """Server-side apply the whole status; fields of ours that are absent now are removed.

        So are those that somebody else wrote by hand: left in place, they would be taken for our memory for ever, as
        an apply removes nothing that is another's too. Conditions of others stay.

        Never touches a re-created object of the same name: that is a Conflict, as is another version when
        `resource_version` is given. The API server ignores `metadata.uid` when a custom resource's status is
        applied (1.34), so without a version the object is read first and its own version pinned.
        """
        urgency = Urgency.ACTION if is_urgent else Urgency.STATUS
        if resource_version is not None:
            return await self._write_status(kind, ref, status, resource_version, urgency)
        for _ in range(_ATTEMPTS):
            metadata = (await self.get(kind, ref.namespace, ref.name))["metadata"]
            if metadata["uid"] != ref.uid:
                raise Conflict(f"{ref.kind} {ref.name} was replaced")
            try:
                return await self._write_status(kind, ref, status, metadata["resourceVersion"], urgency)
            except Conflict:
                continue  # somebody else wrote it meanwhile
        raise Conflict(f"{ref.kind} {ref.name} keeps changing")

    async def _write_status(
        self, kind: Kind, ref: Ref, status: dict[str, Any], resource_version: str, urgency: Urgency
    ) -> dict[str, Any]:
        """Apply a status; put it in the place of what stands where another's hand would leave more than that."""
        try:
            written = await self._apply(kind, ref, status, resource_version, urgency)
        except (Rejected, ServerError) as error:  # perhaps for what stands, which an apply cannot change
            current = await self.get(kind, ref.namespace, ref.name)
            may_be_that = isinstance(error, ServerError) or _by_others(current)
            if current["metadata"]["resourceVersion"] != resource_version or not may_be_that:
                raise
            return await self._replace(kind, ref, status, current, urgency)
        is_left = any(not _is_same(status.get(part), written["status"].get(part)) for part in _by_others(written))
        is_left = is_left or bool(_left_behind(status, written["status"]))
        return await self._replace(kind, ref, status, written, urgency) if is_left else written

    async def _replace(
        self, kind: Kind, ref: Ref, status: dict[str, Any], current: dict[str, Any], urgency: Urgency
    ) -> dict[str, Any]:
        whole = {**status, "conditions": _with_others(status, current.get("status") or {})}
        change = [{"op": "add", "path": "/status", "value": _without_empty_maps(whole)}]
        version = current["metadata"]["resourceVersion"]
        return await self._patch_pinned(kind, ref, version, change, urgency, "status")

    async def _apply(
        self, kind: Kind, ref: Ref, status: dict[str, Any], resource_version: str, urgency: Urgency
    ) -> dict[str, Any]:
        metadata = {"name": ref.name, "uid": ref.uid, "resourceVersion": resource_version}
        if ref.namespace:
            metadata["namespace"] = ref.namespace
        return await self._client.request(
            "PATCH",
            resource_of(kind).path(ref.namespace, ref.name, "status"),
            query=_APPLY,
            body={
                "apiVersion": API_VERSION,
                "kind": kind.kind,
                "metadata": metadata,
                "status": _without_empty_maps(status),
            },
            content_type=APPLY_PATCH,
            urgency=urgency,
        )

    async def set_finalizer(self, kind: Kind, ref: Ref, resource_version: str, *, present: bool) -> dict[str, Any]:
        """Add or remove our finalizer, others' untouched, if the object is still at `resource_version`.

        When it already is as asked, nothing is written, whatever the version.
        """
        current = await self.get(kind, ref.namespace, ref.name)
        metadata = current["metadata"]
        if metadata["uid"] != ref.uid:
            raise Conflict(f"{ref.kind} {ref.name} was replaced")
        finalizers = metadata.get("finalizers") or []
        if (FINALIZER in finalizers) is present:
            return current
        if metadata["resourceVersion"] != resource_version:
            raise Conflict(f"{ref.kind} {ref.name} changed")
        change = _add(finalizers) if present else _remove(finalizers)
        return await self._patch_pinned(kind, ref, resource_version, change, Urgency.ACTION)

    async def _patch_pinned(
        self,
        kind: Kind,
        ref: Ref,
        resource_version: str,
        change: list[dict[str, Any]],
        urgency: Urgency,
        *subresource: str,
    ) -> dict[str, Any]:
        # Writing the version we read makes the server compare it; a failed `test` would be an unclear 422 instead.
        pinned = {"op": "replace", "path": "/metadata/resourceVersion", "value": resource_version}
        try:
            return await self._client.request(
                "PATCH",
                resource_of(kind).path(ref.namespace, ref.name, *subresource),
                query={"fieldManager": FIELD_MANAGER},
                body=[pinned, *change],
                content_type=JSON_PATCH,
                urgency=urgency,
            )
        except Rejected:
            fresh = await self.get(kind, ref.namespace, ref.name)
            if fresh["metadata"]["resourceVersion"] != resource_version:
                raise Conflict(f"{ref.kind} {ref.name} changed") from None
            raise

    async def get(self, kind: Kind, namespace: str, name: str) -> dict[str, Any]:
        """Read one object, as the quorum of the store has it."""
        return await self._client.request("GET", resource_of(kind).path(namespace, name))

    async def list(self, kind: Kind, namespaces: Sequence[str] = ()) -> AsyncIterator[dict[str, Any]]:
        """Read all objects of a kind, page by page; rarely one comes twice, then the later is the newer."""
        for namespace in namespaces or ("",):
            async for page in self._client.pages(resource_of(kind).path(namespace)):
                for item in page:
                    yield {"apiVersion": API_VERSION, "kind": kind.kind, **item}

    async def list_versions(self, kind: Kind, namespaces: Sequence[str] = ()) -> AsyncIterator[tuple[Ref, str]]:
        """Read (reference, resourceVersion) of all objects, metadata only; rarely one comes twice, as in `list`."""
        for namespace in namespaces or ("",):
            path = resource_of(kind).path(namespace)
            async for page in self._client.pages(path, accept=METADATA_LIST):
                for item in page:
                    metadata = item["metadata"]
                    ref = Ref(kind.kind, metadata.get("namespace", ""), metadata["name"], metadata["uid"])
                    yield ref, metadata["resourceVersion"]


def _add(finalizers: Sequence[str]) -> list[dict[str, Any]]:
    if finalizers:
        return [{"op": "add", "path": "/metadata/finalizers/-", "value": FINALIZER}]
    return [{"op": "add", "path": "/metadata/finalizers", "value": [FINALIZER]}]


def _remove(finalizers: Sequence[str]) -> list[dict[str, Any]]:
    path = f"/metadata/finalizers/{list(finalizers).index(FINALIZER)}"
    return [{"op": "test", "path": path, "value": FINALIZER}, {"op": "remove", "path": path}]


def _by_others(body: Mapping[str, Any]) -> set[str]:
    """Name the parts of a status that somebody else wrote too; conditions do not count, others may add some."""
    parts: set[str] = set()
    for entry in body["metadata"].get("managedFields") or ():
        if (entry.get("manager"), entry.get("operation")) != (FIELD_MANAGER, "Apply"):
            parts |= ((entry.get("fieldsV1") or {}).get("f:status") or {}).keys()
    return {part.removeprefix("f:") for part in parts} - {".", "conditions"}


def _is_same(sent: object, stands: object) -> bool:
    """Whether a part of a status stands as it was sent; the order of lists is the API server's."""
    return bool(_in_order(sent) == _in_order(stands))


def _in_order(value: Any) -> Any:  # noqa: ANN401 - any JSON
    if isinstance(value, dict):
        return {key: _in_order(item) for key, item in value.items() if item != {}} or None
    if isinstance(value, list):
        return sorted((_in_order(item) for item in value), key=repr)
    return value


def _left_behind(status: Mapping[str, Any], current: Mapping[str, Any]) -> set[str]:
    """Name the conditions of ours that stand although we say nothing of them: another's hand wrote them as well."""
    return {one["type"] for one in current.get("conditions") or ()} & OCCASIONAL - _types(status)


def _types(status: Mapping[str, Any]) -> set[str]:
    return {one["type"] for one in status.get("conditions") or ()}


def _with_others(status: Mapping[str, Any], current: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Give our conditions, and after them those of types that are not ours."""
    ours: list[dict[str, Any]] = status.get("conditions") or []
    types = _types(status) | OCCASIONAL
    return [*ours, *(one for one in current.get("conditions") or () if one["type"] not in types)]


def _without_empty_maps(value: Any) -> Any:  # noqa: ANN401 - any JSON
    """Leave empty maps out: of one that lost its last key, the API server makes null (1.34), and then refuses it."""
    if isinstance(value, dict):
        return {key: _without_empty_maps(item) for key, item in value.items() if item != {}}
    if isinstance(value, list):
        return [_without_empty_maps(item) for item in value]
    return value
