"""What the operator must be allowed to do for each step of a policy: asked long before it is needed.

The rights are those of one access review each; `why` names the step, so that the same right may stand here twice.
"""

from collections.abc import Iterable, Iterator, Sequence

from homeostat.api.recovery import RecoveryPolicySpec
from homeostat.api.recovery_step import CallWebhook, Step
from homeostat.api.recovery_target import TargetKind
from homeostat.core.cluster import Right

_RESOURCES = {
    "Deployment": ("apps", "deployments"),
    "StatefulSet": ("apps", "statefulsets"),
    "DaemonSet": ("apps", "daemonsets"),
    "Service": ("", "services"),
    "Node": ("", "nodes"),
}
_ANYWHERE = frozenset({"pods", "nodes"})
_MOST_LISTED = 8

Needed = tuple[str, str, str, str]
"""Verb, group, resource, subresource."""

_EVICT: Needed = ("create", "", "pods", "eviction")
_RESIZE: Needed = ("patch", "", "pods", "resize")
_PATCH_NODE: Needed = ("patch", "", "nodes", "")
_SECRET: Needed = ("get", "", "secrets", "")
_LOCK: tuple[Needed, ...] = tuple(
    (verb, "coordination.k8s.io", "leases", "") for verb in ("get", "create", "patch", "delete")
)
_JOB: tuple[Needed, ...] = (("create", "batch", "jobs", ""), ("get", "batch", "jobs", ""))


def needed(spec: RecoveryPolicySpec, namespace: str) -> tuple[Right, ...]:
    """Give all rights that the steps of a policy of `namespace` need."""
    return tuple(right for index in range(len(spec.steps)) for right in of_step(spec, index, namespace))


def of_step(spec: RecoveryPolicySpec, index: int, namespace: str) -> tuple[Right, ...]:
    """Give the rights that one step needs; on Nodes, and on pods wherever they are, those of the whole cluster."""
    step, on_nodes = spec.steps[index], spec.target.kind is TargetKind.NODE
    return tuple(
        Right(*one, namespace="" if on_nodes and one[2] in _ANYWHERE else namespace, why=_why(spec, index))
        for one in dict.fromkeys(_of(spec, step))
    )


def lacking_for(spec: RecoveryPolicySpec, index: int, missing: Iterable[Right]) -> tuple[Right, ...]:
    """Give what is missing of the rights of one step."""
    return tuple(right for right in missing if index < len(spec.steps) and right.why == _why(spec, index))


def listed(rights: Sequence[Right]) -> str:
    """List rights for a human: `create pods/eviction in shop, patch nodes`."""
    more = f" and {len(rights) - _MOST_LISTED} more" if len(rights) > _MOST_LISTED else ""
    return ", ".join(_in_short(right) for right in rights[:_MOST_LISTED]) + more


def told(missing: Sequence[Right]) -> str:
    """Say what is missing, step by step: `step 1 (scale): patch deployments.apps in shop`."""
    steps = dict.fromkeys(right.why for right in missing)
    return "; ".join(f"{why}: {listed([right for right in missing if right.why == why])}" for why in steps)


def _in_short(right: Right) -> str:
    group = f".{right.group}" if right.group else ""
    sub = f"/{right.subresource}" if right.subresource else ""
    where = f" in {right.namespace}" if right.namespace else ""
    return f"{right.verb} {right.resource}{group}{sub}{where}"


def _why(spec: RecoveryPolicySpec, index: int) -> str:
    return f"step {index} ({spec.steps[index].name})"


def _of(spec: RecoveryPolicySpec, step: Step) -> Iterator[Needed]:
    if step.escalate:
        yield from _of_webhook(step.escalate.webhook)
        return
    yield from _LOCK
    yield from _of_webhook(step.webhook)
    yield from _JOB if step.job else ()
    yield from _of_pods(spec, step)
    yield from _of_objects(spec, step)


def _of_webhook(webhook: CallWebhook | None) -> Iterator[Needed]:
    if webhook and webhook.secret_ref:
        yield _SECRET


def _of_pods(spec: RecoveryPolicySpec, step: Step) -> Iterator[Needed]:
    if step.restart_pods or step.evict or step.drain:
        yield _EVICT
    if step.resize or (step.restore and any(one.resize for one in spec.steps)):
        yield _RESIZE


def _of_objects(spec: RecoveryPolicySpec, step: Step) -> Iterator[Needed]:
    """Give what changes of objects need; to put back what earlier steps changed needs what these needed."""
    if step.cordon or step.drain:
        yield _PATCH_NODE
    if step.rollout_restart or step.rollout_undo or step.scale or step.patch:
        yield from _patching(spec, step)
    if step.restore:
        for other in spec.steps:
            yield from () if other.restore else _of_objects(spec, other)


def _patching(spec: RecoveryPolicySpec, step: Step) -> Iterator[Needed]:
    kinds = [one.kind.value for one in step.targets or ()] or [spec.target.kind.value]
    for kind in kinds:
        if kind in _RESOURCES:
            yield "patch", *_RESOURCES[kind], ""
        if step.rollout_undo:
            yield "list", "apps", "replicasets" if kind == "Deployment" else "controllerrevisions", ""
