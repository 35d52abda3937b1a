"""The undo Pod's own view of its Lease: what it says, and what is answered on it."""

from homeostat.kube.apiserver.client import MERGE_PATCH, ApiClient
from homeostat.kube.apiserver.gate import Urgency
from homeostat.kube.apiserver.resources import LEASE
from homeostat.kube.guards.lease import DONE, FIRED, READY, TROUBLE, GuardLease, digest, guard_lease_of
from homeostat.ports import Gone

_MANAGER = {"fieldManager": "homeostat-undo"}


class GuardPost:
    """One Lease, as its Pod reads and answers it. All methods raise the exceptions of `ports`."""

    def __init__(self, client: ApiClient, namespace: str, name: str) -> None:
        self._client = client
        self._path = LEASE.path(namespace, name)

    async def read(self) -> GuardLease | None:
        """Read the Lease; None when it is not there."""
        try:
            return guard_lease_of(await self._client.request("GET", self._path))
        except Gone:
            return None

    async def acknowledge(self, records: str, trouble: str) -> None:
        """Say that these records are known and can be restored, or why they cannot."""
        ready = None if trouble else digest(records)
        await self._answer({READY: ready, TROUBLE: trouble or None})

    async def has_fired(self, cause: str) -> None:
        """Say why the fault is taken off now."""
        await self._answer({FIRED: cause})

    async def is_done(self, cause: str, what: str) -> None:
        """Say what came of it, and why: that could not be said while the API server was away."""
        await self._answer({FIRED: cause, DONE: what})

    async def _answer(self, annotations: dict[str, str | None]) -> None:
        body = {"metadata": {"annotations": annotations}}
        await self._client.request(
            "PATCH", self._path, query=_MANAGER, body=body, content_type=MERGE_PATCH, urgency=Urgency.LEASE
        )
