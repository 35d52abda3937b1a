"""From a plan to a fault: the finalizer, the record, the locks and the fault, each in a decision of its own (C2)."""

from datetime import timedelta

from homeostat.api.chaos_status import MOST_RECOMMENDATIONS, Phase, Stages, TargetPhase
from homeostat.core.action import FINALIZER
from homeostat.core.chaos.consent import approval
from homeostat.core.chaos.faults import arming, injection
from homeostat.core.chaos.faults.draft import Draft
from homeostat.core.chaos.limits.gates import Refusal
from homeostat.core.chaos.reasons import ChaosReason
from homeostat.core.chaos.run.start import last_look
from homeostat.core.chaos.seen import Case, Move
from homeostat.core.chaos.telling import report
from homeostat.core.chaos.telling.advice import weaknesses
from homeostat.core.chaos.telling.stages import restarts_now
from homeostat.core.chaos.telling.verdict import noted, refused, stopped
from homeostat.core.decision import Event, EventType

SOON = timedelta(milliseconds=300)
"""How soon a run looks again for a guard or an agent that is being started: somebody waits for the fault."""
NOTICED = timedelta(seconds=1)
"""How long ago a fault that is seen to be on may have gone on: an active run is looked at that often."""


def injecting(case: Case) -> Move:
    """Finalizer, then record, then locks and fault, each in a decision that is written before the next."""
    if not case.status.targets:
        return _put_on_record(case)
    progressed = injection.progress(case)
    if progressed.status != case.status:
        return Move(progressed.status)
    if all(record.phase is not TargetPhase.PLANNED for record in case.status.targets):
        return _on(case)
    refusal = injection.failure(case) or _second_thoughts(case)
    if refusal is not None:
        return stopped(case, refusal)
    if injection.met_conflict(case):
        return Move(case.with_status(injection_attempts=case.status.injection_attempts + 1).status)
    return Move(case.status, actions=injection.actions(case), check_again_at=case.now + SOON)


def _put_on_record(case: Case) -> Move:
    if not case.seen.has_finalizer:
        answer = case.seen.outcomes.get(FINALIZER)
        if answer is not None:  # and no run that waited for a right begins long after it was asked for
            return refused(case, Refusal(ChaosReason.NOT_PERMITTED, answer.message))
        return Move(case.status, wants_finalizer=True)
    drawn = last_look(case)
    if isinstance(drawn, Refusal):
        return refused(case, drawn)
    if approval.is_needed(case) and not approval.is_same_plan(case, drawn):
        asking, events = approval.asked(case, drawn)
        return Move(asking.with_status(phase=Phase.AWAITING_APPROVAL).status, events=events)
    return Move(_recorded(case, drawn).status)


def _second_thoughts(case: Case) -> Refusal | None:
    """Refuse to take up an injection, after a crash or a conflict or a wait for agents, that would not be begun now."""
    is_hit = any(record.phase is not TargetPhase.PLANNED for record in case.status.targets)
    if is_hit or arming.may_be_on(case):
        return None
    drawn = last_look(case)
    return drawn if isinstance(drawn, Refusal) else None


def _recorded(case: Case, draft: Draft) -> Case:
    case = case.with_status(
        targets=draft.targets,
        plan=draft.plan,
        injected_at=case.now,
        revert_at=case.now + case.spec.duration,
        injection_attempts=0,
    )
    stages = case.status.stages or Stages()
    return case.with_status(
        recommendations=weaknesses(case)[:MOST_RECOMMENDATIONS],
        stages=stages.model_copy(update={"restarted_before": restarts_now(case)}),
    )


def _on(case: Case) -> Move:
    case = noted(case, ChaosReason.FAULT_ACTIVE, "The fault is on.")
    changes = case.status.plan.changes if case.status.plan else ()
    for change in changes[:5]:
        case = report.observe(case, f"Injected: {change}")
    event = Event("Injected", "; ".join(changes)[:1000] or "The fault is on.", EventType.WARNING, "Inject")
    return Move(_counted(case).with_status(phase=Phase.RUNNING).status, events=(event,))


def _counted(case: Case) -> Case:
    """Count the fault's time from when it went on, where a guard or an agent had to be started for it first."""
    is_armed = bool(case.status.guard) or any(record.agent for record in case.status.targets)
    if not is_armed or case.status.injected_at is None:
        return case
    began = max(case.status.injected_at, case.now - NOTICED)
    return case.with_status(injected_at=began, revert_at=began + case.spec.duration)
