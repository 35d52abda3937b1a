"""What a run suggests to do: only what follows from what was seen (C17)."""

from collections.abc import Iterator
from datetime import timedelta

from homeostat.api.chaos import DuringFault
from homeostat.api.chaos_status import MOST_RECOMMENDATIONS, ProofState, TargetPhase, Verdict
from homeostat.core.chaos.faults.objects import workload_now
from homeostat.core.chaos.hypothesis.incidents import POLICY
from homeostat.core.chaos.reasons import ChaosReason
from homeostat.core.chaos.seen import Case
from homeostat.core.chaos.selector import selects
from homeostat.core.cluster import Workload

LONGEST = 512
SLOW_DETECTION = timedelta(seconds=30)
"""Longer than this until a fault is noticed is worth a word: three runs of a check with its usual interval."""


def recommendations(case: Case, verdict: Verdict | None, reason: ChaosReason) -> tuple[str, ...]:
    """Give what the run suggests, the weightiest first."""
    advice = dict.fromkeys(text[:LONGEST] for text in _all(case, verdict, reason))
    return tuple(advice)[:MOST_RECOMMENDATIONS]


def weaknesses(case: Case) -> tuple[str, ...]:
    """Give what is weak in how the targets are run, as it is seen before anything is broken."""
    uids = dict.fromkeys(record.workload.uid for record in case.status.targets)
    workloads = (workload_now(case, uid) for uid in uids)
    return tuple(text for workload in workloads if workload is not None for text in _weak(case, workload))


def _all(case: Case, verdict: Verdict | None, reason: ChaosReason) -> Iterator[str]:
    status = case.status
    was_hit = any(record.phase is not TargetPhase.PLANNED for record in status.targets)
    if not was_hit or verdict not in {Verdict.PASSED, Verdict.FAILED, Verdict.INCONCLUSIVE}:
        return
    yield from _of_reason(reason)
    if verdict is not Verdict.INCONCLUSIVE:
        yield from _of_loop(case)
    for record in status.targets:
        if record.phase is TargetPhase.SUPERSEDED:
            yield f"{record.kind}/{record.name} was changed during the fault: somebody else's value was kept."
    yield from status.recommendations  # what was weak before the fault


def _of_reason(reason: ChaosReason) -> Iterator[str]:
    if reason is ChaosReason.HYPOTHESIS_BROKEN:
        yield "Users noticed the fault: more replicas, or faster removal of a lost pod, would hide it."
    if reason in {ChaosReason.HYPOTHESIS_NOT_RESTORED, ChaosReason.TARGETS_NOT_RECOVERED}:
        yield "Recovery took longer than recoveryTimeout: find what the targets were waiting for."
    if reason is ChaosReason.NOTHING_MET:
        yield "The fault met nothing: send traffic during the run, or check its ports, peers, names and direction."


def _of_loop(case: Case) -> Iterator[str]:
    """Tell of detection and of what was to be proved."""
    detected = case.status.timings.detected_after
    may_all_break = all(part.during_fault is DuringFault.MAY_BREAK for part in case.spec.hypothesis)
    if may_all_break and detected is None:  # where a part must hold, it is well that nothing was noticed
        yield "No HealthCheck noticed the fault; should one? Probe more often, lower failureThreshold, or last longer."
    if detected is not None and detected > SLOW_DETECTION:
        seconds = int(detected.total_seconds())
        yield f"It took {seconds} s until the fault was noticed: probe more often, or lower failureThreshold."
    for proof in case.status.proofs:
        if proof.state is ProofState.PROVED:
            continue
        yield f"{proof.kind} {proof.name} is not proved: {proof.message}."
        if proof.kind == POLICY and proof.detected_after is not None and proof.detected_after > SLOW_DETECTION:
            yield f"RecoveryPolicy {proof.name} fired late: shorten `for` of its trigger, or the check's interval."


def _weak(case: Case, workload: Workload) -> Iterator[str]:
    if workload.ref.kind == "Node":
        return
    name = f"{workload.ref.kind}/{workload.ref.name}"
    if workload.replicas == 1 and workload.ref.kind != "DaemonSet":
        yield f"{name} has one replica: each loss of its pod is an outage. Run at least two."
    elif workload.ref.kind != "DaemonSet" and not _is_covered(case, workload):
        yield f"{name} has no PodDisruptionBudget: nothing keeps evictions from taking all of its pods at once."
    if any(not pod.has_readiness_probe for pod in workload.pods):
        yield f"{name} has no readiness probe: traffic comes to its pods before they can serve."


def _is_covered(case: Case, workload: Workload) -> bool:
    budgets = case.seen.disruption_budgets
    return any(selects(one.selector, dict(pod.labels)) for one in budgets for pod in workload.pods)
