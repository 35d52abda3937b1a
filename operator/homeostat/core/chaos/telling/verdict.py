"""How a run ends: the first thing that is certain is the verdict; the end writes it into the list of runs."""

from homeostat.api.chaos_status import MOST_RUNS, Phase, Run, Verdict
from homeostat.core.chaos.limits.gates import Refusal
from homeostat.core.chaos.reasons import ChaosReason
from homeostat.core.chaos.seen import Case, Move
from homeostat.core.chaos.telling import proofs
from homeostat.core.chaos.telling.advice import recommendations
from homeostat.core.decision import Event, EventType

_LOUD = frozenset({Verdict.FAILED, Verdict.ABORTED})
_LONGEST = 1000


def settled(case: Case, verdict: Verdict, reason: ChaosReason, message: str) -> Case:
    """Put the verdict on record; one that stands already is kept, for the first reason is the true one."""
    if case.status.verdict is not None:
        return case
    return case.with_status(verdict=verdict, reason=reason, message=message[:_LONGEST])


def noted(case: Case, reason: str, message: str) -> Case:
    """Say why the phase is what it is; a verdict that stands is not talked over."""
    if case.status.verdict is not None:
        return case
    return case.with_status(reason=reason, message=message[:_LONGEST])


def refused(case: Case, refusal: Refusal) -> Move:
    """End a run that never touched anything."""
    return finished(settled(case, refusal.verdict, refusal.reason, refusal.message))


def stopped(case: Case, refusal: Refusal) -> Move:
    """End a fault that may be on: the undo comes first, whatever the reason."""
    case = settled(case, refusal.verdict, refusal.reason, refusal.message)
    return Move(case.with_status(phase=Phase.REVERTING).status)


def finished(case: Case) -> Move:
    """End the run with the verdict on record."""
    verdict = case.status.verdict
    case = case.with_status(proofs=proofs.concluded(case, verdict))
    status, reason = case.status, _reason(case.status.reason)
    entry = Run(
        number=max(1, status.run_number),
        started_at=status.started_at or case.now,
        ended_at=case.now,
        verdict=verdict,
        reason=reason,
        timings=status.timings,
        proved=proofs.proved(case, verdict),
        proofs=status.proofs,
        budget_spent=status.budget_spent,
    )
    end = case.with_status(
        phase=Phase.FINISHED,
        ended_at=case.now,
        recommendations=recommendations(case, verdict, reason),
        runs=(entry, *status.runs)[:MOST_RUNS],
    )
    kind = EventType.WARNING if verdict in _LOUD else EventType.NORMAL
    event = Event(verdict or reason, f"{reason}: {status.message}"[:_LONGEST], kind, "Experiment")
    return Move(end.status, events=(event,))


def _reason(text: str) -> ChaosReason:
    try:
        return ChaosReason(text)
    except ValueError:
        return ChaosReason.NOT_EVALUATED
