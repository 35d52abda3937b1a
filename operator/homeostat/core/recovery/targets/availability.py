"""How many pods of a target are out, and how many may be: percentages round down (R4)."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from homeostat.api.recovery_attempt import ActionName, InFlight, TargetPhase
from homeostat.core.cluster import Pod, Workload


@dataclass(frozen=True, slots=True)
class Share:
    """So many of so many, and of what: pods of a workload, or Nodes of the cluster."""

    count: int
    of: int
    noun: str = "pods"


def allowance(limit: int | Decimal, replicas: int) -> int:
    """Turn a count or a share of `replicas` into a count, rounded down."""
    return limit if isinstance(limit, int) else int(limit * replicas)


def is_node(target: Workload) -> bool:
    """Whether the target is a Node: its pods are guests, and nothing replaces them on it."""
    return target.ref.kind == "Node"


def size(target: Workload) -> int:
    """Say of how many pods a share of a target is: of its replicas, or of the pods on a Node."""
    return len(target.pods) if is_node(target) else target.replicas


def at_once(limit: int | Decimal, target: Workload) -> int:
    """Say how many pods may be in treatment at once.

    A share of what loses its pods in the course (a Node) or has none (a Service) is one at least, else it would be 0.
    """
    cap = allowance(limit, size(target))
    is_share_of_few = not isinstance(limit, int) and target.ref.kind in {"Node", "Service"}
    return max(1, cap) if is_share_of_few and limit else cap


def members(target: Workload) -> tuple[Pod, ...]:
    """Give the pods that may be touched: all, or those that a policy for Pods is for."""
    if target.eligible is None:
        return target.pods
    return tuple(pod for pod in target.pods if pod.ref.uid in target.eligible)


def unhealthy(target: Workload, out: Collection[str]) -> Share:
    """Count what is unhealthy or will be in treatment.

    Of a workload its pods, with those of a uid in `out`; of a Node the Nodes of the cluster, with itself, for what is
    done to it takes it out.
    """
    if not is_node(target):
        return Share(unavailable(target, out), target.replicas)
    sick, nodes = target.population or (1, 1)
    return Share(sick if target.conditions else sick + 1, nodes, "Nodes")


def unavailable(target: Workload, out: Collection[str]) -> int:
    """Count the wanted replicas that do not serve: missing, not ready, going, or of a uid in `out`.

    None of a Node, whose pods are wanted anywhere.
    """
    if is_node(target):
        return 0
    serving = [pod for pod in target.pods if _serves(pod) and pod.ref.uid not in out]
    return max(0, target.replicas - len(serving))


def in_treatment(target: Workload, entries: Iterable[InFlight], since: datetime) -> int:
    """Count the actions whose pod is still there, or not replaced by a ready one created after `since`.

    A target that has all its wanted replicas serving again misses none, whatever became of the pods. Only evictions
    take pods away; any other action is no longer in treatment once it is done.
    """
    entries = tuple(entries)
    intended = sum(1 for entry in entries if entry.phase is TargetPhase.INTENDED)
    evicted = [one for one in entries if one.phase is TargetPhase.DONE and one.action is ActionName.EVICT_POD]
    still_there = _still_there(target, evicted)
    missing = len(evicted) - len(replacements(target, since)) if unavailable(target, ()) else 0
    return intended + max(0, missing, still_there)


def replacements(target: Workload, since: datetime) -> tuple[Pod, ...]:
    """Give the serving pods created at or after `since`, to the second as Kubernetes dates them."""
    return tuple(pod for pod in target.pods if _serves(pod) and is_newer(pod, since))


def is_newer(pod: Pod, since: datetime) -> bool:
    """Whether a pod was created at or after `since`, to the second as Kubernetes dates them."""
    return pod.created_at >= since.replace(microsecond=0)


def _serves(pod: Pod) -> bool:
    return pod.is_ready and not pod.is_terminating


def _still_there(target: Workload, entries: Iterable[InFlight]) -> int:
    uids = {pod.ref.uid for pod in target.pods}
    return sum(1 for entry in entries if entry.target.uid in uids)
