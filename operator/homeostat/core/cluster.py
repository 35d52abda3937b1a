"""What we see of a cluster: small frozen records, made by `kube/` from raw objects, read by decisions."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

from homeostat.core.ref import Ref

WorkloadKind = Literal["Deployment", "StatefulSet", "DaemonSet"]


OUT_OF_MEMORY_LASTS = timedelta(minutes=1)


_CANNOT_START = frozenset(
    {
        "ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "ImageInspectError",
        "CreateContainerConfigError", "CreateContainerError", "RunContainerError",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Container:
    """What a container asks for and may use: quantities by "memory" and "cpu"."""

    name: str
    requests: tuple[tuple[str, str], ...] = ()
    limits: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class AgentContainer:
    """An ephemeral container of ours in a pod: Waiting, Running or Ended; `reason` as the kubelet has it."""

    name: str
    state: Literal["Waiting", "Running", "Ended"]
    reason: str = ""
    exit_code: int | None = None

    @property
    def is_stuck(self) -> bool:
        """Whether it waits for what does not come by itself, such as an image that cannot be pulled."""
        return self.state == "Waiting" and self.reason in _CANNOT_START


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
    containers: tuple[Container, ...] = ()
    has_empty_dir: bool = False
    is_mirror: bool = False  # a static pod of its Node, which no eviction moves
    terminating_since: datetime | None = None  # when it was told to go; its grace period follows
    grace_seconds: int = 30
    is_resizing: bool = False  # it does not run yet with the sizes that its spec asks for
    annotations: tuple[tuple[str, str], ...] = ()
    fields: tuple[tuple[str, str], ...] = ()  # limits/… and requests/…, as api.chaos_status.Fields names them
    agents: tuple[AgentContainer, ...] = ()
    has_host_network: bool = False
    has_readiness_probe: bool = True
    out_of_memory_at: datetime | None = None  # when the kernel last ended a container of it for want of memory

    def suffers(self, reason: str, now: datetime) -> bool:
        """Whether a word of `reasons` is true of it; that memory ran out stays true for a minute.

        A container is often ready again within seconds, which no look at pods every five seconds would notice.
        """
        if reason in self.reasons:
            return True
        ended = self.out_of_memory_at if reason == "OOMKilled" else None
        return ended is not None and timedelta(0) <= now - ended < OUT_OF_MEMORY_LASTS


@dataclass(frozen=True, slots=True)
class GitOwner:
    """Who reconciles an object with a Git repository, and which fields of it they own.

    `tool`: Argo CD or Flux. `name`: of its Application, Kustomization or HelmRelease. `fields`: paths of spec that
    they set, like `spec.replicas` and `spec.template`, as managedFields have them.
    """

    tool: str
    name: str
    fields: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Revision:
    """One revision of a workload: the ReplicaSet or ControllerRevision that holds its template."""

    name: str
    number: int
    created_at: datetime
    is_current: bool


@dataclass(frozen=True, slots=True)
class PatchEffect:
    """What a patch would change, found by a dry run: two merge patches, there and back, of the very same fields.

    `refusal` (reason, message) says why it would not apply; then both are empty.
    """

    forward: Mapping[str, Any]
    back: Mapping[str, Any]
    refusal: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Right:
    """One thing that the operator must be allowed to do, in the words of an access review; `why` is for humans."""

    verb: str
    group: str
    resource: str
    subresource: str = ""
    namespace: str = ""
    why: str = ""
    name: str = ""


@dataclass(frozen=True, slots=True)
class Workload:
    """What is healed: a Deployment, StatefulSet or DaemonSet with its pods, a Node with the pods on it, a Service.

    Of a Node: `replicas` is 1, `conditions` holds what is wrong with it (NotReady, MemoryPressure, DiskPressure,
    PIDPressure, Cordoned), and `population` is (unhealthy Nodes, all Nodes) of the cluster. Of what controls the pods
    of a policy for Pods, `pods` are all its pods and `eligible` the uids of those that the policy is for.
    """

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
    outdated: int = 0  # pods of an earlier template, which a Deployment keeps until the new ones serve
    is_stuck: bool = False  # its rollout made no progress within its deadline
    git: GitOwner | None = None
    is_unschedulable: bool = False
    conditions: tuple[str, ...] = ()
    population: tuple[int, int] | None = None
    eligible: frozenset[str] | None = None
    labels: tuple[tuple[str, str], ...] = ()
    fields: tuple[tuple[str, str], ...] = ()  # what a fault can set, as api.chaos_status.Fields names it
    rollout_takes: int = 0  # how many pods a rollout makes unavailable at most, before the first new one is ready
    references: frozenset[str] = frozenset()  # names of fields whose value is no text but a reference, as of a Secret
    rolls_out: bool = True  # a changed template reaches a pod without another hand
    keeps_broken_pods: bool = False  # a pod that never got ready stays, though its template is put back
    drops_claims: bool = False  # the volumes of replicas go with them when it is scaled down

    @property
    def is_rolling_out(self) -> bool:
        """Whether a rollout is under way: the spec is not yet what runs.

        Only the template counts: a pod that is merely not ready is a fault, not a rollout.
        """
        return self.observed_generation < self.generation or self.updated < self.replicas or self.outdated > 0


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


_NEVER_USED = frozenset(
    {
        "kubernetes.io/service-account-token",
        "bootstrap.kubernetes.io/token",
        "helm.sh/release.v1",
        "kubernetes.io/dockerconfigjson",
        "kubernetes.io/dockercfg",
    }
)
"""Types that are keys to the cluster itself, or hold what others keep: nobody's spec may carry them anywhere."""


@dataclass(frozen=True, slots=True)
class Secret:
    """A Secret as read. What it holds is never shown."""

    type: str
    data: Mapping[str, bytes] = field(repr=False)

    @property
    def may_be_used(self) -> bool:
        """Whether it is a user's own: not a key to the cluster itself, nor what others keep."""
        return self.type not in _NEVER_USED


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
class Service:
    """A Service with addresses of its own: the pods behind it are those that `selector` matches."""

    name: str
    selector: str
    addresses: tuple[str, ...]


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
