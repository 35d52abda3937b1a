"""What is certain: the verdict of a step, and that of the day, which is the worst of them or what ended it early."""

from homeostat.api.chaos_status import Verdict
from homeostat.api.gameday_status import MOST_ADVICE, StepPhase
from homeostat.core.decision import Event, EventType
from homeostat.core.gameday.reasons import DayReason
from homeostat.core.gameday.seen import LONGEST, Case, Move

WORST_FIRST = (Verdict.FAILED, Verdict.ABORTED, Verdict.INCONCLUSIVE, Verdict.PASSED)
LOUD = frozenset({Verdict.FAILED, Verdict.ABORTED})


def settled(case: Case, verdict: Verdict, reason: DayReason, message: str) -> Case:
    """Put the day's verdict on record; one that stands already is kept, for the first reason is the true one."""
    if case.status.verdict is not None:
        return case
    return case.with_status(verdict=verdict, reason=reason, message=message[:LONGEST])


def step_over(case: Case, place: int, verdict: Verdict, reason: str, message: str) -> Move:
    """End a step; the gate after it counts from now."""
    case = case.with_step(
        place,
        phase=StepPhase.FINISHED,
        verdict=verdict,
        reason=reason[:63],
        message=message[:LONGEST],
        started_at=case.status.steps[place].started_at or case.now,
        ended_at=case.now,
    )
    record = case.status.steps[place]
    case = case.with_status(
        step=place + 1,
        progress=f"{place + 1}/{len(case.status.steps)}",
        waiting_since=case.now,
        approval=None,
        recommendations=_merged(case.status.recommendations, record.recommendations),
    )
    kind = EventType.WARNING if verdict in LOUD else EventType.NORMAL
    note = f"Step {record.name} was {verdict}: {record.reason}. {record.message}".strip()
    return Move(case.status, events=(Event(f"Step{verdict}", note[:LONGEST], kind, "GameDay"),))


def worst(verdicts: list[Verdict]) -> Verdict:
    """Give the worst of some verdicts; of none, that nothing was shown."""
    return min(verdicts, key=WORST_FIRST.index, default=Verdict.INCONCLUSIVE)


def _merged(known: tuple[str, ...], more: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*known, *more)))[:MOST_ADVICE]
