"""How much a run may take at most (C10). Every limit refuses; none trims the run to what would be allowed."""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from homeostat.core.chaos.limits.gates import Refusal
from homeostat.core.chaos.reasons import ChaosReason
from homeostat.core.chaos.seen import Case
from homeostat.core.chaos.selector import selects
from homeostat.core.cluster import DisruptionBudget, Pod, Workload

MOST_OF_CLUSTER = Decimal("0.66")
"""Share of the cluster's ready pods that one run may take."""


@dataclass(frozen=True, slots=True)
class Loss:
    """How many ready pods a workload loses: `count` of `among`. Which of them is open when there are more."""

    workload: Workload
    among: tuple[Pod, ...]
    count: int


def ready_pods(pods: tuple[Pod, ...]) -> tuple[Pod, ...]:
    """Give the pods that serve now and are meant to go on serving."""
    return tuple(pod for pod in pods if pod.is_ready and not pod.is_terminating)


def blast_radius_refusal(case: Case, losses: tuple[Loss, ...], *, counts_budgets: bool = True) -> Refusal | None:
    """Give the first limit that the losses, taken together, would break."""
    refusals = (
        *(_floor_refusal(case, loss) for loss in losses),
        *(_budget_refusals(case, losses) if counts_budgets else ()),
        _namespace_refusal(case, losses),
        _cluster_refusal(case, losses),
    )
    return next((refusal for refusal in refusals if refusal is not None), None)


def _floor_refusal(case: Case, loss: Loss) -> Refusal | None:
    floor = case.spec.blast_radius.min_available
    left = max(0, len(ready_pods(loss.workload.pods)) - loss.count)
    if loss.count == 0 or left >= floor:
        return None
    name = f"{loss.workload.ref.kind}/{loss.workload.ref.name}"
    message = f"{name} would keep {left} ready pods; minAvailable is {floor}"
    return Refusal(ChaosReason.BLAST_RADIUS_MIN_AVAILABLE, message)


def _budget_refusals(case: Case, losses: tuple[Loss, ...]) -> Iterator[Refusal]:
    for budget in case.seen.disruption_budgets:
        hits = sum(min(loss.count, _covered(budget, loss)) for loss in losses)
        if hits > max(0, budget.disruptions_allowed):
            message = f"PodDisruptionBudget {budget.name} allows {budget.disruptions_allowed} disruptions, not {hits}"
            yield Refusal(ChaosReason.BLAST_RADIUS_DISRUPTION_BUDGET, message)


def _covered(budget: DisruptionBudget, loss: Loss) -> int:
    return sum(selects(budget.selector, dict(pod.labels)) for pod in loss.among)


def _namespace_refusal(case: Case, losses: tuple[Loss, ...]) -> Refusal | None:
    """Count what the experiment's own namespace loses; a drain may take from others that take part."""
    own = case.seen.ref.namespace
    return _share_refusal(
        tuple(loss for loss in losses if loss.workload.ref.namespace == own),
        case.seen.namespace_pods,
        case.spec.blast_radius.max_namespace_percent,
        Refusal(ChaosReason.BLAST_RADIUS_NAMESPACE, "namespace"),
    )


def _cluster_refusal(case: Case, losses: tuple[Loss, ...]) -> Refusal | None:
    if case.seen.cluster_pods is None:
        return None
    refusal = Refusal(ChaosReason.BLAST_RADIUS_CLUSTER, "cluster")
    return _share_refusal(losses, case.seen.cluster_pods, MOST_OF_CLUSTER, refusal)


def _share_refusal(losses: tuple[Loss, ...], ready: int, share: Decimal, of: Refusal) -> Refusal | None:
    """Refuse more than `share` of `ready`, rounded down; `of` names the reason and the whole."""
    lost, most = sum(loss.count for loss in losses), int(share * ready)
    if lost <= most:
        return None
    message = f"{lost} pods would go; of the {ready} ready pods of the {of.message}, at most {most} may"
    return Refusal(of.reason, message)
