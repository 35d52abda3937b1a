"""Asking an experiment for its run: on record first, then written, then taken up; never twice (R2)."""

from homeostat.api.chaos import RUN, Start
from homeostat.api.chaos_status import Phase, Verdict
from homeostat.api.gameday_status import DayPhase, StepPhase
from homeostat.api.recovery import BY
from homeostat.core.action import FINALIZER, AskExperiment, Verb
from homeostat.core.gameday import approval
from homeostat.core.gameday.missing import absent
from homeostat.core.gameday.reasons import DayReason
from homeostat.core.gameday.seen import Case, ExperimentSeen, Move, same_experiment
from homeostat.core.gameday.verdict import step_over

_LONGEST_NAME = 150


def admitted(case: Case, place: int) -> Move:
    """Finalizer, then record; an experiment that cannot be asked ends the step, a busy one is waited for."""
    if not case.seen.has_finalizer:
        answer = case.seen.outcomes.get(FINALIZER)
        if answer is not None:
            return step_over(case, place, Verdict.ABORTED, DayReason.NOT_PERMITTED, answer.message)
        return Move(case.status, wants_finalizer=True)
    record = case.status.steps[place]
    found = case.seen.experiments[record.experiment]
    if found is None:
        return absent(case, place)
    if approval.is_needed(case, place) and not approval.still_holds(case, place):
        return Move(case.with_step(place, phase=StepPhase.PENDING).with_status(waiting_since=case.now).status)
    refusal = _refusal(found)
    if refusal is not None:
        return step_over(case, place, Verdict.ABORTED, *refusal)
    busy = _busy(found)
    if busy is not None:
        return Move(case.with_status(phase=DayPhase.WAITING).noted(DayReason.EXPERIMENT_BUSY, busy).status)
    return Move(_recorded(case, place, found).status)


def asked(case: Case, place: int) -> Move:
    """Write the wish that is on record, unless it stands already, until the experiment takes it up."""
    record = case.status.steps[place]
    found = same_experiment(case, record)
    if found is None:
        message = f"ChaosExperiment {record.experiment} was deleted before it could run."
        return step_over(case, place, Verdict.INCONCLUSIVE, DayReason.EXPERIMENT_GONE, message)
    if found.status.run == record.asked:
        case = case.with_step(place, phase=StepPhase.RUNNING, run_number=found.status.run_number)
        return Move(case.noted(DayReason.STEP_RUNNING, f"Step {record.name} runs.").status)
    if found.run_requested == record.asked:
        waits = f"Step {record.name} was asked for. Its experiment says: {found.status.reason or found.status.phase}."
        return Move(case.noted(DayReason.STEP_ASKED, waits).status)
    if found.run_requested != record.before or found.status.run_number > record.runs_before:
        message = f"Somebody else asked ChaosExperiment {record.experiment} for a run before it took this one up."
        return step_over(case, place, Verdict.INCONCLUSIVE, DayReason.DISPLACED, message)
    return _ask(case, place, found)


def _ask(case: Case, place: int, found: ExperimentSeen) -> Move:
    record = case.status.steps[place]
    action = AskExperiment(f"ask/{record.asked}", found.ref, found.resource_version, {RUN: record.asked, BY: None})
    outcome = case.seen.outcomes.get(action.id)
    if outcome is None:
        return Move(case.status, actions=(action,))
    if outcome.verb is Verb.REFUSED and outcome.reason == "Forbidden":
        message = "The operator may not patch chaosexperiments: see the ClusterRole homeostat-chaos."
        return step_over(case, place, Verdict.ABORTED, DayReason.NOT_PERMITTED, message)
    return Move(case.status)  # it changed, or the wire broke: the next look tells


def _refusal(found: ExperimentSeen) -> tuple[DayReason, str] | None:
    name, spec = f"ChaosExperiment {found.ref.name}", found.spec
    if found.is_deleting:
        return DayReason.EXPERIMENT_GONE, f"{name} is being deleted."
    if spec is None or found.problem:
        return DayReason.EXPERIMENT_INVALID, f"{name} cannot run: {found.problem}"
    if spec.schedule is not None:
        return DayReason.EXPERIMENT_SCHEDULED, f"{name} has a schedule of its own; a step needs one without."
    if spec.suspend:
        return DayReason.EXPERIMENT_SUSPENDED, f"{name} has spec.suspend set."
    if spec.dry_run:
        return DayReason.EXPERIMENT_DRY_RUN, f"{name} has spec.dryRun set: it would only plan."
    return None


def _busy(found: ExperimentSeen) -> str | None:
    """Say why an experiment cannot be asked now: it runs, or will, by somebody else's wish."""
    status = found.status
    is_idle = status.phase is Phase.FINISHED or _is_on_request(found)
    if is_idle and found.run_requested in {"", status.run}:
        return None
    wish = f"as {found.run_requested} asks" if found.run_requested else "by itself, as it is new"
    return f"ChaosExperiment {found.ref.name} is {status.phase}, {wish}; waiting until it is done."


def _is_on_request(found: ExperimentSeen) -> bool:
    """Whether the experiment has never run, and begins no run by itself."""
    is_new = found.status.phase is Phase.PENDING and not found.status.run_number
    return is_new and found.spec is not None and found.spec.start is Start.ON_REQUEST


def _recorded(case: Case, place: int, found: ExperimentSeen) -> Case:
    record, day = case.status.steps[place], case.seen.ref
    wish = f"{day.name[:_LONGEST_NAME]}-{day.uid[:8]}-{case.status.run_number}-{place + 1}"
    case = case.with_step(
        place,
        phase=StepPhase.ASKED,
        uid=found.ref.uid,
        asked=wish,
        before=found.run_requested,
        runs_before=found.status.run_number,
        started_at=case.now,
    )
    case = case.with_status(
        phase=DayPhase.RUNNING,
        step=place + 1,
        progress=f"{place + 1}/{len(case.status.steps)}",
        waiting_since=None,
        approval=None,
    )
    return case.noted(DayReason.STEP_ASKED, f"Step {record.name} is asked for.")
