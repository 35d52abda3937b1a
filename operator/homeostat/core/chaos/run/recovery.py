"""Whether all is well again after the fault: the targets by what is seen of them, and the hypothesis (C5, C7).

A run that passes has shown all of it: the hypothesis, the targets, that the fault met something, and every proof.
"""

from collections.abc import Mapping
from datetime import datetime

from homeostat.api.chaos_status import Phase, TargetPhase, TargetRecord, Verdict
from homeostat.core.chaos.faults import undo
from homeostat.core.chaos.faults.objects import agent_now, workload_now
from homeostat.core.chaos.hypothesis.finding import broken, is_observed_since, silent
from homeostat.core.chaos.hypothesis.judging import findings
from homeostat.core.chaos.limits import locks
from homeostat.core.chaos.limits.blast_radius import ready_pods
from homeostat.core.chaos.limits.gates import is_view_stale
from homeostat.core.chaos.reasons import ChaosReason
from homeostat.core.chaos.seen import Case, Move
from homeostat.core.chaos.telling import proofs, report
from homeostat.core.chaos.telling.verdict import finished, noted, settled

HITS = frozenset({"hit", "dropped", "delayed", "reset", "failed"})
"""Counters of what a fault was done to, among those of agents; others count what came by."""
End = tuple[Verdict, ChaosReason, str]


def recovering(case: Case) -> Move:
    """Wait until the targets are back, the hypothesis holds and all is proved, at most for `recoveryTimeout`."""
    if undo.needed(case):  # an injection whose answer was lost has landed after the undo
        return Move(case.with_status(phase=Phase.REVERTING).status)
    if case.seen.is_deleting or not _was_hit(case):
        return finished(settled(case, Verdict.INCONCLUSIVE, ChaosReason.INTERRUPTED, "nothing was broken"))
    case = noted(case, ChaosReason.WAITING_FOR_RECOVERY, "The fault is off; waiting for all to be well again.")
    if is_view_stale(case):
        return Move(case.status, actions=locks.release(case))
    case = report.watch(case)
    if _is_any_gone(case):
        message = "a target was deleted by somebody else"
        return finished(settled(case, Verdict.INCONCLUSIVE, ChaosReason.TARGET_GONE, message))
    deadline = _off_at(case) + case.spec.recovery_timeout
    case = _timed(case) if _is_well(case) and report.recovered_at(case) <= deadline else _untimed(case)
    is_over = case.status.timings.recovered_after is not None and not _is_proof_awaited(case)
    if is_over and (case.now >= deadline or not _is_agent_shown(case)):
        return _recovered(case)
    if case.now >= deadline:
        return finished(settled(case, *_what_is_missing(case)))
    return Move(_waiting(case).status, actions=locks.release(case), check_again_at=deadline)


def _timed(case: Case) -> Case:
    """Note when all was well again, the first time that it is seen."""
    timings = case.status.timings
    if timings.recovered_after is not None:
        return case
    after = report.rounded(report.recovered_at(case) - (case.status.injected_at or case.now))
    timed = case.with_status(timings=timings.model_copy(update={"recovered_after": after}))
    return report.observe(timed, "All is well again.")


def _untimed(case: Case) -> Case:
    """Forget that all was well: it no longer is, while something is still to be proved."""
    return case.with_status(timings=case.status.timings.model_copy(update={"recovered_after": None}))


def _is_proof_awaited(case: Case) -> bool:
    """Whether a run that could still show everything waits for a proof; one that was cut short waits for none."""
    is_whole = case.status.verdict in {None, Verdict.FAILED}
    return is_whole and not _has_met_nothing(case) and bool(proofs.missing(case))


def _is_agent_shown(case: Case) -> bool:
    """Whether the kubelet still shows an agent that is off already: until then its pod takes no other experiment."""
    agents = (agent_now(case, record).container for record in case.status.targets if record.agent)
    return any(container is not None and container.state == "Running" for container in agents)


def _waiting(case: Case) -> Case:
    if case.status.timings.recovered_after is None or not proofs.missing(case):
        return case
    names = ", ".join(f"{one.kind} {one.name}" for one in proofs.missing(case))
    return noted(case, ChaosReason.WAITING_FOR_PROOF, f"All is well again; not proved yet: {names}.")


def _recovered(case: Case) -> Move:
    case = case.with_status(targets=tuple(_back(record) for record in case.status.targets))
    if _has_met_nothing(case):
        message = "The fault was on and met nothing, so that nothing is shown."
        return finished(settled(case, Verdict.INCONCLUSIVE, ChaosReason.NOTHING_MET, message))
    message = "The hypothesis held as it should, and the targets are back."
    return finished(settled(case, Verdict.PASSED, ChaosReason.HYPOTHESIS_HELD, message))


def _back(record: TargetRecord) -> TargetRecord:
    if record.phase is not TargetPhase.REVERTED:
        return record
    return record.model_copy(update={"phase": TargetPhase.RECOVERED})


def _was_hit(case: Case) -> bool:
    return any(record.phase is not TargetPhase.PLANNED for record in case.status.targets)


def _has_met_nothing(case: Case) -> bool:
    """Whether agents counted what the fault was done to, and counted nothing, on all targets."""
    counted = [_hits(record.counters) for record in case.status.targets if record.counters]
    return bool(counted) and not any(counted)


def _hits(counters: Mapping[str, int]) -> int:
    """Count what the fault was done to; where only one thing is counted, there is nothing that it could pass by."""
    hits = [count for name, count in counters.items() if name in HITS]
    return sum(hits) if hits else sum(counters.values())


def _is_any_gone(case: Case) -> bool:
    return any(
        record.phase is TargetPhase.GONE or workload_now(case, record.workload.uid) is None
        for record in case.status.targets
    )


def _is_well(case: Case) -> bool:
    """C15: only results that are younger than the end of the fault speak for its being over."""
    found = findings(case)
    return (
        bool(found) and all(one.holds for one in found) and is_observed_since(found, _off_at(case)) and _are_back(case)
    )


def _are_back(case: Case) -> bool:
    return all(_is_back(case, record) for record in case.status.targets)


def _is_back(case: Case, record: TargetRecord) -> bool:
    """Whether as many pods are ready as before, none of them lost; or as many as somebody else wants now.

    A pod that was deleted or evicted is not back because it is still seen; one that held a fault is the same pod.
    """
    workload = workload_now(case, record.workload.uid)
    lost = {one.uid for one in case.status.targets if not one.to and not one.agent}
    pods = ready_pods(workload.pods) if workload else ()
    ready = sum(pod.ref.uid not in lost for pod in pods)
    if record.phase is TargetPhase.SUPERSEDED:
        return workload is not None and ready >= workload.replicas
    return ready >= record.workload.ready_before


def _what_is_missing(case: Case) -> End:
    found = findings(case)
    failing, mute = broken(found), silent(found)
    if failing is not None:
        return Verdict.FAILED, ChaosReason.HYPOTHESIS_NOT_RESTORED, f"{failing.says} after recoveryTimeout"
    if not _are_back(case):
        message = "fewer pods of the targets are ready than before the fault, after recoveryTimeout"
        return Verdict.FAILED, ChaosReason.TARGETS_NOT_RECOVERED, message
    if mute is not None:
        return Verdict.INCONCLUSIVE, mute.gap or ChaosReason.SIGNAL_MISSING, mute.says
    if not is_observed_since(found, _off_at(case)):
        message = "a part of the hypothesis had no result after the fault"
        return Verdict.INCONCLUSIVE, ChaosReason.TOO_FEW_OBSERVATIONS, message
    if case.status.timings.recovered_after is not None:
        return Verdict.FAILED, ChaosReason.NOT_PROVED, _unproved(case)
    message = "The hypothesis held again only after recoveryTimeout."
    return Verdict.FAILED, ChaosReason.HYPOTHESIS_NOT_RESTORED, message


def _unproved(case: Case) -> str:
    said = (f"{one.kind} {one.name}: {one.message}" for one in proofs.missing(case))
    return f"All was well again, but not as it should be: {'; '.join(said)}."


def _off_at(case: Case) -> datetime:
    done = case.status.revert.done_at if case.status.revert else None
    return done or case.status.revert_at or case.now
