"""The intent: what is written before anything is done, so that a kill in between loses and doubles nothing (R2)."""

from dataclasses import replace
from datetime import datetime

from homeostat.api.recovery_attempt import Attempt, AttemptPhase, InFlight
from homeostat.api.recovery_status import Signal
from homeostat.api.recovery_step import Step
from homeostat.core.decision import Event
from homeostat.core.recovery.limits import budget
from homeostat.core.recovery.seen import Case, Move
from homeostat.core.recovery.signals import ground
from homeostat.core.recovery.steps import actions
from homeostat.core.recovery.steps.plan import Plan, object_id
from homeostat.core.recovery.targets.subject import other_than_target


def begin(case: Case, step: Step, signal: Signal, planned: Plan) -> Move:
    """Open an attempt with its first action."""
    attempt = Attempt(
        id=case.seen.attempt_seed,
        step=case.status.next_step,
        name=step.name,
        trigger=signal.trigger,
        phase=AttemptPhase.ACTING,
        workload=object_id((case.seen.target or planned.workload).ref),
        detected_at=signal.since,
        started_at=case.now,
        deadline=case.now + step.timeout,
        try_=case.status.tries,
    )
    return add(case, attempt, planned)


def add(case: Case, attempt: Attempt, planned: Plan) -> Move:
    """Put one more action of an attempt on record, pay for it, and ask for it."""
    entry = _entry(case, attempt, planned, attempt.deadline)
    status = case.status.model_copy(
        update={
            "attempt": attempt,
            "in_flight": (*case.status.in_flight, entry),
            "blocked": None,
            "retry_at": None,
            "budget": budget.spent(case.status.budget, case.spec.limits.budget, case.now),
        }
    )
    why = f"{attempt.requested_by} runs it by hand" if attempt.requested_by else ground(case, attempt.trigger)
    note = f"Step {attempt.step} ({attempt.name}): {actions.title(entry)}, because {why}."
    event = Event("Acting", note, action="Recover")
    on_record = replace(case, status=status)
    return Move(status, actions.carrying_out(on_record, planned.workload, entry), (event,))


def _entry(case: Case, attempt: Attempt, planned: Plan, deadline: datetime) -> InFlight:
    return InFlight(
        id=f"{attempt.id}-{len(case.status.in_flight)}",
        target=planned.target,
        resource_version=planned.resource_version,
        step=attempt.step,
        action=planned.action,
        workload=other_than_target(case, planned.workload),
        original=planned.original,
        desired=planned.desired,
        undoes=planned.undoes,
        started_at=case.now,
        deadline=deadline,
    )
