"""What an agent is ordered to do: the fault as in the manifest, with the addresses of the pods that it names."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from typing import Any

from homeostat.api.chaos import ChaosExperimentSpec
from homeostat.api.chaos_fault import LabelSelector, Peers
from homeostat.api.chaos_status import TargetRecord
from homeostat.core.chaos.faults.objects import target_now
from homeostat.core.chaos.seen import Case
from homeostat.core.chaos.selector import selects
from homeostat.core.cluster import Pod, Service
from homeostat.core.orders import Order
from homeostat.core.quantity import cpu_text, memory_text, parse_quantity

GRACE = timedelta(seconds=5)
"""How much longer than planned an agent may hold its fault, by its own clock: the operator ends it before."""
_TEXT = {"cpu": cpu_text, "memory": memory_text}


def fault_word(spec: ChaosExperimentSpec) -> str:
    """Give the member of spec.fault that is set, as in the manifest."""
    return next(iter(spec.fault.wire()), "")


def selector_text(selector: LabelSelector) -> str:
    """Write a selector as a query, like `app=db,tier=back`."""
    return ",".join(f"{key}={value}" for key, value in sorted(selector.match_labels.items()))


def peer_selectors(spec: ChaosExperimentSpec) -> tuple[str, ...]:
    """Name the selectors whose pods' addresses must be observed as `ChaosSeen.peers`."""
    found = (selector_text(one.selector) for one in _peers(spec) if one.selector is not None)
    return tuple(dict.fromkeys(found))


def addresses_of(peers: Iterable[Pod], everybody: Iterable[Pod], services: Iterable[Service]) -> tuple[str, ...]:
    """Give the addresses by which pods reach these peers: their own, and those of Services that stand for them alone.

    Inside a pod, what goes to a Service carries the Service's address. One that stands for others too is left out, so
    that the fault meets nobody else.
    """
    known = tuple(peers)
    uids, pods = {pod.ref.uid for pod in known}, tuple(everybody)
    found = {pod.ip for pod in known if pod.ip}
    for service in services:
        behind = {pod.ref.uid for pod in pods if selects(service.selector, dict(pod.labels))}
        if behind and behind <= uids:
            found.update(service.addresses)
    return tuple(sorted(found))


def order_of(case: Case, record: TargetRecord) -> Order:
    """Write the order for the agent of a target."""
    word = fault_word(case.spec)
    settings = _addressed(case, record, case.spec.fault.wire()[word])
    target = target_now(case, record)
    bounds = _bounds(target) if isinstance(target, Pod) and word in _TEXT else {}
    return Order(
        experiment=case.seen.ref.uid,
        run=max(1, case.status.run_number),
        fault=word,
        settings=settings | ({"bounds": bounds} if bounds else {}),
        seconds=(case.spec.duration + GRACE).total_seconds(),
        container=container_of(case, target) if isinstance(target, Pod) else "",
    )


def is_among_processes(spec: ChaosExperimentSpec) -> bool:
    """Whether the agent is put among the processes of one container of the target."""
    fault = spec.fault
    return any(one is not None for one in (fault.container_kill, fault.process_pause, fault.process_kill))


def container_of(case: Case, pod: Pod) -> str:
    """Name the container whose processes the agent must see; "" for none. Without a choice it is the first."""
    fault = case.spec.fault
    if fault.container_kill is not None:
        return fault.container_kill.container
    return pod.containers[0].name if is_among_processes(case.spec) and pod.containers else ""


def _peers(spec: ChaosExperimentSpec) -> Iterator[Peers]:
    fault = spec.fault.network
    cut = fault.partition if fault else None
    for one in (fault.peers if fault else None, cut.from_ if cut else None, cut.to if cut else None):
        if one is not None:
            yield one


def _addressed(case: Case, record: TargetRecord, settings: Any) -> Any:  # noqa: ANN401 - JSON in, JSON out
    """Replace each selector by the addresses of its pods, the target's own left out."""
    if not isinstance(settings, Mapping):
        return settings
    known = {key: _addressed(case, record, value) for key, value in settings.items() if key != "selector"}
    if "selector" not in settings:
        return known
    own = target_now(case, record)
    text = selector_text(LabelSelector.model_validate(settings["selector"]))
    found = case.seen.peers.get(text, ())
    return known | {"addresses": [ip for ip in found if not isinstance(own, Pod) or ip != own.ip]}


def _bounds(pod: Pod) -> dict[str, str]:
    """Sum up what the pod's containers may use; what one of them may use without a limit is left out."""
    found = {}
    for resource, text in _TEXT.items():
        limits = [dict(container.limits).get(resource) for container in pod.containers]
        known = [parse_quantity(limit) for limit in limits if limit is not None]
        if known and len(known) == len(limits):
            found[resource] = text(sum(known[1:], known[0]))
    return found
