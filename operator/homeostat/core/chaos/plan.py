"""Which targets a run takes and what it does to them: one pure function, for dry runs and real ones (C14)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from homeostat.api.chaos_fault import PodKill, ScaleFault
from homeostat.api.chaos_status import MOST_TARGETS, Plan, TargetRecord, Verdict, WorkloadRecord
from homeostat.api.meta import format_duration
from homeostat.core.chaos.blast_radius import Loss, blast_radius_refusal, ready_pods
from homeostat.core.chaos.gates import Refusal, namespace_refusal, workloads_refusal
from homeostat.core.chaos.marker import Marker
from homeostat.core.chaos.reasons import ChaosReason
from homeostat.core.chaos.seen import Case
from homeostat.core.cluster import Pod, Workload

T = TypeVar("T", Pod, Workload)


@dataclass(frozen=True, slots=True)
class Draft:
    """The targets as they will be on record, and the plan in words."""

    targets: tuple[TargetRecord, ...]
    plan: Plan


def draw(case: Case) -> Draft | Refusal:
    """Pick the targets by `choice` and plan the fault, or give the first reason not to."""
    refusal = namespace_refusal(case.seen)
    if refusal is not None:
        return refusal
    fault = case.spec.fault
    if fault.scale is not None:
        return _scale(case, fault.scale)
    if fault.pod_kill is not None:
        return _kill(case, fault.pod_kill)
    return Refusal(ChaosReason.NOT_EVALUATED, "this release cannot make the fault that is asked for")


# --- podKill --------------------------------------------------------------------------------------------


def _kill(case: Case, fault: PodKill) -> Draft | Refusal:
    picked = _pick(case, case.seen.pods, ready_pods(case.seen.pods))
    if isinstance(picked, Refusal):
        return picked
    losses = _losses(case, picked)
    if isinstance(losses, Refusal):
        return losses
    refusal = workloads_refusal(case, (loss.workload for loss in losses)) or blast_radius_refusal(case, losses)
    if refusal is not None:
        return refusal
    pairs = tuple((pod, loss.workload) for loss in losses for pod in loss.among)
    return Draft(tuple(_pod_record(*pair) for pair in pairs), _kill_plan(pairs, fault))


def _kill_plan(pairs: tuple[tuple[Pod, Workload], ...], fault: PodKill) -> Plan:
    grace = format_duration(fault.grace_period)
    return Plan(
        targets=tuple(f"Pod/{pod.ref.name}" for pod, _ in pairs),
        changes=tuple(f"delete Pod/{pod.ref.name}, grace period {grace}" for pod, _ in pairs),
        undo=tuple(f"none: {_name(owner)} makes a new pod" for _, owner in pairs),
    )


def _losses(case: Case, picked: tuple[Pod, ...]) -> tuple[Loss, ...] | Refusal:
    """Group the pods by the workload that replaces them. C6: a pod that nobody replaces is left alone."""
    owners = {owner.ref.uid: owner for owner in case.seen.owners}
    orphan = next((pod for pod in picked if pod.owner is None or pod.owner.uid not in owners), None)
    if orphan is not None:
        message = f"nothing would replace Pod/{orphan.ref.name}: it belongs to no workload"
        return Refusal(ChaosReason.NOT_REPLACEABLE, message)
    by_owner: dict[str, tuple[Pod, ...]] = {}
    for pod in picked:
        uid = pod.owner.uid if pod.owner else ""
        by_owner[uid] = (*by_owner.get(uid, ()), pod)
    return tuple(Loss(owners[uid], pods, len(pods)) for uid, pods in by_owner.items())


def _pod_record(pod: Pod, owner: Workload) -> TargetRecord:
    return TargetRecord(kind="Pod", name=pod.ref.name, uid=pod.ref.uid, workload=_workload_record(owner))


# --- scale ----------------------------------------------------------------------------------------------


def _scale(case: Case, fault: ScaleFault) -> Draft | Refusal:
    picked = _pick(case, case.seen.workloads, case.seen.workloads)
    if isinstance(picked, Refusal):
        return picked
    losses = tuple(_scale_loss(workload, fault.to) for workload in picked)
    refusal = (
        workloads_refusal(case, picked) or _nothing_to_change(picked, fault.to) or blast_radius_refusal(case, losses)
    )
    if refusal is not None:
        return refusal
    return Draft(tuple(_scale_record(case, workload, fault.to) for workload in picked), _scale_plan(picked, fault))


def _scale_plan(picked: tuple[Workload, ...], fault: ScaleFault) -> Plan:
    before = [(_name(workload), workload.replicas) for workload in picked]
    return Plan(
        targets=tuple(name for name, _ in before),
        changes=tuple(f"scale {name} from {replicas} to {fault.to}" for name, replicas in before),
        undo=tuple(
            f"scale {name} back to {replicas}, unless somebody else changed it meanwhile" for name, replicas in before
        ),
    )


def _scale_loss(workload: Workload, to: int) -> Loss:
    ready = ready_pods(workload.pods)
    return Loss(workload, ready, max(0, len(ready) - to))


def _nothing_to_change(workloads: Sequence[Workload], to: int) -> Refusal | None:
    same = next((workload for workload in workloads if workload.replicas == to), None)
    if same is None:
        return None
    return Refusal(ChaosReason.NOTHING_TO_CHANGE, f"{_name(same)} already has {to} replicas")


def _scale_record(case: Case, workload: Workload, to: int) -> TargetRecord:
    marker = Marker(experiment=case.seen.ref.uid, run=max(1, case.status.run_number), original=workload.replicas, to=to)
    return TargetRecord(
        kind=workload.ref.kind,
        name=workload.ref.name,
        uid=workload.ref.uid,
        original=workload.replicas,
        to=to,
        marker=marker.text(),
        workload=_workload_record(workload),
    )


# --- both -----------------------------------------------------------------------------------------------


def _name(workload: Workload) -> str:
    return f"{workload.ref.kind}/{workload.ref.name}"


def _workload_record(workload: Workload) -> WorkloadRecord:
    return WorkloadRecord(
        kind=workload.ref.kind,
        name=workload.ref.name,
        uid=workload.ref.uid,
        ready_before=len(ready_pods(workload.pods)),
    )


def _pick(case: Case, matching: Sequence[T], eligible: Sequence[T]) -> tuple[T, ...] | Refusal:
    """Take `count` of the eligible, from a place in their order that `choice` names."""
    if not matching:
        return Refusal(ChaosReason.NO_TARGETS, "no object matches the target", Verdict.FAILED)
    wanted = case.spec.target.count
    count = wanted if isinstance(wanted, int) else int(wanted * len(eligible))
    if count < 1:
        message = f"the asked share of {len(eligible)} ready targets, rounded down, is none"
        return Refusal(ChaosReason.BLAST_RADIUS_ROUNDS_TO_ZERO, message)
    if count > len(eligible):
        message = f"{count} targets are asked for, {len(eligible)} are ready"
        return Refusal(ChaosReason.BLAST_RADIUS_TOO_FEW_READY, message)
    if count > MOST_TARGETS:
        message = f"{count} targets are more than the {MOST_TARGETS} that can be on record"
        return Refusal(ChaosReason.BLAST_RADIUS_TOO_MANY_TARGETS, message)
    ordered = sorted(eligible, key=lambda one: (one.ref.name, one.ref.uid))
    start = int(case.seen.choice * len(ordered)) % len(ordered)
    turned = ordered[start:] + ordered[:start]
    return tuple(turned[:count])
