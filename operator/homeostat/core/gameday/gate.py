"""The gate before a step: the verdict of the one before it, a pause, health, and a human's word."""

from homeostat.api.chaos import CheckHypothesis, HypothesisState
from homeostat.api.chaos_status import Verdict
from homeostat.api.gameday import GateVerdict, OnFailure, Step
from homeostat.api.gameday_status import DayPhase, StepPhase
from homeostat.api.health_check import HealthState
from homeostat.core.gameday import approval
from homeostat.core.gameday.missing import absent
from homeostat.core.gameday.reasons import DayReason
from homeostat.core.gameday.seen import Case, Move
from homeostat.core.gameday.verdict import settled

_ACCEPTED = {
    HypothesisState.HEALTHY: {HealthState.HEALTHY},
    HypothesisState.DEGRADED: {HealthState.HEALTHY, HealthState.DEGRADED},
}


def entering(case: Case, place: int) -> Move:
    """Admit a step when its gate has opened; end the day when it never will."""
    if place > 0:
        step = case.spec.steps[place - 1]
        move = _by_verdict(case, place, step) or _pause(case, step) or _by_health(case, step)
        if move is not None:
            return move
    if approval.is_needed(case, place):
        if case.seen.experiments.get(case.status.steps[place].experiment) is None:
            return absent(case, place)
        move = approval.awaited(case, place)
        if move is not None:
            return move
    return Move(case.with_step(place, phase=StepPhase.ADMITTED).with_status(waiting_since=None).status)


def _by_verdict(case: Case, place: int, step: Step) -> Move | None:
    before = case.status.steps[place - 1]
    if before.reason == DayReason.RECOVERY_FAILED:
        message = f"The undo of step {before.name} failed: nothing more is broken. {before.message}"
        return Move(settled(case, Verdict.FAILED, DayReason.RECOVERY_FAILED, message).status)
    is_open = step.gate.verdict is GateVerdict.ANY or before.verdict is Verdict.PASSED
    if is_open or step.on_failure is OnFailure.CONTINUE:
        return None
    verdict = before.verdict or Verdict.INCONCLUSIVE
    message = f"Step {before.name} was {verdict} ({before.reason}), and its gate needs Passed. {before.message}"
    return Move(settled(case, verdict, DayReason.STEP_NOT_PASSED, message).status)


def _pause(case: Case, step: Step) -> Move | None:
    opens_at = (case.status.waiting_since or case.now) + step.gate.wait
    if case.now >= opens_at:
        return None
    waiting = case.with_status(phase=DayPhase.WAITING).noted(DayReason.PAUSING, "The pause after the step is not over.")
    return Move(waiting.status, check_again_at=opens_at)


def _by_health(case: Case, step: Step) -> Move | None:
    unmet = next((check for check in step.gate.health_checks if not _is_met(case, check)), None)
    if unmet is None:
        return None
    state = case.seen.checks.get(unmet.name)
    message = f"HealthCheck {unmet.name} is {state or 'not there'}, not {unmet.state}."
    if case.now < (case.status.waiting_since or case.now) + step.gate.wait + step.gate.within:
        return Move(case.with_status(phase=DayPhase.WAITING).noted(DayReason.WAITING_FOR_HEALTH, message).status)
    if step.on_failure is OnFailure.CONTINUE:
        return None
    return Move(settled(case, Verdict.FAILED, DayReason.GATE_NOT_MET, message).status)


def _is_met(case: Case, check: CheckHypothesis) -> bool:
    return case.seen.checks.get(check.name) in _ACCEPTED[check.state]
