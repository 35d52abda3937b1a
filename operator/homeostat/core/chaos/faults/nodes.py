"""cordon and drain: Nodes that take no new pods, and Nodes whose pods have to go."""

from homeostat.api.chaos_fault import NodeCordon, NodeDrain
from homeostat.api.chaos_status import MOST_TARGETS
from homeostat.api.meta import format_duration
from homeostat.core.chaos.faults.draft import Draft, Line, draft, pick, title, too_many, workload_record
from homeostat.core.chaos.faults.holding import hold
from homeostat.core.chaos.faults.pods import blow, losses_of, victims_of
from homeostat.core.chaos.limits.blast_radius import Loss, blast_radius_refusal
from homeostat.core.chaos.limits.gates import Refusal, nodes_not_allowed, nodes_refusal, pods_refusal, workloads_refusal
from homeostat.core.chaos.reasons import ChaosReason
from homeostat.core.chaos.seen import Case
from homeostat.core.cluster import Pod, Workload

_OVER = frozenset({"Succeeded", "Failed"})


def plan_cordon(case: Case, _fault: NodeCordon) -> Draft | Refusal:
    """Make Nodes unschedulable: no pod is lost by that."""
    lines = _cordoned(case)
    return lines if isinstance(lines, Refusal) else draft(lines)


def plan_drain(case: Case, fault: NodeDrain) -> Draft | Refusal:
    """Make Nodes unschedulable and evict every pod that a drain would."""
    lines = _cordoned(case)
    if isinstance(lines, Refusal):
        return lines
    drained = {line.record.uid for line in lines}
    pods = tuple(pod for node in case.seen.workloads if node.ref.uid in drained for pod in node.pods if _goes(pod))
    foreign = _foreign(case, pods)
    if foreign is not None:
        return foreign
    losses = losses_of(case, pods)
    if isinstance(losses, Refusal):
        return losses
    refusal = _drain_refusal(case, pods, losses)
    if refusal is not None:
        return refusal
    grace = format_duration(fault.grace_period)
    evictions = tuple(blow(case, pod, owner, "evict", grace) for pod, owner in victims_of(losses))
    if len(lines) + len(evictions) > MOST_TARGETS:
        return too_many(len(lines) + len(evictions))
    return draft((*lines, *evictions))


def _foreign(case: Case, pods: tuple[Pod, ...]) -> Refusal | None:
    """C10: a drain takes all of a Node's pods or none: never only those that it may."""
    foreign = sorted({pod.ref.namespace for pod in pods if pod.ref.uid in case.seen.pods_elsewhere})
    if not foreign:
        return None
    message = f"pods of namespaces that take no part are on the Node: {', '.join(foreign)}"
    return Refusal(ChaosReason.NAMESPACE_NOT_ALLOWED, message[:500])


def _drain_refusal(case: Case, pods: tuple[Pod, ...], losses: tuple[Loss, ...]) -> Refusal | None:
    return (
        workloads_refusal(case, (loss.workload for loss in losses))
        or pods_refusal(case, pods)
        or blast_radius_refusal(case, losses)
    )


def _cordoned(case: Case) -> tuple[Line, ...] | Refusal:
    if not case.seen.may_touch_nodes:  # before all else: then none was looked at
        return nodes_not_allowed(case)
    nodes = case.seen.workloads
    picked = pick(case, nodes, tuple(node for node in nodes if "NotReady" not in node.conditions))
    if isinstance(picked, Refusal):
        return picked
    refusal = nodes_refusal(case, picked)
    if refusal is not None:
        return refusal
    lines = tuple(_cordon(case, node) for node in picked)
    refused = next((line for line in lines if isinstance(line, Refusal)), None)
    return refused or tuple(line for line in lines if isinstance(line, Line))


def _cordon(case: Case, node: Workload) -> Line | Refusal:
    if node.is_unschedulable:
        return Refusal(ChaosReason.NOTHING_TO_CHANGE, f"{title(node)} is unschedulable already")
    words = (f"cordon {title(node)}", f"uncordon {title(node)}, unless somebody else did meanwhile")
    return hold(case, node, workload_record(case, node), {"unschedulable": "true"}, words)


def _goes(pod: Pod) -> bool:
    """Whether a drain evicts it: not what its DaemonSet or the Node itself would put back there, nor what is over."""
    is_bound = pod.is_mirror or (pod.owner is not None and pod.owner.kind == "DaemonSet")
    return not is_bound and not pod.is_terminating and pod.phase not in _OVER
