"""What we see of a cluster: small frozen records, made by `kube/` from raw objects, read by decisions."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from homeostat.core.decision import Ref

WorkloadKind = Literal["Deployment", "StatefulSet", "DaemonSet"]


@dataclass(frozen=True, slots=True)
class Pod:
    """One pod. `restarts` is the sum over its containers, `owner` the workload it belongs to and not a ReplicaSet.

    `reasons` holds every pod-level trigger word that applies now: CrashLoopBackOff, OOMKilled,
    ImagePullBackOff, NotReady, Pending, Evicted, Terminating. `claims` are the PersistentVolumeClaims it mounts,
    `exit_code` is that of the container that ended it, None while none has ended.
    """

    ref: Ref
    resource_version: str
    ip: str
    node: str
    phase: str
    is_ready: bool
    is_terminating: bool
    restarts: int
    created_at: datetime
    ready_since: datetime | None = None
    reasons: tuple[str, ...] = ()
    labels: tuple[tuple[str, str], ...] = ()
    owner: Ref | None = None
    claims: tuple[str, ...] = ()
    exit_code: int | None = None


@dataclass(frozen=True, slots=True)
class Workload:
    """A Deployment, StatefulSet or DaemonSet, and its pods."""

    ref: Ref
    resource_version: str
    generation: int
    observed_generation: int
    replicas: int
    updated: int
    ready: int
    available: int
    selector: str
    is_paused: bool = False
    is_deleting: bool = False
    annotations: tuple[tuple[str, str], ...] = ()
    pods: tuple[Pod, ...] = ()
    restart_id: str = ""  # the `id` of the last RestartRollout that stands in its pod template

    @property
    def is_rolling_out(self) -> bool:
        """Whether a rollout is under way: the spec is not yet what runs.

        Only the template counts: a pod that is merely not ready is a fault, not a rollout.
        """
        return self.observed_generation < self.generation or self.updated < self.replicas


@dataclass(frozen=True, slots=True)
class Claim:
    """A PersistentVolumeClaim: whether it has its volume."""

    name: str
    is_bound: bool


@dataclass(frozen=True, slots=True)
class Node:
    """A node: whether it is ready, and whether memory, disk or process ids run out on it."""

    name: str
    is_ready: bool
    is_under_pressure: bool


@dataclass(frozen=True, slots=True)
class Job:
    """A Job. `owners` are the uids of the objects it belongs to; `failure` says why it failed, "" while it has not.

    `is_started`: its controller has taken it on.
    """

    ref: Ref
    owners: tuple[str, ...]
    is_started: bool
    is_complete: bool
    failure: str = ""
    is_deleting: bool = False

    @property
    def has_ended(self) -> bool:
        """Whether its result stands."""
        return self.is_complete or bool(self.failure)


@dataclass(frozen=True, slots=True)
class Secret:
    """A Secret as read. What it holds is never shown."""

    type: str
    data: Mapping[str, bytes] = field(repr=False)


@dataclass(frozen=True, slots=True)
class DisruptionBudget:
    """A PodDisruptionBudget: how many of the pods it selects may go now."""

    name: str
    selector: str
    disruptions_allowed: int


@dataclass(frozen=True, slots=True)
class Namespace:
    """A namespace: whether it ends, and its labels (chaos asks for `homeostat.dev/chaos: allowed`)."""

    name: str
    is_terminating: bool
    labels: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Lock:
    """Who is the one writer of a target, and until when (R11)."""

    holder: Ref
    until: datetime


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One ready-or-not address behind a Service, with the resolved number of the port asked for."""

    address: str
    port: int
    is_ready: bool
    pod: Ref | None = None


@dataclass(frozen=True, slots=True)
class FreezeInForce:
    """A Freeze that applies now: its name, what it stops, why, and until when (None: until it is deleted)."""

    name: str
    stops: tuple[str, ...]
    reason: str
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class TokenBudget:
    """The cluster-wide action budget as the API server holds it."""

    used: int
    of: int
    resets_at: datetime | None = None
