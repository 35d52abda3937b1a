"""What a step would do next to its target: one action on one object, or why there is none to do."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from homeostat.api.recovery_attempt import ActionName, Attempt, ObjectId
from homeostat.api.recovery_status import Signal
from homeostat.api.recovery_step import RestartPods, ScaleUp, Step, Which
from homeostat.core.cluster import Pod, Workload
from homeostat.core.decision import Ref
from homeostat.core.recovery.reasons import Block, BlockReason
from homeostat.core.recovery.seen import Case
from homeostat.core.recovery.signals import failing
from homeostat.core.recovery.steps.actions import described
from homeostat.core.recovery.targets.availability import is_newer


@dataclass(frozen=True, slots=True)
class Plan:
    """One disruptive action on an object of the workload, as it was seen; `original` and `desired` as on record."""

    action: ActionName
    workload: Workload
    target: ObjectId
    resource_version: str
    original: Mapping[str, Any] | None = None
    desired: Mapping[str, Any] | None = None

    @property
    def title(self) -> str:
        """Say in short what is done: `EvictPod checkout-1`."""
        return described(self.action, self.target.name, self.original, self.desired)


def plan(case: Case, step: Step, signal: Signal) -> Plan | Block:
    """Plan the next action of `step`: what the open attempt has treated already is left out."""
    target = case.seen.target
    if target is None or target.is_deleting:
        return Block(BlockReason.TARGET_NOT_FOUND, "The target is not there.")
    if step.restart_pods:
        return _eviction(case, target, step.restart_pods, signal)
    if step.rollout_restart:
        return Plan(ActionName.RESTART_ROLLOUT, target, object_id(target.ref), target.resource_version)
    if step.scale:
        return _scaling(target, step.scale)
    return Block(BlockReason.NOT_IMPLEMENTED, f"The step {step.name or 'without a name'} is not implemented.")


def object_id(ref: Ref) -> ObjectId:
    """Put a reference on record."""
    return ObjectId(kind=ref.kind, name=ref.name, uid=ref.uid)


def wanted_replicas(replicas: int, scale: ScaleUp) -> int:
    """Say how many replicas a step wants: never fewer than there are, a share rounded down."""
    wanted = scale.to or replicas
    if scale.by and scale.by.endswith("%"):
        wanted = replicas + replicas * int(scale.by[1:-1]) // 100
    elif scale.by:
        wanted = replicas + int(scale.by)
    return max(replicas, min(wanted, scale.max or wanted))


def _eviction(case: Case, target: Workload, step: RestartPods, signal: Signal) -> Plan | Block:
    attempt, treated = case.status.attempt, {entry.target.uid for entry in case.status.in_flight}
    wanted = {ref.uid for ref in failing(case, signal.trigger)}
    pods = [
        pod
        for pod in sorted(target.pods, key=lambda pod: pod.ref.name)
        if (step.which is Which.ALL or pod.ref.uid in wanted)
        and not pod.is_terminating
        and not _is_of(attempt, pod, treated)
    ]
    if not pods:
        return Block(BlockReason.NO_FAILING_PODS, "The trigger names no pod of the target that could be restarted.")
    return Plan(ActionName.EVICT_POD, target, object_id(pods[0].ref), pods[0].resource_version)


def _is_of(attempt: Attempt | None, pod: Pod, treated: set[str]) -> bool:
    """Whether a pod was treated by the open attempt, or came to be during it."""
    return attempt is not None and (pod.ref.uid in treated or is_newer(pod, attempt.started_at))


def _scaling(target: Workload, scale: ScaleUp) -> Plan | Block:
    if target.replicas == 0:
        return Block(BlockReason.SCALED_TO_ZERO, "The target is scaled to zero, which is somebody's decision.")
    wanted = wanted_replicas(target.replicas, scale)
    if wanted == target.replicas:
        return Block(BlockReason.AT_MAXIMUM, f"The target has {target.replicas} replicas, as many as the step allows.")
    original, desired = {"replicas": target.replicas}, {"replicas": wanted}
    return Plan(ActionName.SCALE, target, object_id(target.ref), target.resource_version, original, desired)
