"""From a wish to a day, and from the end of a day to the next: what is put on record first."""

from homeostat.api.chaos_status import Verdict
from homeostat.api.freeze import Activity
from homeostat.api.gameday import step_name
from homeostat.api.gameday_status import DayPhase, GameDayStatus, StepPhase, StepRecord
from homeostat.core.gameday.ending import finished
from homeostat.core.gameday.reasons import DayReason
from homeostat.core.gameday.seen import Case, Move
from homeostat.core.gameday.verdict import settled


def pending(case: Case) -> Move:
    """Begin a day, unless something keeps the game day from being evaluated at all."""
    finalizer = False if case.seen.has_finalizer else None
    if case.seen.is_deleting:
        return Move(case.status, wants_finalizer=finalizer)
    if case.seen.problem is not None:
        return Move(case.noted(*case.seen.problem).status, wants_finalizer=finalizer)
    if case.spec.suspend:
        waiting = case.noted(DayReason.SUSPENDED, "spec.suspend is set.")
        return Move(waiting.status, wants_finalizer=finalizer)
    freeze = case.seen.freeze
    if freeze is not None and Activity.CHAOS in freeze.stops:
        refused = settled(_begun(case), Verdict.ABORTED, DayReason.FROZEN, f"Freeze {freeze.name}: {freeze.reason}")
        return finished(refused)
    if case.spec.dry_run:
        return _planned(case)
    return Move(_begun(case).status)


def resting(case: Case) -> Move:
    """Let go of the finalizer; begin anew when a new day is asked for."""
    if not case.seen.is_deleting and is_new_day_wanted(case):
        return Move(_fresh(case).status)
    return Move(case.status, wants_finalizer=False if case.seen.has_finalizer else None)


def is_new_day_wanted(case: Case) -> bool:
    """A new value of the annotation asks for a day; so does the end of `dryRun`, for a dry run was none."""
    if case.seen.run_requested not in {"", case.status.run}:
        return True
    return case.status.reason == DayReason.DRY_RUN and not case.spec.dry_run


def _fresh(case: Case, **changes: object) -> Case:
    """Forget the day, but not which it was, nor the days before it."""
    status = case.status
    kept = {
        "observed_generation": status.observed_generation,
        "conditions": status.conditions,
        "run": status.run,
        "abort": status.abort,
        "run_number": status.run_number,
        "runs": status.runs,
    }
    return Case(case.spec, GameDayStatus().model_copy(update=kept | changes), case.seen, case.now)


def _begun(case: Case) -> Case:
    """Put all steps on record; an abort that was asked for earlier is not meant for this day."""
    steps = tuple(StepRecord(name=step_name(step), experiment=step.experiment) for step in case.spec.steps)
    return _fresh(
        case,
        phase=DayPhase.WAITING,
        run=case.seen.run_requested,
        abort=case.seen.abort_requested,
        run_number=case.status.run_number + 1,
        run_generation=max(0, case.seen.generation),
        started_at=case.now,
        deadline=case.now + case.spec.timeout,
        progress=f"0/{len(steps)}",
        steps=steps,
    )


def _planned(case: Case) -> Move:
    """End a dry run with the plan of each step, once all of them have been drawn (C14)."""
    if any(step.experiment not in case.seen.rehearsals for step in case.spec.steps):
        return Move(case.status)
    case = _begun(case)
    for place, record in enumerate(case.status.steps):
        drawn = case.seen.rehearsals[record.experiment]
        case = case.with_step(
            place, phase=StepPhase.FINISHED, plan=drawn.plan, reason=drawn.reason[:63], message=drawn.message[:1000]
        )
    return finished(case.noted(DayReason.DRY_RUN, "Nothing was touched; status.steps has what would be."))
