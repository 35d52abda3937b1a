"""scale: fewer replicas, or more."""

from homeostat.api.chaos_fault import ScaleFault
from homeostat.core.chaos.faults.draft import Draft, Line, draft, pick, title, workload_record
from homeostat.core.chaos.faults.holding import hold
from homeostat.core.chaos.limits.blast_radius import Loss, blast_radius_refusal
from homeostat.core.chaos.limits.gates import Refusal, workloads_refusal
from homeostat.core.chaos.reasons import ChaosReason
from homeostat.core.chaos.seen import Case
from homeostat.core.cluster import Workload


def plan_scale(case: Case, fault: ScaleFault) -> Draft | Refusal:
    """Set the replicas of workloads."""
    picked = pick(case, case.seen.workloads, case.seen.workloads)
    if isinstance(picked, Refusal):
        return picked
    lines = tuple(_line(case, workload, fault.to) for workload in picked)
    losses = tuple(_loss(workload, fault.to) for workload in picked)
    refusal = (
        workloads_refusal(case, picked)
        or next((line for line in lines if isinstance(line, Refusal)), None)
        or blast_radius_refusal(case, losses)
    )
    return refusal or draft(tuple(line for line in lines if isinstance(line, Line)))


def _line(case: Case, workload: Workload, to: int) -> Line | Refusal:
    if workload.replicas == to:
        return Refusal(ChaosReason.NOTHING_TO_CHANGE, f"{title(workload)} already has {to} replicas")
    if to < workload.replicas and workload.drops_claims:
        message = f"{title(workload)} deletes the volumes of replicas that it is scaled down by (whenScaled: Delete)"
        return Refusal(ChaosReason.CANNOT_RESTORE, message)
    change = f"scale {title(workload)} from {workload.replicas} to {to}"
    undo = f"scale {title(workload)} back to {workload.replicas}, unless somebody else changed it meanwhile"
    return hold(case, workload, workload_record(case, workload), {"replicas": str(to)}, (change, undo))


def _loss(workload: Workload, to: int) -> Loss:
    """Count all that go, ready now or not: which of them Kubernetes takes is open, and others may be ready by then."""
    return Loss(workload, workload.pods, max(0, workload.replicas - to))
