"""Whether a run is wanted: asked for by hand, due by the schedule, or the first of an experiment without one."""

from datetime import datetime

from homeostat.api.chaos import ChaosExperimentSpec, Start
from homeostat.api.chaos_status import ChaosExperimentStatus, Phase
from homeostat.core.chaos.limits.gates import budget_refusal, is_frozen
from homeostat.core.chaos.reasons import ChaosReason
from homeostat.core.chaos.schedule import LATEST_START, is_due_time, next_after
from homeostat.core.chaos.seen import Case
from homeostat.core.decision import Event, EventType

_RESTING = frozenset({Phase.PENDING, Phase.FINISHED})


def is_run_wanted(spec: ChaosExperimentSpec, status: ChaosExperimentStatus, run_requested: str, now: datetime) -> bool:
    """Say whether a run is to begin now. A new value of the annotation asks for one, schedule or not.

    Without a schedule so does the first look at an experiment that starts at once, and the end of `dryRun`: a dry run
    was none.
    """
    if run_requested not in {"", status.run}:
        return True
    if spec.schedule is not None:
        return status.next_run_at is not None and status.next_run_at <= now
    is_dry_run_over = status.reason == ChaosReason.DRY_RUN and not spec.dry_run
    is_first = status.phase is Phase.PENDING and (spec.start is Start.AT_ONCE or run_requested != "")
    return is_first or is_dry_run_over


def is_at_rest(spec: ChaosExperimentSpec, status: ChaosExperimentStatus, run_requested: str, now: datetime) -> bool:
    """Whether nothing is under way and nothing is to begin: then nothing of the cluster needs to be read."""
    return status.phase in _RESTING and not is_run_wanted(spec, status, run_requested, now)


def scheduled(case: Case) -> tuple[Case, tuple[Event, ...]]:
    """Keep `status.nextRunAt`: each time begins one run or none. What is missed is skipped, never made up for."""
    schedule, due = case.spec.schedule, case.status.next_run_at
    if schedule is None or case.seen.is_deleting:
        return case.with_status(next_run_at=None), ()
    if due is None or not is_due_time(schedule, due):
        return case.with_status(next_run_at=next_after(schedule, case.now)), ()
    why = _skipped(case, due)
    if due > case.now or not why:
        return case, ()
    event = Event(
        "RunSkipped", f"The run due at {due:%Y-%m-%dT%H:%MZ} is skipped: {why}.", EventType.WARNING, "Schedule"
    )
    return case.with_status(next_run_at=next_after(schedule, case.now)), (event,)


def _skipped(case: Case, due: datetime) -> str:
    """Say why there is no run at its time; "" when there is one."""
    if case.status.phase not in _RESTING:
        return "the run before it is still under way"
    if case.spec.suspend:
        return "spec.suspend is set"
    if is_frozen(case):
        return f"Freeze {case.seen.freeze.name}: {case.seen.freeze.reason}" if case.seen.freeze else "a Freeze holds"
    held = budget_refusal(case.seen)
    if held is not None:
        return held.message
    return "it was missed" if case.now - due > LATEST_START else ""
