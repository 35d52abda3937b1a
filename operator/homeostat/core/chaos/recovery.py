"""Whether all is well again after the fault: the targets by what is seen of them, and the hypothesis (C5, C7)."""

from datetime import datetime

from homeostat.api.chaos_status import Phase, TargetPhase, TargetRecord, Verdict
from homeostat.core.chaos import locks, report, undo
from homeostat.core.chaos.blast_radius import ready_pods
from homeostat.core.chaos.gates import is_view_stale
from homeostat.core.chaos.injection import workload_now
from homeostat.core.chaos.reasons import ChaosReason
from homeostat.core.chaos.seen import Case, Move
from homeostat.core.chaos.steady_state import broken, findings, is_observed_since, silent
from homeostat.core.chaos.verdict import finished, noted, settled


def recovering(case: Case) -> Move:
    """Wait until the targets are back and the hypothesis holds, at most for `recoveryTimeout`."""
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
    if _is_well(case) and report.recovered_at(case) <= deadline:
        return _recovered(case)
    if case.now >= deadline:
        return finished(settled(case, *_what_is_missing(case)))
    return Move(case.status, actions=locks.release(case), check_again_at=deadline)


def _recovered(case: Case) -> Move:
    after = report.rounded(report.recovered_at(case) - (case.status.injected_at or case.now))
    timings = case.status.timings.model_copy(update={"recovered_after": after})
    targets = tuple(_back(record) for record in case.status.targets)
    case = report.observe(case.with_status(timings=timings, targets=targets), "All is well again.")
    message = "The hypothesis held as it should, and the targets are back."
    return finished(settled(case, Verdict.PASSED, ChaosReason.HYPOTHESIS_HELD, message))


def _back(record: TargetRecord) -> TargetRecord:
    if record.phase is not TargetPhase.REVERTED:
        return record
    return record.model_copy(update={"phase": TargetPhase.RECOVERED})


def _was_hit(case: Case) -> bool:
    return any(record.phase is not TargetPhase.PLANNED for record in case.status.targets)


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
    """Whether as many pods are ready as before, none of them a victim; or as many as somebody else wants now."""
    workload = workload_now(case, record.workload.uid)
    victims = {one.uid for one in case.status.targets}
    pods = ready_pods(workload.pods) if workload else ()
    ready = sum(pod.ref.uid not in victims for pod in pods)
    if record.phase is TargetPhase.SUPERSEDED:
        return workload is not None and ready >= workload.replicas
    return ready >= record.workload.ready_before


def _what_is_missing(case: Case) -> tuple[Verdict, ChaosReason, str]:
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
        message = "a HealthCheck had no result after the fault"
        return Verdict.INCONCLUSIVE, ChaosReason.TOO_FEW_OBSERVATIONS, message
    message = "The hypothesis held again only after recoveryTimeout."
    return Verdict.FAILED, ChaosReason.HYPOTHESIS_NOT_RESTORED, message


def _off_at(case: Case) -> datetime:
    done = case.status.revert.done_at if case.status.revert else None
    return done or case.status.revert_at or case.now
