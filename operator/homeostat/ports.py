"""What the shell needs from the world, as Protocols: each has one real implementation and one fake in tests."""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from homeostat.api.meta import Kind
from homeostat.core.action import Action, CallWebhook, Outcome
from homeostat.core.cluster import (
    Claim,
    DisruptionBudget,
    Job,
    Lock,
    Namespace,
    Node,
    PatchEffect,
    Pod,
    Revision,
    Right,
    Secret,
    Service,
    TokenBudget,
    Workload,
)
from homeostat.core.decision import Event
from homeostat.core.guarding.watch import GuardSeen
from homeostat.core.probing.request import JobRequest, Request
from homeostat.core.probing.result import Result
from homeostat.core.prometheus.answer import Failure, LoadedGroup, Matrix, Vector
from homeostat.core.ref import Ref

if TYPE_CHECKING:  # they bring numpy: a guard must be there soon, and needs none of it
    from homeostat.core.history.ledger import Closed
    from homeostat.core.history.ranges import Grid, Step
    from homeostat.core.history.records import Known, Latencies, PastRun, Runs


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


Facts: TypeAlias = Mapping[str, str | int | float | bool]
"""What a trace says of something: names of the cluster and words from lists; never an address, a body or a Secret."""


class Tracer(Protocol):
    """Tells what is done, in which order and for how long. Nothing here waits, and nothing ever raises."""

    @property
    def is_on(self) -> bool:
        """Whether anybody listens."""
        ...

    @property
    def is_kept(self) -> bool:
        """Whether what is under way here is kept: else what is dear to say need not be put together."""
        ...

    def span(self, name: str, facts: Facts, *, is_root: bool = False) -> AbstractContextManager[None]:
        """Time what is done within: part of what is under way here, or at the root a trace of its own."""
        ...

    def note(self, facts: Facts) -> None:
        """Say more of what is under way."""
        ...

    def event(self, name: str, facts: Facts, *, ago: float = 0.0) -> None:
        """Say that something happened in it, `ago` seconds before now."""
        ...

    def link(self, story: str) -> None:
        """Say that it is part of a story that takes longer, such as an attempt: the story's id."""
        ...

    def story(self, name: str, story: str, began: datetime, ended: datetime, facts: Facts) -> None:
        """Tell a story as a whole, once it is over."""
        ...


class Untraced:
    """The tracer that tells nobody (implements `Tracer`)."""

    is_on = is_kept = False
    _nothing = nullcontext()

    def span(self, name: str, facts: Facts, *, is_root: bool = False) -> AbstractContextManager[None]:  # noqa: ARG002
        """Time nothing."""
        return self._nothing

    def note(self, facts: Facts) -> None:
        """Say nothing."""

    def event(self, name: str, facts: Facts, *, ago: float = 0.0) -> None:
        """Say nothing."""

    def link(self, story: str) -> None:
        """Say nothing."""

    def story(self, name: str, story: str, began: datetime, ended: datetime, facts: Facts) -> None:
        """Say nothing."""


UNTRACED = Untraced()


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

    async def ready_pods(self) -> int:
        """Count the ready pods of the whole cluster."""
        ...

    async def services(self, namespace: str) -> tuple[Service, ...]:
        """Read the Services of a namespace that have an address of their own and select pods."""
        ...

    async def disruption_budgets(self, namespace: str) -> tuple[DisruptionBudget, ...]:
        """Read the PodDisruptionBudgets of a namespace."""
        ...

    async def namespace(self, name: str) -> Namespace | None:
        """Read a namespace."""
        ...

    async def claims(self, namespace: str) -> tuple[Claim, ...]:
        """Read the PersistentVolumeClaims of a namespace."""
        ...

    async def nodes(self, names: Collection[str]) -> tuple[Node, ...]:
        """Read the nodes with these names; those that are not there are left out."""
        ...

    async def lock(self, target: Ref) -> Lock | None:
        """Read who is the one writer of a target."""
        ...

    async def token_budget(self, now: datetime) -> TokenBudget:
        """Read the cluster-wide action budget."""
        ...


class Targets(Protocol):
    """What a RecoveryPolicy heals, read on demand. All raise Unavailable, Forbidden or Rejected."""

    async def named(self, namespace: str, kind: str, name: str) -> Workload | None:
        """Read one target: a workload, a Service, a Node (of no namespace), or what controls the Pod of that name."""
        ...

    async def selected(self, namespace: str, kind: str, selector: str) -> tuple[Workload, ...]:
        """Read the targets that match a label selector; of Pods, what controls them."""
        ...

    async def pods_on(self, node: str) -> tuple[Pod, ...]:
        """Read the pods on a Node, of all namespaces; their owner is who controls them directly."""
        ...

    async def revisions(self, workload: Workload) -> tuple[Revision, ...]:
        """Read the revisions of a Deployment, StatefulSet or DaemonSet, newest first."""
        ...

    async def try_patch(self, target: Ref, strategy: str, body: Mapping[str, Any]) -> PatchEffect:
        """Find by a dry run on the API server what a patch would change, or why it would not apply."""
        ...

    async def fields(self, target: Ref, wanted: Mapping[str, Any]) -> Mapping[str, Any]:
        """Read those fields of an object that a merge patch names; absent ones are None."""
        ...

    async def job(self, namespace: str, name: str) -> Job | None:
        """Read a Job."""
        ...


class Guards(Protocol):
    """What restores held fields when the operator does not."""

    async def read(self, name: str) -> GuardSeen | None:
        """Read a guard; None when neither its Lease nor its Pod is there. Raises Unavailable, Forbidden or Rejected."""
        ...


class Wire(Protocol):
    """One attachment to an agent's container."""

    async def send(self, line: bytes) -> None:
        """Write a line to its standard input; raises Unavailable when the connection broke."""
        ...

    async def hear(self) -> bytes | None:
        """Wait for the next line of its standard output; None when the connection, or the container, has ended."""
        ...

    async def close(self) -> None:
        """End the attachment; the container is none the wiser. Never raises."""
        ...


class AgentWires(Protocol):
    """The containers of agents, by pod and name."""

    def attached(self, pod: Ref, container: str) -> AbstractAsyncContextManager[Wire]:
        """Attach to a container that runs. Raises Gone, Unavailable, Forbidden or Rejected."""
        ...

    async def last_lines(self, pod: Ref, container: str) -> Sequence[bytes]:
        """Read the newest lines of its log, oldest first. Raises Gone, Unavailable, Forbidden or Rejected."""
        ...


class Rights(Protocol):
    """What the operator itself may do."""

    async def missing(self, wanted: Sequence[Right]) -> tuple[Right, ...]:
        """Give what of it the operator may not; raises Unavailable when that cannot be told."""
        ...


class Secrets(Protocol):
    """Secrets, each read by its name and never listed. Raises Unavailable or Forbidden."""

    async def read(self, namespace: str, name: str) -> Secret | None:
        """Read one; None when it is not there."""
        ...


class Jobs(Protocol):
    """The Jobs that probes are: one of a HealthCheck at a time. All raise Unavailable or Forbidden."""

    async def create(self, request: JobRequest, seconds: float) -> Job:
        """Create the Job of a HealthCheck, which ends by itself after `seconds`.

        Raises Conflict while there is one of that name, and Rejected when the API server refuses the Job itself.
        """
        ...

    async def read(self, request: JobRequest) -> Job | None:
        """Read the Job of that name, whoever made it; None when there is none."""
        ...

    async def pods(self, job: Ref) -> tuple[Pod, ...]:
        """Read the pods of a Job."""
        ...

    async def delete(self, job: Ref) -> None:
        """Delete this very Job and leave its pods to the garbage collector; that it is gone already is fine."""
        ...


class Actuator(Protocol):
    """The only hand that touches what others own."""

    async def act(self, action: Action, now: datetime) -> Outcome:
        """Perform one action with its preconditions; never raises for what the API server may answer."""
        ...


class Caller(Protocol):
    """Calls the webhooks of policies."""

    async def call(self, action: CallWebhook, now: datetime) -> Outcome:
        """POST once, signed, within ten seconds; never raises for what may come back."""
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


class Prometheus(Protocol):
    """Asks Prometheus, each within a deadline of its own. `url` "" is the operator's own; never raises for an answer.

    Only the operator's own Prometheus is shown the operator's token; any other URL is a user's, and guarded.
    """

    async def query(self, url: str, query: str, at: float) -> Vector | Failure:
        """Ask for an instant vector as of `at` (epoch s)."""
        ...

    async def query_range(self, url: str, query: str, start: float, end: float, step: float) -> Matrix | Failure:
        """Ask for a range vector, ends included."""
        ...

    async def groups(self, url: str) -> tuple[LoadedGroup, ...] | Failure:
        """Ask which groups of rules are loaded."""
        ...


class Refusal(StrEnum):
    """Why somebody may not do what they ask for."""

    UNKNOWN = "Unauthenticated"  # no token, or none that the cluster knows
    FORBIDDEN = "Forbidden"
    UNDECIDED = "Undecided"  # the API server did not say: try again
    UNABLE = "NotPermitted"  # we may not ask the API server who somebody is


@dataclass(frozen=True, slots=True)
class Attributes:
    """What somebody wants to do to our own kinds, in the words of a SubjectAccessReview."""

    verb: str
    resource: str
    subresource: str = ""
    namespace: str = ""
    name: str = ""


class Admission(Protocol):
    """What the API server lets nobody do."""

    async def is_in_force(self, name: str) -> bool:
        """Whether the admission policy of this name guards the whole cluster."""
        ...


class Access(Protocol):
    """Who somebody is and what they may do, as the cluster says: TokenReview and SubjectAccessReview."""

    async def check(self, token: str, attributes: Attributes) -> Refusal | None:
        """Say why the bearer of a token may not; None when they may."""
        ...


@dataclass(frozen=True, slots=True)
class Delivery:
    """Events of one request, to be counted once: `counts` are (series, minute since the epoch, bad, total).

    A `key` that was delivered before to the same `objective` (its uid) is not counted again; "" is no key. `known` says
    whose series are counted that history may not have heard of: a group that nobody knows the name of is lost.
    """

    objective: str
    key: str
    counts: tuple[tuple[str, int, float, float], ...]
    known: "tuple[Known, ...]" = ()


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


@dataclass(frozen=True, slots=True)
class StoredDecision:
    """One decision of a RecoveryPolicy on a trigger that fires, as on its status; `owner` is the policy's uid."""

    id: str
    owner: str
    namespace: str
    name: str
    at: datetime
    verdict: str
    reason: str
    details: dict[str, Any]


Record: TypeAlias = "Closed | Runs | Latencies | Known | StoredAttempt | StoredDecision"
"""What is written to history. Those with many rows say how many by their length."""


@dataclass(frozen=True, slots=True)
class Pruned:
    """What is left of the store: its size in bytes. `is_cut`: it was too large, and younger things had to go too."""

    size: int
    is_cut: bool = False


class History(Protocol):
    """The store of history. Every call may fail with HistoryUnavailable; nobody's safety depends on it."""

    async def add(self, records: Sequence[Record]) -> None:
        """Write records in one transaction. What is written twice is there once."""
        ...

    async def deliver(self, deliveries: Sequence[Delivery], now: datetime) -> Sequence[bool]:
        """Count pushed events durably, all in one transaction; say of each delivery whether it was new.

        The events are then in the buckets of every length that `periods` gives. When this returns, no crash of ours
        loses them.
        """
        ...

    async def recorded_until(self) -> int:
        """Give where the newest bucket ends (epoch s); 0 when there is none."""
        ...

    def periods(self, seconds: int, since: int, series: Sequence[str]) -> "AsyncIterator[Closed]":
        """Read the buckets of one length from `since` on, oldest first, each period of all these series at once."""
        ...

    async def runs(self, start: int, series: Sequence[str]) -> "Runs | None":
        """Read the raw runs of the minute from `start`, of these series; None when there are none."""
        ...

    async def span(self, series: str, grid: "Grid") -> "Sequence[Step]":
        """Read a range of one series in steps, with latencies."""
        ...

    async def past_runs(self, series: str, since: int, until: int) -> "Sequence[PastRun]":
        """Read the raw runs of one series in a range (epoch s), oldest first."""
        ...

    async def known(self, namespace: str = "", name: str = "") -> "Sequence[Known]":
        """Read whose series there are: all, or those of a namespace, or of a name in it."""
        ...

    async def attempts(self, owner: str, limit: int = 100) -> Sequence[StoredAttempt]:
        """Read the newest attempts of an owner."""
        ...

    async def decisions(self, owner: str, limit: int = 100) -> Sequence[StoredDecision]:
        """Read the newest decisions of a RecoveryPolicy."""
        ...

    async def prune(self, now: datetime) -> Pruned:
        """Delete what is past its retention, and what the store has no room for."""
        ...


class HistoryUnavailable(Exception):
    """The store of history cannot be read or written now."""
