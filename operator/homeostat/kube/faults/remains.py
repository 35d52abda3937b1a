"""What experiments have left in a cluster, read in the order in which nothing that just began can look left behind."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from homeostat.api.chaos import KIND as EXPERIMENT
from homeostat.api.chaos import MARKER
from homeostat.api.chaos_status import ChaosExperimentStatus
from homeostat.api.gameday import KIND as GAME_DAY
from homeostat.api.meta import Kind
from homeostat.core.guarding.held import Held, Leftover
from homeostat.core.ref import Ref
from homeostat.kube.apiserver.client import ApiClient
from homeostat.kube.apiserver.resources import resource_of
from homeostat.kube.faults.agents_left import AgentLeft, agents_left
from homeostat.kube.faults.markers import Markers
from homeostat.kube.guards.keeping import ApiGuards
from homeostat.kube.leases.election import NAME as LEADER
from homeostat.kube.leases.lease import LeaseObject, Leases
from homeostat.kube.leases.locks import locks_left
from homeostat.kube.objects import FINALIZER
from homeostat.ports import Forbidden, Gone

KINDS = (EXPERIMENT, GAME_DAY)


@dataclass(frozen=True, slots=True)
class Holder:
    """A ChaosExperiment or a GameDay that is there; `status` is that of an experiment."""

    ref: Ref
    resource_version: str
    has_finalizer: bool
    is_deleting: bool
    status: ChaosExperimentStatus | None = None


@dataclass(frozen=True, slots=True)
class Remains:
    """All that there is of experiments. `leader`: who leads the operators now; "" nobody, None if that is not known.

    `locks`: of what policies and experiments write; whoever is gone no longer holds them, and they change nothing.
    """

    marked: tuple[Held, ...]
    guards: tuple[Leftover, ...]
    agents: tuple[AgentLeft, ...]
    holders: tuple[Holder, ...]
    leader: str | None
    locks: tuple[LeaseObject, ...] = ()

    @property
    def experiments(self) -> dict[str, ChaosExperimentStatus]:
        """Give the status of each experiment by its uid."""
        return {one.ref.uid: one.status for one in self.holders if one.status is not None}


async def read_remains(
    client: ApiClient,
    namespace: str,
    operators: str,
    now: datetime,
    *,
    has_guards: bool = True,
    has_locks: bool = False,
) -> Remains:
    """Read them, in one namespace or ("") in all; `operators` is the namespace of the operator.

    Who may not list guards leaves them out, by `has_guards`; `has_locks` is for who takes all away. Of one namespace
    Nodes are left out: who holds them may be elsewhere. Raises Unavailable, Forbidden or Rejected.
    """
    marked = await Markers(client, [namespace] if namespace else []).find(MARKER)
    guards = await _guards(client, operators) if has_guards else ()
    agents = await agents_left(client, namespace)
    holders = [holder for kind in KINDS for holder in await _holders(client, kind, namespace)]
    locks = await locks_left(client, namespace) if has_locks else ()
    return Remains(
        tuple(one for one in marked if not namespace or one.ref.namespace == namespace),
        tuple(one for one in guards if not namespace or one.namespace == namespace),
        agents, tuple(holders), await leader_of(client, operators, now), locks,
    )  # fmt: skip


async def _guards(client: ApiClient, operators: str) -> Iterable[Leftover]:
    try:
        return await ApiGuards(client, operators).leftovers()
    except Gone:
        return ()


async def _holders(client: ApiClient, kind: Kind, namespace: str) -> list[Holder]:
    """List the objects of a kind; none where its definition is not installed."""
    found: list[Holder] = []
    try:
        async for page in client.pages(resource_of(kind).path(namespace)):
            found += [_holder(kind, raw) for raw in page]
    except Gone:
        return []
    return found


def _holder(kind: Kind, raw: Mapping[str, Any]) -> Holder:
    metadata = raw["metadata"]
    status = _status(raw) if kind is EXPERIMENT else None
    ref = Ref(kind.kind, metadata["namespace"], metadata["name"], metadata["uid"])
    has_finalizer = FINALIZER in (metadata.get("finalizers") or ())
    return Holder(ref, metadata["resourceVersion"], has_finalizer, "deletionTimestamp" in metadata, status)


def _status(raw: Mapping[str, Any]) -> ChaosExperimentStatus:
    """Read a status; one that cannot be read counts as that of an experiment which is not over."""
    try:
        return ChaosExperimentStatus.model_validate_json(json.dumps(raw.get("status") or {}))
    except ValidationError:
        return ChaosExperimentStatus()


async def leader_of(client: ApiClient, operators: str, now: datetime) -> str | None:
    """Give who leads the operators now; "" when nobody does, None when we may not know."""
    try:
        lease = await Leases(client).read(operators, LEADER)
    except Forbidden:
        return None
    return lease.holder if lease and lease.holder and lease.until and lease.until > now else ""
