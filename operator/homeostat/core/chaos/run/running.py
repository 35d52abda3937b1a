"""While the fault is on, and until it is off: watch it, end it in time, undo it by what is seen."""

from datetime import timedelta

from homeostat.api.chaos import DuringFault
from homeostat.api.chaos_status import Phase, Revert, TargetPhase, Verdict
from homeostat.core.chaos.faults import hold, undo
from homeostat.core.chaos.hypothesis.finding import Finding, broken, is_observed_since, silent
from homeostat.core.chaos.hypothesis.incidents import unexpected_refusal
from homeostat.core.chaos.hypothesis.judging import findings
from homeostat.core.chaos.hypothesis.patience import overdue
from homeostat.core.chaos.hypothesis.stopping import stop_refusal, stops
from homeostat.core.chaos.limits.gates import Refusal, is_view_stale
from homeostat.core.chaos.reasons import ChaosReason
from homeostat.core.chaos.seen import Case, Move
from homeostat.core.chaos.telling import report
from homeostat.core.chaos.telling.verdict import finished, noted, settled, stopped
from homeostat.core.decision import Event, EventType

LATE = timedelta(seconds=5)
"""A fault that is on this much longer than meant was not watched: the run shows nothing."""


def running(case: Case) -> Move:
    """C7, C8: end the fault at once when what must hold breaks or falls silent, or when anything says to stop."""
    case = report.watch(hold.noted(case))
    for about, what in hold.changed(case):
        case = report.observe(case, what, about=about)
    found = findings(case)
    strict = tuple(one for one in found if one.during is DuringFault.MUST_HOLD)
    refusal = _broken(strict) or stop_refusal(case) or unexpected_refusal(case) or hold.lost(case)
    if refusal is None and not _is_late(case):  # who comes late finds old data: that is not the check's silence
        refusal = _silent(overdue(case, (*found, *stops(case))))
    if refusal is not None:
        return stopped(case, refusal)
    if case.status.revert_at is None or case.now >= case.status.revert_at:
        return _over(case, strict)
    return Move(case.status, actions=hold.keep(case), check_again_at=case.status.revert_at)


def reverting(case: Case) -> Move:
    """Take the fault off, and go on only when nothing of it is seen any more."""
    revert = case.status.revert
    if revert is None:
        undoing = noted(case, ChaosReason.UNDOING, "The fault is being taken off.")
        return Move(undoing.with_status(revert=Revert(started_at=case.now)).status)
    if is_view_stale(case):
        return Move(case.status)
    seen = undo.settle(case)
    if seen.status != case.status:
        return Move(seen.status)
    if undo.has_failed(case):
        return _failed(case, revert)
    needed = undo.needed(case)
    if not needed:
        return _off(case, revert)
    if case.seen.is_deleting and revert.attempts >= undo.MOST_FAILURES and undo.can_be_swept(case):
        return finished(case)
    if revert.next_at is not None and case.now < revert.next_at:
        return Move(case.status, check_again_at=revert.next_at)
    turn = revert.attempts % len(needed)  # the first that fails ends the round: let another be the first
    actions = (*needed[turn:], *needed[:turn])
    return Move(case.status, actions=tuple(one for one in actions if one.id not in case.seen.outcomes))


def _broken(strict: tuple[Finding, ...]) -> Refusal | None:
    failing = broken(strict)
    if failing is None:
        return None
    return Refusal(ChaosReason.HYPOTHESIS_BROKEN, f"{failing.says} during the fault", Verdict.FAILED)


def _silent(found: tuple[Finding, ...]) -> Refusal | None:
    mute = silent(found)
    if mute is None:
        return None
    return Refusal(mute.gap or ChaosReason.SIGNAL_MISSING, f"{mute.says} during the fault")


def _over(case: Case, strict: tuple[Finding, ...]) -> Move:
    """End the fault as planned. C15: what was not watched has not held."""
    if _is_late(case):
        message = "the operator was away when the fault was to end"
        return stopped(case, Refusal(ChaosReason.INTERRUPTED, message, Verdict.INCONCLUSIVE))
    if not is_observed_since(strict, case.status.injected_at or case.now):
        message = "a part of the hypothesis that must hold had no result during the fault"
        return stopped(case, Refusal(ChaosReason.TOO_FEW_OBSERVATIONS, message, Verdict.INCONCLUSIVE))
    return Move(case.with_status(phase=Phase.REVERTING).status)


def _is_late(case: Case) -> bool:
    return case.now - (case.status.revert_at or case.now) > LATE


def _failed(case: Case, revert: Revert) -> Move:
    failures = revert.attempts + 1
    next_at = case.now + undo.pause_after(failures)
    message = f"The undo fails; by hand: {undo.commands(case)}"
    attempted = revert.model_copy(update={"attempts": failures, "next_at": next_at})
    case = case.with_status(revert=attempted)
    if failures < undo.MOST_FAILURES:
        return Move(case.status)
    loud = settled(case.with_status(verdict=None), Verdict.FAILED, ChaosReason.RECOVERY_FAILED, message)
    event = Event("RecoveryFailed", loud.status.message, EventType.WARNING, "Undo")
    return Move(loud.status, events=(event,) if failures == undo.MOST_FAILURES else ())


def _off(case: Case, revert: Revert) -> Move:
    undone = {TargetPhase.REVERTED, TargetPhase.SUPERSEDED}
    held = (record for record in case.status.targets if record.to or record.agent)
    took = report.rounded(case.now - revert.started_at) if any(one.phase in undone for one in held) else None
    timings = case.status.timings.model_copy(update={"reverted_after": took})
    if case.status.reason == ChaosReason.RECOVERY_FAILED:
        case = case.with_status(message=f"The undo failed {revert.attempts} times before it worked.")
    case = report.observe(case, "The fault is off.")
    done = case.with_status(
        phase=Phase.RECOVERING, timings=timings, revert=revert.model_copy(update={"done_at": case.now})
    )
    return Move(done.status, events=(Event("Reverted", "The fault is off.", action="Undo"),))
