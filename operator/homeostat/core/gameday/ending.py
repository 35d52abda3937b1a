"""How a step ends, how a day ends, and how what is under way is stopped first."""

from homeostat.api.chaos import ABORT, RUN
from homeostat.api.chaos_status import Phase, Verdict
from homeostat.api.freeze import Activity
from homeostat.api.gameday_status import (
    MOST_DAYS,
    Day,
    DayPhase,
    StepPhase,
    StepRecord,
    StepResult,
)
from homeostat.api.recovery import BY
from homeostat.core.action import AskExperiment, Verb
from homeostat.core.decision import Event, EventType
from homeostat.core.gameday import watching
from homeostat.core.gameday.reasons import DayReason
from homeostat.core.gameday.seen import LONGEST, Case, ExperimentSeen, Move, same_experiment
from homeostat.core.gameday.verdict import LOUD, settled, step_over, worst

_ASKED = frozenset({StepPhase.ASKED, StepPhase.RUNNING})


def stopping(case: Case, place: int) -> Move:
    """Abort the run under way and wait for its end, which comes when the fault is off; then the day is over."""
    record = case.status.steps[place]
    if record.phase not in _ASKED:
        return finished(case)
    found = same_experiment(case, record)
    if found is None:
        message = f"ChaosExperiment {record.experiment} was deleted meanwhile."
        return step_over(case, place, Verdict.INCONCLUSIVE, DayReason.EXPERIMENT_GONE, message)
    if found.status.run == record.asked:
        return watching.running(case, place) if found.status.phase is Phase.FINISHED else _abort(case, record, found)
    if found.run_requested == record.asked:
        return _withdraw(case, record, found)
    if record.phase is StepPhase.RUNNING:
        return watching.running(case, place)
    if _may_yet_be_asked(case, record, found):
        return _withdraw(case, record, found)
    return step_over(case, place, Verdict.ABORTED, DayReason.NOT_BEGUN, "The day ended before the run began.")


def finished(case: Case) -> Move:
    """End the day: steps that never began are skipped, and the worst of the others is the verdict."""
    case = _without_rest(case)
    if case.status.reason != DayReason.DRY_RUN:
        case = settled(case, *_by_steps(case.status.steps))
    status = case.status
    day = Day(
        number=max(1, status.run_number),
        started_at=status.started_at or case.now,
        ended_at=case.now,
        verdict=status.verdict,
        reason=status.reason,
        steps=tuple(map(_result, status.steps)),
    )
    end = case.with_status(
        phase=DayPhase.FINISHED, ended_at=case.now, waiting_since=None, approval=None,
        runs=(day, *status.runs)[:MOST_DAYS],
    )  # fmt: skip
    kind = EventType.WARNING if status.verdict in LOUD else EventType.NORMAL
    event = Event(status.verdict or status.reason, f"{status.reason}: {status.message}"[:LONGEST], kind, "GameDay")
    return Move(end.status, events=(event,))


def _abort(case: Case, record: StepRecord, found: ExperimentSeen) -> Move:
    """Ask for the end of the run, unless a Freeze is in force: then it ends by itself, and says why."""
    freeze = case.seen.freeze
    if (freeze is not None and Activity.CHAOS in freeze.stops) or found.abort_requested == record.asked:
        return Move(case.status)
    wish = {ABORT: record.asked, BY: None}
    return _ask(case, AskExperiment(f"abort/{record.asked}", found.ref, found.resource_version, wish))


def _withdraw(case: Case, record: StepRecord, found: ExperimentSeen) -> Move:
    """Take back a wish that the experiment has not taken up.

    The wish may still be under way, pinned to a version of the experiment. To take back what does not stand there would
    change nothing, nor that version; to ask for the end of its run does.
    """
    before = {RUN: record.before or None, BY: None, ABORT: record.asked}
    return _ask(case, AskExperiment(_withdrawal(record), found.ref, found.resource_version, before))


def _withdrawal(record: StepRecord) -> str:
    return f"withdraw/{record.asked}"


def _may_yet_be_asked(case: Case, record: StepRecord, found: ExperimentSeen) -> bool:
    """Whether nothing is known to have changed since the wish was sent; who may not write has tried."""
    answer = case.seen.outcomes.get(_withdrawal(record))
    if answer is not None and answer.verb is Verb.REFUSED and answer.reason != "Conflict":
        return False
    has_run = found.status.run_number > record.runs_before
    return found.run_requested == record.before and not has_run and found.abort_requested != record.asked


def _ask(case: Case, action: AskExperiment) -> Move:
    """Act once a look: what did not work is tried again at the next one."""
    return Move(case.status, actions=() if action.id in case.seen.outcomes else (action,))


def _without_rest(case: Case) -> Case:
    for place, record in enumerate(case.status.steps):
        if record.phase in {StepPhase.PENDING, StepPhase.ADMITTED}:
            case = case.with_step(place, phase=StepPhase.SKIPPED)
    return case


def _by_steps(steps: tuple[StepRecord, ...]) -> tuple[Verdict, DayReason, str]:
    verdict = worst([step.verdict for step in steps if step.verdict is not None])
    if verdict is Verdict.PASSED:
        return verdict, DayReason.ALL_PASSED, f"All {len(steps)} steps passed."
    others = ", ".join(
        f"{step.name} {step.verdict} ({step.reason})" for step in steps if step.verdict != Verdict.PASSED
    )
    failed_undo = any(step.reason == DayReason.RECOVERY_FAILED for step in steps)
    return verdict, DayReason.RECOVERY_FAILED if failed_undo else DayReason.STEP_NOT_PASSED, f"Not passed: {others}."


def _result(step: StepRecord) -> StepResult:
    return StepResult(
        name=step.name, experiment=step.experiment, run_number=step.run_number, verdict=step.verdict, reason=step.reason
    )
