"""resourceSqueeze: lower limits, of a Pod in place, of a workload by its template."""

from collections.abc import Iterator, Mapping

from homeostat.api.chaos_fault import ResourceSqueeze
from homeostat.core.chaos.faults.draft import Draft, Line, draft, pick, title, workload_record
from homeostat.core.chaos.faults.holding import described, hold
from homeostat.core.chaos.faults.pods import chosen
from homeostat.core.chaos.faults.quality import quality_of
from homeostat.core.chaos.faults.rollout import containers_of, template_refusal
from homeostat.core.chaos.limits.blast_radius import Loss, blast_radius_refusal, ready_pods
from homeostat.core.chaos.limits.gates import Refusal, workloads_refusal
from homeostat.core.chaos.marker import held
from homeostat.core.chaos.reasons import ChaosReason
from homeostat.core.chaos.seen import Case
from homeostat.core.cluster import Pod, Workload
from homeostat.core.quantity import parse_quantity


def plan_squeeze(case: Case, fault: ResourceSqueeze) -> Draft | Refusal:
    """Lower limits. All pods count as lost: each may be throttled or killed."""
    lines = _of_pods(case, fault) if case.spec.target.kind == "Pod" else _of_workloads(case, fault)
    if isinstance(lines, Refusal):
        return lines
    refused = next((line for line in lines if isinstance(line, Refusal)), None)
    return refused or draft(tuple(line for line in lines if isinstance(line, Line)))


def _of_pods(case: Case, fault: ResourceSqueeze) -> tuple[Line | Refusal, ...] | Refusal:
    victims = chosen(case)
    if isinstance(victims, Refusal):
        return victims
    return tuple(_pod_line(case, pod, owner, fault) for pod, owner in victims)


def _of_workloads(case: Case, fault: ResourceSqueeze) -> tuple[Line | Refusal, ...] | Refusal:
    picked = pick(case, case.seen.workloads, case.seen.workloads)
    if isinstance(picked, Refusal):
        return picked
    losses = tuple(Loss(one, ready_pods(one.pods), len(ready_pods(one.pods))) for one in picked)
    refusal = workloads_refusal(case, picked) or blast_radius_refusal(case, losses)
    return refusal or tuple(_workload_line(case, workload, fault) for workload in picked)


def _pod_line(case: Case, pod: Pod, owner: Workload, fault: ResourceSqueeze) -> Line | Refusal:
    """C6: what is added to a Pod in place cannot be taken away again, so only limits that are there are lowered."""
    containers = tuple(container.name for container in pod.containers)
    fields = dict(pod.fields)
    wanted = dict(_lower(containers, fields, fault, adds=False))
    if not wanted:
        return _no_lower(pod)
    if quality_of(containers, fields) != quality_of(containers, fields | wanted):
        message = f"{title(pod)} would get another QoS class, which the API server refuses"
        return Refusal(ChaosReason.CANNOT_RESTORE, message)
    return hold(case, pod, workload_record(case, owner), wanted, _words(pod, wanted))


def _workload_line(case: Case, workload: Workload, fault: ResourceSqueeze) -> Line | Refusal:
    wanted = dict(_lower(containers_of(workload), dict(workload.fields), fault, adds=True))
    if not wanted:
        return _no_lower(workload)
    return template_refusal(workload) or hold(
        case, workload, workload_record(case, workload), wanted, _words(workload, wanted)
    )


def _lower(
    containers: tuple[str, ...], fields: Mapping[str, str], fault: ResourceSqueeze, *, adds: bool
) -> Iterator[tuple[str, str]]:
    """Give the limits that go down, and the requests that would be above them. `adds`: also where there is no limit."""
    for resource, value in (("cpu", fault.cpu), ("memory", fault.memory)):
        for container in containers if value else ():
            limit, request = f"limits/{container}/{resource}", f"requests/{container}/{resource}"
            if not (_is_above(fields[limit], value) if limit in fields else adds):
                continue
            yield limit, str(value)
            if request in fields and _is_above(fields[request], value):
                yield request, str(value)


def _is_above(present: str, value: str | None) -> bool:
    return value is not None and parse_quantity(present) > parse_quantity(value)


def _no_lower(target: Pod | Workload) -> Refusal:
    return Refusal(ChaosReason.NOTHING_TO_CHANGE, f"no limit of {title(target)} would get lower")


def _words(target: Pod | Workload, wanted: Mapping[str, str]) -> tuple[str, str]:
    change = f"squeeze {title(target)}: {described(wanted, held(target).fields)}"
    return change, f"set back each of these fields of {title(target)}, unless somebody else changed it meanwhile"
