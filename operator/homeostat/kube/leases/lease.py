"""One coordination.k8s.io Lease: read, created, changed and deleted only at the version that was read."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from homeostat.api.meta import GROUP, format_precise_time
from homeostat.kube.apiserver.client import MERGE_PATCH, ApiClient
from homeostat.kube.apiserver.gate import Urgency
from homeostat.kube.apiserver.resources import LEASE
from homeostat.ports import Gone

_OURS = "app.kubernetes.io/managed-by"
_LABELS = {_OURS: "homeostat"}
_MANAGER = {"fieldManager": "homeostat-leases"}


@dataclass(frozen=True, slots=True)
class LeaseObject:
    """A Lease as read. `holder` is "" when nobody holds it; `renewed_at` is None when it was never renewed."""

    namespace: str
    name: str
    uid: str
    resource_version: str
    holder: str
    seconds: int
    renewed_at: datetime | None
    transitions: int
    annotations: Mapping[str, str] = field(default_factory=dict)

    @property
    def until(self) -> datetime | None:
        """When it ends unless renewed, by the clock of whoever wrote it. Anybody may have written it: never raises."""
        if self.renewed_at is None:
            return None
        try:
            return self.renewed_at + timedelta(seconds=self.seconds)
        except OverflowError:
            return datetime.max.replace(tzinfo=UTC)


class Leases:
    """The Leases of one namespace or another. All methods raise the exceptions of `ports`."""

    def __init__(self, client: ApiClient, urgency: Urgency = Urgency.ACTION) -> None:
        self._client = client
        self._urgency = urgency

    async def read(self, namespace: str, name: str) -> LeaseObject | None:
        """Read one; None when it is not there."""
        try:
            return _lease_of(await self._client.request("GET", LEASE.path(namespace, name)))
        except Gone:
            return None

    async def named(self, name: str) -> list[LeaseObject]:
        """Read all of a name, of whatever namespace: what may be listed in the whole cluster only."""
        found = await self._client.collect(LEASE.path(), query={"fieldSelector": f"metadata.name={name}"})
        return [_lease_of(raw) for raw in found]

    async def ours(self, namespace: str) -> list[LeaseObject]:
        """Read all that were made here, of a namespace or ("") of all."""
        found = await self._client.collect(LEASE.path(namespace), query={"labelSelector": f"{_OURS}={_LABELS[_OURS]}"})
        return [_lease_of(raw) for raw in found]

    async def create(
        self, namespace: str, name: str, spec: Mapping[str, Any], metadata: Mapping[str, Any] | None = None
    ) -> LeaseObject:
        """Create one; Conflict when it is there already. `metadata` adds annotations and owners."""
        body = {
            "apiVersion": LEASE.api_version,
            "kind": "Lease",
            "metadata": {"name": name, "namespace": namespace, "labels": _LABELS, **(metadata or {})},
            "spec": spec,
        }
        path = LEASE.path(namespace)
        raw = await self._client.request("POST", path, query=_MANAGER, body=body, urgency=self._urgency)
        return _lease_of(raw)

    async def change(
        self, lease: LeaseObject, spec: Mapping[str, Any], metadata: Mapping[str, Any] | None = None
    ) -> LeaseObject:
        """Change fields of `lease`; Conflict when it is no longer as it was read, Gone when it is not there."""
        pinned = {"resourceVersion": lease.resource_version, "uid": lease.uid}
        raw = await self._client.request(
            "PATCH",
            LEASE.path(lease.namespace, lease.name),
            query=_MANAGER,
            body={"metadata": {**pinned, **(metadata or {})}, "spec": spec},
            content_type=MERGE_PATCH,
            urgency=self._urgency,
        )
        return _lease_of(raw)

    async def delete(self, lease: LeaseObject) -> None:
        """Delete `lease`; Conflict when it is no longer as it was read, Gone when it is not there."""
        pinned = {"resourceVersion": lease.resource_version, "uid": lease.uid}
        await self._client.request(
            "DELETE",
            LEASE.path(lease.namespace, lease.name),
            body={"preconditions": pinned},
            urgency=self._urgency,
        )


def held(holder: str, seconds: int, now: datetime, *, since: datetime | None = None) -> dict[str, Any]:
    """Build the spec of a Lease that `holder` has renewed at `now`; with `since`, also when it became theirs."""
    spec: dict[str, Any] = {
        "holderIdentity": holder,
        "leaseDurationSeconds": seconds,
        "renewTime": format_precise_time(now),
    }
    return spec if since is None else spec | {"acquireTime": format_precise_time(since)}


def annotation(name: str) -> str:
    """Give the full name of one of our annotations."""
    return f"{GROUP}/{name}"


def _lease_of(raw: Mapping[str, Any]) -> LeaseObject:
    metadata, spec = raw["metadata"], raw.get("spec") or {}
    renewed = spec.get("renewTime")
    return LeaseObject(
        namespace=metadata["namespace"],
        name=metadata["name"],
        uid=metadata["uid"],
        resource_version=metadata["resourceVersion"],
        holder=spec.get("holderIdentity") or "",
        seconds=spec.get("leaseDurationSeconds") or 0,
        renewed_at=datetime.fromisoformat(renewed) if renewed else None,
        transitions=spec.get("leaseTransitions") or 0,
        annotations=metadata.get("annotations") or {},
    )
