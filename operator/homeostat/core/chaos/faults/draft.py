"""What every planner makes: the targets as they will be on record, the plan in words; and how targets are picked."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from homeostat.api.chaos_status import MOST_TARGETS, Plan, TargetRecord, Verdict, WorkloadRecord
from homeostat.core.chaos.limits.blast_radius import ready_pods
from homeostat.core.chaos.limits.gates import Refusal
from homeostat.core.chaos.reasons import ChaosReason
from homeostat.core.chaos.seen import Case
from homeostat.core.cluster import Pod, Workload

T = TypeVar("T", Pod, Workload)
LONGEST = 512


@dataclass(frozen=True, slots=True)
class Draft:
    """The targets as they will be on record, and the plan in words."""

    targets: tuple[TargetRecord, ...]
    plan: Plan


@dataclass(frozen=True, slots=True)
class Line:
    """One target: its record, what is done to it, and how that is undone."""

    record: TargetRecord
    change: str
    undo: str


def draft(lines: Sequence[Line]) -> Draft:
    """Put the lines of a plan together."""
    plan = Plan(
        targets=tuple(f"{line.record.kind}/{line.record.name}" for line in lines),
        changes=tuple(line.change[:LONGEST] for line in lines),
        undo=tuple(line.undo[:LONGEST] for line in lines),
    )
    return Draft(tuple(line.record for line in lines), plan)


def title(one: Pod | Workload) -> str:
    """Name an object as Kind/name."""
    return f"{one.ref.kind}/{one.ref.name}"


def elsewhere(case: Case, one: Pod | Workload) -> str:
    """Give its namespace as a record has it: "" for the experiment's own, and for a Node."""
    return "" if one.ref.namespace == case.seen.ref.namespace else one.ref.namespace


def workload_record(case: Case, workload: Workload) -> WorkloadRecord:
    """Put the workload on record that a target is or belongs to."""
    is_node = workload.ref.kind == "Node"  # it is back when its pods' own workloads are
    return WorkloadRecord(
        kind=workload.ref.kind,
        name=workload.ref.name,
        uid=workload.ref.uid,
        namespace=elsewhere(case, workload),
        ready_before=0 if is_node else len(ready_pods(workload.pods)),
    )


def pod_record(case: Case, pod: Pod, owner: Workload) -> TargetRecord:
    """Put a pod on record of which nothing is restored: its workload replaces it."""
    return TargetRecord(
        kind="Pod",
        name=pod.ref.name,
        uid=pod.ref.uid,
        namespace=elsewhere(case, pod),
        workload=workload_record(case, owner),
    )


def pick(case: Case, matching: Sequence[T], eligible: Sequence[T]) -> tuple[T, ...] | Refusal:
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
        return too_many(count)
    ordered = sorted(eligible, key=lambda one: (one.ref.name, one.ref.uid))
    start = int(case.seen.choice * len(ordered)) % len(ordered)
    turned = ordered[start:] + ordered[:start]
    return tuple(turned[:count])


def too_many(count: int) -> Refusal:
    """Refuse more targets than a status can hold."""
    message = f"{count} targets are more than the {MOST_TARGETS} that can be on record"
    return Refusal(ChaosReason.BLAST_RADIUS_TOO_MANY_TARGETS, message)
