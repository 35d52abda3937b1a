"""An experiment that is not there: waited for a little, for whoever applies files may apply the game day first."""

from datetime import timedelta

from homeostat.api.chaos_status import Verdict
from homeostat.api.gameday_status import DayPhase
from homeostat.core.gameday.reasons import DayReason
from homeostat.core.gameday.seen import Case, Move
from homeostat.core.gameday.verdict import step_over

PATIENCE = timedelta(seconds=30)


def absent(case: Case, place: int) -> Move:
    """Wait a little for an experiment that is not there; then the step shows nothing."""
    record = case.status.steps[place]
    message = f"There is no ChaosExperiment {record.experiment} in the namespace."
    since = case.status.waiting_since
    if since is None:
        case = case.with_status(waiting_since=case.now, phase=DayPhase.WAITING)
        return Move(case.noted(DayReason.EXPERIMENT_MISSING, message).status)
    if case.now < since + PATIENCE:
        return Move(case.noted(DayReason.EXPERIMENT_MISSING, message).status)
    return step_over(case, place, Verdict.INCONCLUSIVE, DayReason.EXPERIMENT_MISSING, message)
