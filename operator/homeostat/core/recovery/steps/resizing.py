"""resize: more memory or CPU for running pods, in place and one after another; taken back, the sizes they had.

Request and limit are raised alike, so that the pod's class of service stays what it is.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from homeostat.api.recovery_attempt import ActionName, InFlight
from homeostat.api.recovery_step import Resize
from homeostat.core.action import ResizePod
from homeostat.core.cluster import Container, Pod, Workload
from homeostat.core.quantity import cpu_text, has_sizes, memory_text, parse_quantity
from homeostat.core.recovery.reasons import Block, BlockReason
from homeostat.core.recovery.seen import Case
from homeostat.core.recovery.steps.handling import Handling, pod_of
from homeostat.core.recovery.steps.planned import Ask, Plan, object_id
from homeostat.core.recovery.steps.restarting import next_pods
from homeostat.core.ref import Ref

Sizes = dict[str, dict[str, dict[str, str]]]
"""Container → requests and limits → resource → quantity."""

NO_MORE_PODS = Block(BlockReason.NO_FAILING_PODS, "The trigger names no pod of the target that could be resized.")
NOT_SETTLED = Block(BlockReason.IN_FLIGHT, "The pod before does not have its new size yet.")
NOTHING_TO_RAISE = Block(BlockReason.NOTHING_TO_RAISE, "The pods have no requests or limits of what is to be raised.")
AT_MAXIMUM = Block(BlockReason.AT_MAXIMUM, "The containers have as much as the step allows.")


@dataclass(frozen=True, slots=True)
class _Raise:
    """By how much one resource is raised, and to what at most."""

    resource: str
    factor: Decimal
    most: Decimal | None

    def of(self, quantity: str) -> str | None:
        """Give the raised quantity; None when it is at its maximum already."""
        before = parse_quantity(quantity)
        after = before * self.factor if self.most is None else min(before * self.factor, self.most)
        text = memory_text(after) if self.resource == "memory" else cpu_text(after)
        return text if parse_quantity(text) > before else None


def plan_resize(ask: Ask) -> Plan | Block:
    """Plan the next pod that can be raised, once the one before has its new size."""
    if any(not _has_settled(ask.case, ask.target, entry) for entry in ask.case.status.in_flight):
        return NOT_SETTLED
    step, block = ask.step.resize or Resize(), NO_MORE_PODS
    for pod in next_pods(ask, step.which):
        sizes = _raised(pod, step)
        if isinstance(sizes, tuple):
            target = object_id(pod.ref)
            return Plan(ActionName.RESIZE_POD, ask.target, target, pod.resource_version, *sizes)
        block = sizes
    return NO_MORE_PODS if ask.case.status.attempt else block


def _has_settled(_case: Case, workload: Workload, entry: InFlight) -> bool:
    """Whether a pod runs with the size that an action gave it, or is no longer there."""
    pod = pod_of(workload, entry.target)
    return pod is None or not pod.is_resizing


def _raised(pod: Pod, step: Resize) -> tuple[Sizes, Sizes] | Block:
    """Give what a pod's containers have and what they would get, or why that is no more."""
    containers = [one for one in pod.containers if step.container in {"", one.name}]
    raises = tuple(_raises(step))
    original, desired, has_any = Sizes(), Sizes(), False
    for container in containers:
        for section, quantities in _sections(container):
            for raise_ in raises:
                if raise_.resource not in quantities:
                    continue
                has_any = True
                if text := raise_.of(quantities[raise_.resource]):
                    _put(original, container.name, section, raise_.resource, quantities[raise_.resource])
                    _put(desired, container.name, section, raise_.resource, text)
    if desired:
        return original, desired
    return AT_MAXIMUM if has_any else NOTHING_TO_RAISE


def _raises(step: Resize) -> Iterator[_Raise]:
    for resource, share, most in (("memory", step.memory, step.max_memory), ("cpu", step.cpu, step.max_cpu)):
        if share:
            factor = 1 + Decimal(share[1:-1]) / 100
            yield _Raise(resource, factor, parse_quantity(most) if most else None)


def _sections(container: Container) -> tuple[tuple[str, dict[str, str]], ...]:
    return ("requests", dict(container.requests)), ("limits", dict(container.limits))


def _put(sizes: Sizes, container: str, section: str, resource: str, text: str) -> None:
    sizes.setdefault(container, {}).setdefault(section, {})[resource] = text


def _act(_case: Case, workload: Workload, entry: InFlight) -> ResizePod:
    target = entry.target
    ref = Ref(target.kind, workload.ref.namespace, target.name, target.uid)
    return ResizePod(entry.id, ref, entry.resource_version, entry.desired or {})


def _has_happened(_case: Case, workload: Workload, entry: InFlight) -> bool:
    """A pod takes no marker with a resize: its sizes tell."""
    return _have(workload, entry, entry.desired or {})


def _is_untouched(_case: Case, workload: Workload, entry: InFlight) -> bool:
    return _have(workload, entry, entry.original or {})


def _have(workload: Workload, entry: InFlight, sizes: Mapping[str, Any]) -> bool:
    """Whether the pod is there and its containers ask for just these sizes."""
    pod = pod_of(workload, entry.target)
    if pod is None:
        return False
    return has_sizes({one.name: dict(_sections(one)) for one in pod.containers}, sizes)


def _version(_case: Case, workload: Workload, entry: InFlight) -> str:
    pod = pod_of(workload, entry.target)
    return pod.resource_version if pod else entry.resource_version


RESIZING = Handling(_act, _has_happened, _is_untouched, _version, is_reversible=True, has_settled=_has_settled)
