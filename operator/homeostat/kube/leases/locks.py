"""One writer per target (R11): a Lease beside the target that names who may touch it, and until when.

The lock of a target is found by its kind and name, so that policies, experiments and whoever comes later meet at
the same Lease. It belongs to the target (ownerReference) and goes with it. An expired lock is free: a vanished
holder blocks nobody for longer than it asked for.
"""

import hashlib
from datetime import UTC, datetime
from typing import Any

from homeostat.core.action import Outcome, Verb
from homeostat.core.cluster import Lock
from homeostat.core.ref import Ref
from homeostat.kube.apiserver.api_versions import api_version_of
from homeostat.kube.apiserver.client import ApiClient
from homeostat.kube.leases.lease import LeaseObject, Leases, annotation, held
from homeostat.ports import Conflict, Forbidden, Gone

_ATTEMPTS = 5
_TARGET = annotation("target")
"""Annotation of a lock: Kind/name of what it locks."""
_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


def lock_name(target: Ref) -> str:
    """Name the Lease that locks a target."""
    digest = hashlib.sha256(f"{target.kind}/{target.name}".encode()).hexdigest()
    return f"homeostat-{digest[:16]}"


async def locks_left(client: ApiClient, namespace: str) -> tuple[LeaseObject, ...]:
    """List the locks there are, of a namespace or ("") of all; none where we may not look."""
    try:
        return tuple(lease for lease in await Leases(client).ours(namespace) if _TARGET in lease.annotations)
    except Forbidden:
        return ()


class Locks:
    """Locks on targets. `namespace` holds those of cluster-scoped targets."""

    def __init__(self, client: ApiClient, namespace: str) -> None:
        self._leases = Leases(client)
        self._namespace = namespace

    async def read(self, target: Ref) -> Lock | None:
        """Give who holds the lock and until when, be it past; None when nobody does."""
        lease = await self._leases.read(target.namespace or self._namespace, lock_name(target))
        if lease is None or not lease.holder:
            return None
        return Lock(_holder_of(lease), lease.until or _LONG_AGO)

    async def take(self, target: Ref, holder: Ref, seconds: int, now: datetime) -> Outcome:
        """Take or renew the lock, until `seconds` from `now`; Refused(Locked) while another holds it."""
        for _ in range(_ATTEMPTS):
            try:
                return await self._take_once(target, holder, seconds, now)
            except (Conflict, Gone):
                continue  # somebody else wrote it meanwhile: look again who
        return Outcome(Verb.REFUSED, "Conflict", "the lock keeps changing hands")

    async def release(self, target: Ref, holder: Ref) -> Outcome:
        """Give the lock up if `holder` has it; that it has not counts as done."""
        for _ in range(_ATTEMPTS):
            lease = await self._leases.read(target.namespace or self._namespace, lock_name(target))
            if lease is None or lease.holder != _identity(holder):
                return Outcome(Verb.DONE)
            try:
                await self._leases.delete(lease)
            except (Conflict, Gone):
                continue
            return Outcome(Verb.DONE)
        return Outcome(Verb.REFUSED, "Conflict", "the lock keeps changing hands")

    async def _take_once(self, target: Ref, holder: Ref, seconds: int, now: datetime) -> Outcome:
        namespace, name = target.namespace or self._namespace, lock_name(target)
        mine = _identity(holder)
        lease = await self._leases.read(namespace, name)
        if lease is None:
            await self._leases.create(namespace, name, held(mine, seconds, now, since=now), _belonging_to(target))
        elif lease.holder == mine:
            await self._leases.change(lease, held(mine, seconds, now), _belonging_to(target))
        elif lease.holder and lease.until is not None and lease.until > now:
            other = _holder_of(lease)
            return Outcome(Verb.REFUSED, "Locked", f"{other.kind} {other.namespace}/{other.name} holds the lock")
        else:
            taken_over = held(mine, seconds, now, since=now) | {"leaseTransitions": lease.transitions + 1}
            await self._leases.change(lease, taken_over, _belonging_to(target))
        return Outcome(Verb.DONE)


def _identity(holder: Ref) -> str:
    return f"{holder.kind}/{holder.namespace}/{holder.name}/{holder.uid}"


def _holder_of(lease: LeaseObject) -> Ref:
    """Read the holder; one that is not of our form is still a holder."""
    parts = lease.holder.split("/")
    if len(parts) != 4:  # noqa: PLR2004 - the parts of a Ref
        return Ref("Unknown", lease.namespace, lease.holder, "")
    return Ref(*parts)


def _belonging_to(target: Ref) -> dict[str, Any]:
    owner = {
        "apiVersion": api_version_of(target.kind),
        "kind": target.kind,
        "name": target.name,
        "uid": target.uid,
    }
    return {
        "annotations": {_TARGET: f"{target.kind}/{target.name}"},
        "ownerReferences": [owner] if target.uid and owner["apiVersion"] else [],
    }
