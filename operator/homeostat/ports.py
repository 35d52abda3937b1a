"""What the shell needs from the world, as Protocols: each has one real implementation and one fake in tests."""

from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from homeostat.api.meta import Kind
from homeostat.core.cluster import DisruptionBudget, Lock, Namespace, Pod, TokenBudget, Workload
from homeostat.core.decision import Action, Event, Outcome, Ref
from homeostat.core.probing import Request, Result
from homeostat.core.window import Bucket as Bucket  # noqa: PLC0414 - part of what History speaks


class Conflict(Exception):
    """A write was refused because the object changed or was replaced since we read it."""


class Gone(Exception):
    """The object is no longer there."""


class Unavailable(Exception):
    """The API server could not be reached, throttled us past our patience, or erred."""


class Forbidden(Exception):
    """The API server says we may not."""


class Rejected(Exception):
    """The API server says that what we wrote is invalid. The message is safe to show."""


class Clock(Protocol):
    """Wall time for records, monotonic time for schedules."""

    def now(self) -> datetime:
        """Give the wall time, aware, in UTC."""
        ...

    def monotonic(self) -> float:
        """Give seconds that never jump."""
        ...


class Objects(Protocol):
    """Our own kinds in the API server. All raise Conflict, Gone, Unavailable, Forbidden or Rejected."""

    async def apply_status(
        self,
        kind: Kind,
        ref: Ref,
        status: dict[str, Any],
        *,
        resource_version: str | None = None,
        is_urgent: bool = False,
    ) -> dict[str, Any]:
        """Server-side apply the whole status; with `resource_version`, only onto that version. Gives the object.

        `is_urgent`: an act waits for it, so it does not wait behind the figures of others.
        """
        ...

    async def set_finalizer(self, kind: Kind, ref: Ref, resource_version: str, *, present: bool) -> dict[str, Any]:
        """Add or remove our finalizer, if the object is still at `resource_version`. Gives the object."""
        ...

    async def get(self, kind: Kind, namespace: str, name: str) -> dict[str, Any]:
        """Read one object."""
        ...

    def list(self, kind: Kind, namespaces: Sequence[str] = ()) -> AsyncIterator[dict[str, Any]]:
        """Read all objects of a kind, page by page; no namespaces means the whole cluster."""
        ...

    def list_versions(self, kind: Kind, namespaces: Sequence[str] = ()) -> AsyncIterator[tuple[Ref, str]]:
        """Read only (reference, resourceVersion) of all objects of a kind, page by page, metadata only."""
        ...


class Cluster(Protocol):
    """What others own in the cluster, read on demand. None means: not there."""

    async def workload(self, namespace: str, kind: str, name: str) -> Workload | None:
        """Read a workload with its pods."""
        ...

    async def workloads(self, namespace: str, kind: str, selector: str) -> tuple[Workload, ...]:
        """Read the workloads that match a label selector, with their pods."""
        ...

    async def pods(self, namespace: str, selector: str) -> tuple[Pod, ...]:
        """Read the pods that match a label selector ("" for all)."""
        ...

    async def pod(self, namespace: str, name: str) -> Pod | None:
        """Read one pod."""
        ...

    async def disruption_budgets(self, namespace: str) -> tuple[DisruptionBudget, ...]:
        """Read the PodDisruptionBudgets of a namespace."""
        ...

    async def namespace(self, name: str) -> Namespace | None:
        """Read a namespace."""
        ...

    async def lock(self, target: Ref) -> Lock | None:
        """Read who is the one writer of a target."""
        ...

    async def token_budget(self, now: datetime) -> TokenBudget:
        """Read the cluster-wide action budget."""
        ...


class Actuator(Protocol):
    """The only hand that touches what others own."""

    async def act(self, action: Action, now: datetime) -> Outcome:
        """Perform one action with its preconditions; never raises for what the API server may answer."""
        ...


class Recorder(Protocol):
    """Kubernetes events, deduplicated into series and rate-limited."""

    async def record(self, about: Ref, event: Event, now: datetime) -> None:
        """Tell what happened to `about`. Losing an event is logged, never raised."""
        ...


class Prober(Protocol):
    """Runs one probe against one address."""

    async def probe(self, request: Request, timeout: float) -> Result:  # noqa: ASYNC109 - a budget, kept inside
        """Give a result within `timeout` seconds; never raises, except for cancellation."""
        ...


@dataclass(frozen=True, slots=True)
class StoredResult:
    """A probe's result worth keeping: `check` is the HealthCheck's uid."""

    check: str
    at: datetime
    verdict: str
    reason: str
    seconds: float
    target: str = ""


@dataclass(frozen=True, slots=True)
class StoredAttempt:
    """One finished recovery attempt or experiment run, as JSON-ready details; `owner` is the object's uid."""

    id: str
    owner: str
    kind: str
    namespace: str
    name: str
    started_at: datetime
    ended_at: datetime | None
    outcome: str
    details: dict[str, Any]


class History(Protocol):
    """The store of history. Every call may fail with HistoryUnavailable; nobody's safety depends on it."""

    async def add_buckets(self, buckets: Iterable[Bucket]) -> None:
        """Write or overwrite buckets."""
        ...

    async def buckets(self, seconds: int, since: int, series: Sequence[str] = ()) -> Sequence[Bucket]:
        """Read the buckets of one resolution from `since` on, oldest first; all series, or those named."""
        ...

    async def add_results(self, results: Iterable[StoredResult]) -> None:
        """Append probe results."""
        ...

    async def add_attempt(self, attempt: StoredAttempt) -> None:
        """Write or overwrite an attempt by its id."""
        ...

    async def attempts(self, owner: str, limit: int = 100) -> Sequence[StoredAttempt]:
        """Read the newest attempts of an owner."""
        ...

    async def prune(self, now: datetime) -> int:
        """Delete what is past its retention; give the number of rows."""
        ...


class HistoryUnavailable(Exception):
    """The store of history cannot be read or written now."""
