"""What a decision may have done on the cluster, and how that ended.

Each action has an `id` that follows from the record, so that a repeated action is the same action.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from homeostat.core.orders import Order
from homeostat.core.ref import Ref


@dataclass(frozen=True, slots=True)
class EvictPod:
    """Evict one pod through the Eviction API, if it still is the same pod (R10). Gone already counts as done."""

    id: str
    pod: Ref
    grace_period_seconds: int | None = None


@dataclass(frozen=True, slots=True)
class DeletePod:
    """Delete one pod, if it still is the same pod: a chaos fault, never a way round a PodDisruptionBudget."""

    id: str
    pod: Ref
    grace_period_seconds: int | None = None


@dataclass(frozen=True, slots=True)
class RestartRollout:
    """Roll a workload's pods by an annotation of its template; `id` is the annotation's value, so twice is once."""

    id: str
    target: Ref
    resource_version: str


@dataclass(frozen=True, slots=True)
class Scale:
    """Set a workload's replicas to `replicas` and, in the same write, `annotations` on it (None removes one).

    The markers let a sweeper find and undo a fault by what stands on the target, not by our records.
    """

    id: str
    target: Ref
    resource_version: str
    replicas: int
    annotations: Mapping[str, str | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class UndoRollout:
    """Make a workload's pod template that of an earlier revision, and mark the write with `annotations`.

    `revision` names the ReplicaSet or ControllerRevision that holds the template.
    """

    id: str
    target: Ref
    resource_version: str
    revision: str
    annotations: Mapping[str, str | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PatchObject:
    """Change an object by a patch (`strategy`: Merge or Strategic), and mark the same write with `annotations`."""

    id: str
    target: Ref
    resource_version: str
    strategy: str
    body: Mapping[str, Any]
    annotations: Mapping[str, str | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SetUnschedulable:
    """Cordon a Node, or uncordon it, and mark the same write with `annotations`."""

    id: str
    node: Ref
    resource_version: str
    unschedulable: bool
    annotations: Mapping[str, str | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ResizePod:
    """Give a running pod's containers other requests and limits, in place.

    `resources`: container → {"requests": {"memory": "96Mi"}, "limits": {…}}, only what changes.
    """

    id: str
    pod: Ref
    resource_version: str
    resources: Mapping[str, Mapping[str, Mapping[str, str]]]


@dataclass(frozen=True, slots=True)
class RunJob:
    """Create a Job that belongs to `owner`. `id` names it, so that it is created once; one that is there is done."""

    id: str
    owner: Ref
    name: str
    template: Mapping[str, Any]
    environment: Mapping[str, str]
    seconds: int
    keep_seconds: int


@dataclass(frozen=True, slots=True)
class CallWebhook:
    """POST `body` as JSON to `url`, signed with the key of a Secret (name, key) of `owner`'s namespace.

    `id` is the Idempotency-Key: who gets the same call twice can tell.
    """

    id: str
    owner: Ref
    url: str
    body: Mapping[str, Any]
    secret: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class TakeLock:
    """Become the one writer of `target` until `seconds` from now, or renew that (R11)."""

    id: str
    target: Ref
    holder: Ref
    seconds: int


@dataclass(frozen=True, slots=True)
class ReleaseLock:
    """Give up being the one writer of `target`, if `holder` still is."""

    id: str
    target: Ref
    holder: Ref


@dataclass(frozen=True, slots=True)
class TakeToken:
    """Take one from the cluster-wide action budget, kept in the API server (R3)."""

    id: str


@dataclass(frozen=True, slots=True)
class InstallRules:
    """Write the object that holds an objective's rules for Prometheus, or write it as it should be again.

    `body` is the whole object: a PrometheusRule or a ConfigMap, owned by `owner`. One of that name that is not ours
    is left alone.
    """

    id: str
    owner: Ref
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class RemoveRules:
    """Delete the object of `kind` that holds an objective's rules, if it is ours. Gone already counts as done."""

    id: str
    owner: Ref
    kind: str
    name: str


@dataclass(frozen=True, slots=True)
class HoldFields:
    """Set fields of an object (names as in `api.chaos_status.Fields`; None takes one away) and mark the same write.

    With annotation values of None the marker goes: so a fault goes on, and so it goes off. Sizes of a Pod are set in
    place, in a write of its own between marker on and marker off.
    """

    id: str
    target: Ref
    resource_version: str
    fields: Mapping[str, str | None]
    annotations: Mapping[str, str | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class KeepGuard:
    """Keep the Lease and the Pod, both called `name`, that restore `records` when nobody renews them.

    `records`: JSON text of a list of {kind, namespace, name, uid, original, to, marker}. `deadline`: when they restore
    in any case. `seconds`: without renewal for so long they restore. Made if they are not there, else renewed.
    """

    id: str
    name: str
    owner: Ref
    run: int
    records: str
    deadline: datetime
    seconds: int


@dataclass(frozen=True, slots=True)
class DropGuard:
    """Remove a guard, Lease and Pod, once there is nothing left to restore. Gone already counts as done."""

    id: str
    name: str
    owner: Ref


@dataclass(frozen=True, slots=True)
class StartAgent:
    """Put a fault agent into a pod as its ephemeral container `name`; one of that name that is there is done."""

    id: str
    pod: Ref
    name: str
    order: Order


@dataclass(frozen=True, slots=True)
class HoldAgent:
    """Beat for an agent, once a second, for `seconds` from now; its first beat ever puts the fault on.

    `begins`: the fault is not known to be on yet, so this may be that beat.
    """

    id: str
    pod: Ref
    name: str
    seconds: float
    begins: bool = False


@dataclass(frozen=True, slots=True)
class StopAgent:
    """Beat no more for an agent, and tell it to take the fault off. One that cannot be told ends by itself."""

    id: str
    pod: Ref
    name: str


@dataclass(frozen=True, slots=True)
class AskExperiment:
    """Ask something of a ChaosExperiment in a game day's name: write `annotations` on it (None removes one).

    `resource_version` is the one that was decided on: an experiment that has moved since is looked at again first.
    """

    id: str
    experiment: Ref
    resource_version: str
    annotations: Mapping[str, str | None]


Action = (
    EvictPod
    | DeletePod
    | RestartRollout
    | Scale
    | UndoRollout
    | PatchObject
    | SetUnschedulable
    | ResizePod
    | RunJob
    | CallWebhook
    | TakeLock
    | ReleaseLock
    | TakeToken
    | InstallRules
    | RemoveRules
    | HoldFields
    | KeepGuard
    | DropGuard
    | StartAgent
    | HoldAgent
    | StopAgent
    | AskExperiment
)


class Verb(StrEnum):
    """How an action ended."""

    DONE = "Done"
    REFUSED = "Refused"  # the API server or a limit said no: a precondition, a PodDisruptionBudget, a lock
    FAILED = "Failed"  # the wire broke or the server erred: whether it happened is unknown


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one action ended: `reason` is CamelCase (`NotFound`, `Conflict`, `PodDisruptionBudget`, `Locked`, …)."""

    verb: Verb
    reason: str = ""
    message: str = ""


Outcomes = Mapping[str, Outcome]
"""Outcomes by action id; empty when `decide` is called for any other reason than a finished action."""
FINALIZER = "finalizer"
"""In `Outcomes`: we may not set the finalizer that was wanted. Whoever wants it still then is put off."""
