"""podKill and podEvict; and the pods that any fault of pods takes, with the workloads that lose them."""

from homeostat.api.chaos_fault import PodEvict, PodKill
from homeostat.api.meta import format_duration
from homeostat.core.chaos.faults.draft import Draft, Line, draft, pick, pod_record, title
from homeostat.core.chaos.limits.blast_radius import Loss, blast_radius_refusal, ready_pods
from homeostat.core.chaos.limits.gates import Refusal, pods_refusal, workloads_refusal
from homeostat.core.chaos.reasons import ChaosReason
from homeostat.core.chaos.seen import Case
from homeostat.core.cluster import Pod, Workload

Victims = tuple[tuple[Pod, Workload], ...]


def plan_kill(case: Case, fault: PodKill) -> Draft | Refusal:
    """Delete pods: the PodDisruptionBudgets that Kubernetes would not ask are asked here."""
    victims = chosen(case)
    if isinstance(victims, Refusal):
        return victims
    return _blow(case, victims, "delete", format_duration(fault.grace_period))


def plan_evict(case: Case, fault: PodEvict) -> Draft | Refusal:
    """Evict pods: whether a PodDisruptionBudget allows it, the API server is asked, as that is what is tried out."""
    victims = chosen(case, counts_budgets=False)
    if isinstance(victims, Refusal):
        return victims
    return _blow(case, victims, "evict", format_duration(fault.grace_period))


def chosen(case: Case, *, counts_budgets: bool = True) -> Victims | Refusal:
    """Pick ready pods, each with its workload, or give the first reason to leave them alone."""
    picked = pick(case, case.seen.pods, ready_pods(case.seen.pods))
    if isinstance(picked, Refusal):
        return picked
    losses = losses_of(case, picked)
    if isinstance(losses, Refusal):
        return losses
    refusal = (
        workloads_refusal(case, (loss.workload for loss in losses))
        or pods_refusal(case, picked)
        or blast_radius_refusal(case, losses, counts_budgets=counts_budgets)
    )
    return refusal or victims_of(losses)


def losses_of(case: Case, picked: tuple[Pod, ...]) -> tuple[Loss, ...] | Refusal:
    """Group the pods by the workload that replaces them. C6: a pod that nobody replaces is left alone."""
    owners = {owner.ref.uid: owner for owner in case.seen.owners}
    orphan = next((pod for pod in picked if pod.owner is None or pod.owner.uid not in owners), None)
    if orphan is not None:
        message = f"nothing would replace {title(orphan)}: it belongs to no workload"
        return Refusal(ChaosReason.NOT_REPLACEABLE, message)
    by_owner: dict[str, tuple[Pod, ...]] = {}
    for pod in picked:
        uid = pod.owner.uid if pod.owner else ""
        by_owner[uid] = (*by_owner.get(uid, ()), pod)
    return tuple(Loss(owners[uid], pods, len(ready_pods(pods))) for uid, pods in by_owner.items())


def victims_of(losses: tuple[Loss, ...]) -> Victims:
    """Give each pod that goes with the workload that loses it."""
    return tuple((pod, loss.workload) for loss in losses for pod in loss.among)


def blow(case: Case, pod: Pod, owner: Workload, verb: str, grace: str) -> Line:
    """Plan one pod's end."""
    change = f"{verb} {title(pod)}, grace period {grace}"
    return Line(pod_record(case, pod, owner), change, f"none: {title(owner)} makes a new pod")


def _blow(case: Case, victims: Victims, verb: str, grace: str) -> Draft:
    return draft(tuple(blow(case, pod, owner, verb, grace) for pod, owner in victims))
