"""Guards of held faults: a Lease with the originals, and a Pod that restores them when nobody renews it (C3, C18).

Both have the same name and live in the operator's namespace. They are made before the fault is on; the Pod answers on
the Lease once it has read what it is to restore, and has seen that it may.
"""

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any

from homeostat.api.meta import format_precise_time
from homeostat.core.action import DropGuard, KeepGuard, Outcome, Verb
from homeostat.core.guarding.held import Leftover
from homeostat.core.guarding.watch import GuardSeen
from homeostat.kube.apiserver.client import MERGE_PATCH, ApiClient
from homeostat.kube.apiserver.gate import Urgency
from homeostat.kube.apiserver.resources import LEASE, POD
from homeostat.kube.guards.lease import OF, GuardLease, guard_lease_of, labels_of, told_by
from homeostat.kube.guards.pod import has_ended, manifest, trouble_of
from homeostat.ports import Conflict, Gone

_MANAGER = {"fieldManager": "homeostat-guards"}
TIMEOUT = 3.0
"""Seconds for what a renewal waits for: one connection that hangs leaves time for another before the guard goes off."""
DONE = Outcome(Verb.DONE)
NO_IMAGE = Outcome(Verb.REFUSED, "NoGuardImage", "no image is configured for the undo Pod")
NOT_OURS = Outcome(Verb.REFUSED, "Conflict", "a guard of this name belongs to another experiment")
FIRED = Outcome(Verb.REFUSED, "GuardFired", "the guard has restored by itself")


class ApiGuards:
    """Makes, renews, reads and removes guards in one namespace. All methods raise the exceptions of `ports`."""

    def __init__(self, client: ApiClient, namespace: str, image: str = "") -> None:
        self._client = client
        self._namespace = namespace
        self._image = image

    async def keep(self, action: KeepGuard, now: datetime) -> Outcome:
        """Renew the Lease, or make it, and see to it that there is a Pod."""
        if not self._image:
            return NO_IMAGE
        lease = await self._renewed(action, now)
        if lease.experiment != action.owner.uid:
            return NOT_OURS
        if lease.fired:
            return FIRED
        await self._tell(action, lease)
        await self._start(action, lease, now)
        return DONE

    async def drop(self, action: DropGuard) -> Outcome:
        """Remove Lease and Pod; that they are gone already is fine."""
        for resource in (LEASE, POD):
            try:
                await self._client.request(
                    "DELETE", resource.path(self._namespace, action.name), urgency=Urgency.ACTION
                )
            except Gone:
                continue
        return DONE

    async def read(self, name: str) -> GuardSeen | None:
        """Read how a guard is; None when there is no Lease of that name."""
        raw = await self._read(LEASE.path(self._namespace, name))
        if raw is None:
            return None
        lease, pod = guard_lease_of(raw), await self._read(POD.path(self._namespace, name))
        return GuardSeen(
            ready_for=lease.records if lease.is_ready and pod is not None and not has_ended(pod) else "",
            has_fired=bool(lease.fired),
            trouble=lease.trouble or (trouble_of(pod) if pod else ""),
            renewed_at=datetime.fromisoformat(lease.renewal) if lease.renewal else None,
        )

    async def leftovers(self) -> tuple[Leftover, ...]:
        """List every guard there is, by its Lease or its Pod alone; one that is on its way out is not."""
        found: dict[str, Leftover] = {}
        for resource in (LEASE, POD):
            async for lease in self._labelled(resource.path(self._namespace)):
                found.setdefault(lease.name, Leftover(lease.name, lease.home, lease.experiment, lease.run))
        return tuple(found.values())

    async def _labelled(self, path: str) -> AsyncIterator[GuardLease]:
        async for page in self._client.pages(path, query={"labelSelector": OF}):
            for raw in page:
                if "deletionTimestamp" not in raw["metadata"]:
                    yield guard_lease_of({"metadata": raw["metadata"]})

    async def _renewed(self, action: KeepGuard, now: datetime) -> GuardLease:
        renewal = {"leaseDurationSeconds": action.seconds, "renewTime": format_precise_time(now)}
        path = LEASE.path(self._namespace, action.name)
        try:
            return guard_lease_of(await self._patch(path, {"spec": renewal}))
        except Gone:
            return await self._made(action, renewal)

    async def _made(self, action: KeepGuard, renewal: dict[str, Any]) -> GuardLease:
        owner = action.owner
        metadata = {"name": action.name, "labels": labels_of(action), "annotations": told_by(action)}
        spec = {"holderIdentity": f"{owner.kind}/{owner.namespace}/{owner.name}", **renewal}
        body = {"apiVersion": LEASE.api_version, "kind": "Lease", "metadata": metadata, "spec": spec}
        path = LEASE.path(self._namespace)
        return guard_lease_of(
            await self._client.request("POST", path, query=_MANAGER, body=body, urgency=Urgency.LEASE)
        )

    async def _tell(self, action: KeepGuard, lease: GuardLease) -> None:
        """Write what is to be restored, where it is not what stands there: a renewal alone is small."""
        told = told_by(action)
        if (lease.records, lease.deadline) == tuple(told.values()):
            return
        body = {"metadata": {"uid": lease.uid, "annotations": told}}
        await self._patch(LEASE.path(self._namespace, action.name), body)

    async def _start(self, action: KeepGuard, lease: GuardLease, now: datetime) -> None:
        """Make the Pod if there is none. One that has ended gives way; the next renewal finds its place free."""
        path = POD.path(self._namespace, action.name)
        pod = await self._read(path)
        if pod is not None and has_ended(pod):
            body = {"gracePeriodSeconds": 0, "preconditions": {"uid": pod["metadata"]["uid"]}}
            await self._client.request("DELETE", path, body=body, urgency=Urgency.ACTION)
            pod = None
        if pod is not None:
            return
        body = manifest(action, self._namespace, self._image, lease.uid, now)
        try:
            await self._client.request(
                "POST", POD.path(self._namespace), query=_MANAGER, body=body, urgency=Urgency.ACTION
            )
        except Conflict:
            return

    async def _patch(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Write to a Lease, never made to wait: a late renewal ends the fault."""
        return await self._client.request(
            "PATCH", path, query=_MANAGER, body=body, content_type=MERGE_PATCH, timeout=TIMEOUT, urgency=Urgency.LEASE
        )

    async def _read(self, path: str) -> dict[str, Any] | None:
        try:
            return await self._client.request("GET", path, timeout=TIMEOUT)
        except Gone:
            return None
