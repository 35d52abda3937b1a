"""Whether anybody still writes what commands read: the statuses of a dead operator look like those of a live one."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from homeostat.api.meta import format_time
from homeostat.cli.asked import OPERATOR_NAMESPACE
from homeostat.kube.apiserver.client import ApiClient
from homeostat.kube.apiserver.clock import clock_skew
from homeostat.kube.leases.election import NAME as LEADER
from homeostat.kube.leases.lease import LeaseObject, Leases
from homeostat.ports import Clock, Forbidden, Gone, Rejected, Unavailable

SILENT_FOR = timedelta(minutes=1)
"""Beyond it nobody is about to take the lead: another replica has it within seconds."""


async def silence(client: ApiClient, namespace: str, clock: Clock) -> str:
    """Say that no operator leads, and since when; "" where one does, or where that may not be known.

    An operator is looked for in the whole cluster. Who may not do that looks where it is by default, and in the
    namespace that is shown, where one of that namespace alone may be.
    """
    found = [one for one in await _leases(client, namespace) if one.renewed_at is not None]
    if not found or not _is_old(found, clock.now()):
        return ""
    now = clock.now() + await _ahead(client, clock)  # by this machine's clock it is old: let the API server's decide
    if not _is_old(found, now):
        return ""
    last = max(found, key=_renewed)
    return f"no operator has led since {format_time(_renewed(last))} (Lease {LEADER} in {last.namespace})"


def _places(namespace: str) -> Iterable[str]:
    return dict.fromkeys(one for one in (OPERATOR_NAMESPACE, namespace) if one)


def _renewed(lease: LeaseObject) -> datetime:
    if lease.renewed_at is None:
        raise ValueError(f"Lease {lease.namespace}/{lease.name} was never renewed")
    return lease.renewed_at


def _is_old(leases: Iterable[LeaseObject], now: datetime) -> bool:
    return all(now - _renewed(one) > SILENT_FOR for one in leases)


async def _leases(client: ApiClient, namespace: str) -> list[LeaseObject]:
    """Read the Leases of leaders, as far as one may."""
    try:
        return await Leases(client).named(LEADER)
    except (Unavailable, Forbidden, Gone, Rejected):
        found = [await _lease(client, where) for where in _places(namespace)]
        return [one for one in found if one is not None]


async def _lease(client: ApiClient, namespace: str) -> LeaseObject | None:
    try:
        return await Leases(client).read(namespace, LEADER)
    except (Unavailable, Forbidden, Rejected):
        return None


async def _ahead(client: ApiClient, clock: Clock) -> timedelta:
    try:
        return timedelta(seconds=await clock_skew(client.credentials, clock.now))
    except Unavailable:
        return timedelta(0)
