"""How many pods of a target are out, and how many may be: percentages round down (R4)."""

from collections.abc import Collection, Iterable
from datetime import datetime
from decimal import Decimal

from homeostat.api.recovery_attempt import InFlight, TargetPhase
from homeostat.core.cluster import Pod, Workload


def allowance(limit: int | Decimal, replicas: int) -> int:
    """Turn a count or a share of `replicas` into a count, rounded down."""
    return limit if isinstance(limit, int) else int(limit * replicas)


def unavailable(target: Workload, out: Collection[str]) -> int:
    """Count the wanted replicas that do not serve: missing, not ready, going, or of a uid in `out`."""
    serving = [pod for pod in target.pods if _serves(pod) and pod.ref.uid not in out]
    return max(0, target.replicas - len(serving))


def in_treatment(target: Workload, entries: Iterable[InFlight], since: datetime) -> int:
    """Count the actions whose pod is still there, or not replaced by a ready one created after `since`.

    A target that has all its wanted replicas serving again misses none, whatever became of the pods.
    """
    entries = tuple(entries)
    intended = sum(1 for entry in entries if entry.phase is TargetPhase.INTENDED)
    still_there = _still_there(target, entries)
    missing = len(entries) - intended - len(replacements(target, since)) if unavailable(target, ()) else 0
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
    return sum(1 for entry in entries if entry.phase is TargetPhase.DONE and entry.target.uid in uids)
