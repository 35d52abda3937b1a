"""The way of a day from phase to phase, and `decide`, which follows it as far as it goes without an act.

Each step either changes the memory, and the next one follows at once, or changes nothing, and then says what to do
and when to look again. So to decide twice at the same moment is to decide once.
"""

from dataclasses import replace
from datetime import datetime, timedelta

from homeostat.api.chaos_status import Verdict
from homeostat.api.freeze import Activity
from homeostat.api.gameday import GameDaySpec
from homeostat.api.gameday_status import DayPhase, GameDayStatus, StepPhase
from homeostat.core.decision import Decision, Event
from homeostat.core.gameday import asking, beginning, ending, gate, watching
from homeostat.core.gameday.reasons import DayReason
from homeostat.core.gameday.seen import Case, GameDaySeen, Move, current, is_read
from homeostat.core.gameday.standing import with_conditions
from homeostat.core.gameday.verdict import settled

TICK = timedelta(seconds=1)
"""How often a day under way is looked at, whatever else wakes it."""
MOST_MOVES = 128
"""More than any way through the steps has; the rest would follow at the next look."""

_STEPS = {
    StepPhase.PENDING: gate.entering,
    StepPhase.ADMITTED: asking.admitted,
    StepPhase.ASKED: asking.asked,
    StepPhase.RUNNING: watching.running,
}


def decide(spec: GameDaySpec, status: GameDayStatus, seen: GameDaySeen, now: datetime) -> Decision[GameDayStatus]:
    """Decide the day's next act, and what it has shown so far."""
    case = Case(spec, status.model_copy(update={"observed_generation": max(-1, seen.generation)}), seen, now)
    events: tuple[Event, ...] = ()
    move = Move(case.status)
    for _ in range(MOST_MOVES):
        move = _step(case)
        events += move.events
        if move.status == case.status:
            break
        case = replace(case, status=move.status)
    return Decision(
        status=with_conditions(case),
        actions=move.actions,
        events=events,
        wants_finalizer=move.wants_finalizer,
        check_again_at=_again(move, now),
    )


def _step(case: Case) -> Move:
    phase = case.status.phase
    if phase is DayPhase.PENDING:
        return beginning.pending(case)
    if phase is DayPhase.FINISHED:
        return beginning.resting(case)
    why = _interruption(case)
    if why is not None and case.status.verdict is None:
        return Move(settled(case, Verdict.ABORTED, *why).status)
    place = current(case.status)
    if place is None:
        return ending.finished(case)
    if not is_read(case, case.status.steps[place]):
        return Move(case.status)
    if case.status.verdict is not None:
        return ending.stopping(case, place)
    return _STEPS[case.status.steps[place].phase](case, place)


def _interruption(case: Case) -> tuple[DayReason, str] | None:
    """Give what ends a day from outside. C9: it never resumes by itself."""
    seen, status = case.seen, case.status
    if seen.is_deleting:
        return DayReason.DELETED, "The game day is being deleted."
    if case.spec.suspend:
        return DayReason.SUSPENDED, "spec.suspend was set."
    if seen.freeze is not None and Activity.CHAOS in seen.freeze.stops:
        return DayReason.FROZEN, f"Freeze {seen.freeze.name}: {seen.freeze.reason}"
    if seen.abort_requested not in {"", status.abort}:
        return DayReason.ABORTED, "The annotation homeostat.dev/abort asks for it."
    if seen.generation != status.run_generation or seen.problem is not None:
        return DayReason.SPEC_CHANGED, "The spec was changed during the day."
    if status.deadline is not None and case.now >= status.deadline:
        return DayReason.TIMED_OUT, "The day took longer than spec.timeout."
    return None


def _again(move: Move, now: datetime) -> datetime | None:
    if move.status.phase in {DayPhase.PENDING, DayPhase.FINISHED}:
        return move.check_again_at
    wanted = move.check_again_at
    return wanted if wanted is not None and now < wanted < now + TICK else now + TICK
