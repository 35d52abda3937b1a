"""rolloutBreak: a template that cannot work, in every container of a workload."""

from homeostat.api.chaos_fault import RolloutBreak
from homeostat.core.chaos.faults.draft import Draft, Line, draft, pick, title, workload_record
from homeostat.core.chaos.faults.holding import described, hold, references_refusal
from homeostat.core.chaos.limits.blast_radius import Loss, blast_radius_refusal, ready_pods
from homeostat.core.chaos.limits.gates import Refusal, workloads_refusal
from homeostat.core.chaos.reasons import ChaosReason
from homeostat.core.chaos.seen import Case
from homeostat.core.cluster import Workload


def plan_rollout(case: Case, fault: RolloutBreak) -> Draft | Refusal:
    """Change the template of workloads."""
    picked = pick(case, case.seen.workloads, case.seen.workloads)
    if isinstance(picked, Refusal):
        return picked
    lines = tuple(_line(case, workload, fault) for workload in picked)
    refusal = (
        workloads_refusal(case, picked)
        or next((line for line in lines if isinstance(line, Refusal)), None)
        or blast_radius_refusal(case, tuple(_loss(workload) for workload in picked))
    )
    return refusal or draft(tuple(line for line in lines if isinstance(line, Line)))


def containers_of(workload: Workload) -> tuple[str, ...]:
    """Name the containers of a workload's template."""
    return tuple(name.removeprefix("image/") for name, _ in workload.fields if name.startswith("image/"))


def template_refusal(workload: Workload) -> Refusal | None:
    """Refuse a template whose change would reach no pod (C11), or would outlast its undo (C6)."""
    if not workload.rolls_out:
        message = f"{title(workload)} rolls out nothing by itself: it is paused, updates on deletion, or has no pods"
        return Refusal(ChaosReason.NOTHING_TO_CHANGE, message)
    if not workload.keeps_broken_pods:
        return None
    message = (
        f"{title(workload)} replaces its pods in order (podManagementPolicy: OrderedReady): one that never gets ready "
        "would stay when the template is put back"
    )
    return Refusal(ChaosReason.CANNOT_RESTORE, message)


def _line(case: Case, workload: Workload, fault: RolloutBreak) -> Line | Refusal:
    wanted = _wanted(workload, fault)
    what = described(wanted, dict(workload.fields))
    change = f"roll out {title(workload)} with {what}"
    undo = f"set back each of these fields of {title(workload)}, unless somebody else changed it meanwhile"
    refusal = template_refusal(workload) or references_refusal(workload, wanted)
    return refusal or hold(case, workload, workload_record(case, workload), wanted, (change, undo))


def _wanted(workload: Workload, fault: RolloutBreak) -> dict[str, str]:
    containers = containers_of(workload)
    if fault.image is not None:
        return {f"image/{container}": fault.image for container in containers}
    variables = (fault.env or {}).items()
    return {f"env/{container}/{key}": value for container in containers for key, value in variables}


def _loss(workload: Workload) -> Loss:
    """Count the pods that the rollout may take away before it gets stuck."""
    ready = ready_pods(workload.pods)
    return Loss(workload, ready, min(len(ready), workload.rollout_takes))
