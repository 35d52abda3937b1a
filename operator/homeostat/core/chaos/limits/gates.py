"""What refuses a run before it has touched anything: the namespace, the targets' owners, and other writers."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

from homeostat.api.chaos import ALLOWED_LABEL, MARKER
from homeostat.api.chaos_status import Verdict
from homeostat.api.freeze import Activity
from homeostat.core.chaos.reasons import ChaosReason
from homeostat.core.chaos.seen import Case, ChaosSeen
from homeostat.core.cluster import Pod, Workload

PROTECTED = frozenset({"kube-system", "kube-public", "kube-node-lease"})
"""Namespaces of Kubernetes itself: no experiment, whatever their labels."""
OLDEST_VIEW = timedelta(seconds=30)
"""A view of the API older than this is no ground to break anything on (C4)."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a run does not happen."""

    reason: ChaosReason
    message: str
    verdict: Verdict = Verdict.ABORTED


def is_view_stale(case: Case) -> bool:
    """Whether what we know of the cluster may be outdated."""
    return case.seen.view_age > OLDEST_VIEW


def is_frozen(case: Case) -> bool:
    """Whether a Freeze in force stops chaos here (C9)."""
    return case.seen.freeze is not None and Activity.CHAOS in case.seen.freeze.stops


def budget_refusal(seen: ChaosSeen) -> Refusal | None:
    """C8: refuse to spend a budget that its own policy says is too low for that."""
    if not seen.budget_held_by:
        return None
    message = f"the budget policy of ServiceLevelObjective {seen.budget_held_by} holds chaos"
    return Refusal(ChaosReason.BUDGET_HELD, message)


def namespace_refusal(seen: ChaosSeen) -> Refusal | None:
    """C10: refuse a namespace that is protected, ends, or has not opted in."""
    name = seen.ref.namespace
    if name in PROTECTED | seen.protected:
        return Refusal(ChaosReason.NAMESPACE_PROTECTED, f"namespace {name} is protected")
    if seen.namespace is None or seen.namespace.is_terminating:
        return Refusal(ChaosReason.NAMESPACE_TERMINATING, f"namespace {name} is being deleted")
    if ALLOWED_LABEL not in seen.namespace.labels:
        key, value = ALLOWED_LABEL
        return Refusal(ChaosReason.NAMESPACE_NOT_ALLOWED, f"namespace {name} lacks the label {key}: {value}")
    return None


def workloads_refusal(case: Case, workloads: Iterable[Workload]) -> Refusal | None:
    """Give the first reason why one of the workloads must be left alone."""
    refusals = (_workload_refusal(case, workload) for workload in workloads)
    return next((refusal for refusal in refusals if refusal is not None), None)


def nodes_refusal(case: Case, nodes: Iterable[Workload]) -> Refusal | None:
    """C10: refuse Nodes that the administrator has not opened to experiments, or that are not at rest."""
    if not case.seen.may_touch_nodes:
        return nodes_not_allowed(case)
    for node in nodes:
        if ALLOWED_LABEL not in node.labels:
            key, value = ALLOWED_LABEL
            return Refusal(ChaosReason.NODES_NOT_ALLOWED, f"Node/{node.ref.name} lacks the label {key}: {value}")
        refusal = _workload_refusal(case, node)
        if refusal is not None:
            return refusal
    return None


def nodes_not_allowed(case: Case) -> Refusal:
    """C10: refuse Nodes to experiments of a namespace that the administrator did not open them to."""
    message = f"experiments of namespace {case.seen.ref.namespace} may not touch Nodes"
    return Refusal(ChaosReason.NODES_NOT_ALLOWED, message)


def pods_refusal(case: Case, pods: Iterable[Pod]) -> Refusal | None:
    """C12: refuse pods on which a fault is already: marked ones, and those in which an agent is at work.

    One whose image cannot be pulled stays listed for the pod's life and holds nothing; should it ever start, it ends
    for want of a beat.
    """
    ours = {record.agent for record in case.status.targets}
    for pod in pods:
        at_work = any(one.state != "Ended" and not one.is_stuck and one.name not in ours for one in pod.agents)
        if at_work or _is_faulted(case, pod):
            what = "an agent is at work in it" if at_work else "says its annotation"
            return Refusal(ChaosReason.TARGET_FAULTED, f"a fault is on Pod/{pod.ref.name} already: {what}")
    return None


def agents_refusal(case: Case, pods: Iterable[Pod]) -> Refusal | None:
    """Refuse agents where there is no image of them, and in pods whose network is the Node's."""
    if not case.seen.agent_image:
        return Refusal(ChaosReason.NO_AGENT_IMAGE, "the operator has no image for fault agents")
    shared = next((pod for pod in pods if pod.has_host_network), None)
    if shared is None:
        return None
    return Refusal(ChaosReason.HOST_NETWORK, f"Pod/{shared.ref.name} uses the network of its Node")


def _is_faulted(case: Case, target: Workload | Pod) -> bool:
    """Whether a marker stands on it that is not of the injection under way, which may have to be taken up again."""
    marker = dict(target.annotations).get(MARKER)
    return marker is not None and marker not in {one.marker for one in case.status.targets if one.uid == target.ref.uid}


def _workload_refusal(case: Case, workload: Workload) -> Refusal | None:
    name = f"{workload.ref.kind}/{workload.ref.name}"
    if workload.is_deleting:
        return Refusal(ChaosReason.TARGET_DELETING, f"{name} is being deleted")
    if _is_faulted(case, workload):
        return Refusal(ChaosReason.TARGET_FAULTED, f"a fault is on {name} already, says its annotation")
    if workload.ref.kind != "Node" and workload.is_rolling_out:
        return Refusal(ChaosReason.TARGET_ROLLING_OUT, f"{name} is being rolled out")
    lock = case.seen.locks.get(workload.ref.uid)
    if lock is not None and lock.until > case.now and lock.holder.uid != case.seen.ref.uid:
        holder = f"{lock.holder.kind}/{lock.holder.name}"
        return Refusal(ChaosReason.TARGET_LOCKED, f"{name} is being written by {holder}")
    return None
