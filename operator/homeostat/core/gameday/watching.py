"""While a step's experiment runs: nothing is done but to look, until its run is over or can no longer be seen."""

from homeostat.api.chaos_status import Phase, Run, Verdict
from homeostat.api.gameday_status import StepRecord
from homeostat.core.gameday.reasons import DayReason
from homeostat.core.gameday.seen import Case, ExperimentSeen, Move, same_experiment
from homeostat.core.gameday.verdict import step_over


def running(case: Case, place: int) -> Move:
    """Take over what the run has shown, once it is over."""
    record = case.status.steps[place]
    found = same_experiment(case, record)
    if found is None:
        message = f"ChaosExperiment {record.experiment} was deleted during its run."
        return step_over(case, place, Verdict.INCONCLUSIVE, DayReason.EXPERIMENT_GONE, message)
    if found.status.run != record.asked:
        return _earlier(case, place, found)
    if found.status.phase is not Phase.FINISHED:
        return Move(case.noted(DayReason.STEP_RUNNING, f"Step {record.name} is {found.status.phase}.").status)
    return _over(case, place, found)


def _over(case: Case, place: int, found: ExperimentSeen) -> Move:
    status = found.status
    case = case.with_step(
        place,
        run_number=status.run_number,
        timings=status.timings,
        proofs=status.proofs,
        recommendations=status.recommendations,
    )
    return step_over(case, place, status.verdict or Verdict.INCONCLUSIVE, status.reason, status.message)


def _earlier(case: Case, place: int, found: ExperimentSeen) -> Move:
    """Look for the run among those that are over: somebody asked for another one since."""
    record = case.status.steps[place]
    run = _kept(record, found)
    if run is None:
        message = f"ChaosExperiment {record.experiment} began another run; what came of this one is not on record."
        return step_over(case, place, Verdict.INCONCLUSIVE, DayReason.RUN_LOST, message)
    case = case.with_step(place, timings=run.timings, proofs=run.proofs)
    return step_over(case, place, run.verdict or Verdict.INCONCLUSIVE, run.reason, "")


def _kept(record: StepRecord, found: ExperimentSeen) -> Run | None:
    return next((run for run in found.status.runs if run.number == record.run_number), None)
