"""What refuses a run before it has touched anything: the namespace, the targets' owners, and other writers."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

from homeostat.api.chaos import ALLOWED_LABEL
from homeostat.api.chaos_status import Verdict
from homeostat.api.freeze import Activity
from homeostat.core.chaos.marker import is_marked
from homeostat.core.chaos.reasons import ChaosReason
from homeostat.core.chaos.seen import Case, ChaosSeen
from homeostat.core.cluster import Workload

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


def _workload_refusal(case: Case, workload: Workload) -> Refusal | None:
    name = f"{workload.ref.kind}/{workload.ref.name}"
    if workload.is_deleting:
        return Refusal(ChaosReason.TARGET_DELETING, f"{name} is being deleted")
    if is_marked(workload):
        return Refusal(ChaosReason.TARGET_FAULTED, f"a fault is on {name} already, says its annotation")
    if workload.is_rolling_out:
        return Refusal(ChaosReason.TARGET_ROLLING_OUT, f"{name} is being rolled out")
    lock = case.seen.locks.get(workload.ref.uid)
    if lock is not None and lock.until > case.now and lock.holder.uid != case.seen.ref.uid:
        holder = f"{lock.holder.kind}/{lock.holder.name}"
        return Refusal(ChaosReason.TARGET_LOCKED, f"{name} is being written by {holder}")
    return None
