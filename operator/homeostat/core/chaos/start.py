"""From a wish to a fault: what a run needs before it may touch anything, and the record it leaves first (C2)."""

from datetime import timedelta

from homeostat.api.chaos_status import ChaosExperimentStatus, Phase, TargetPhase, Verdict
from homeostat.core.chaos import injection, report
from homeostat.core.chaos.gates import Refusal, budget_refusal, is_frozen, is_view_stale
from homeostat.core.chaos.plan import Draft, draw
from homeostat.core.chaos.reasons import ChaosReason
from homeostat.core.chaos.seen import Case, Move
from homeostat.core.chaos.steady_state import Finding, broken, findings, is_observed_since, silent
from homeostat.core.chaos.verdict import finished, noted, refused, stopped
from homeostat.core.decision import Event, EventType

PATIENCE = timedelta(seconds=30)
"""How long a run waits for checks that have not spoken yet, before it ends as Inconclusive."""
RETRY = timedelta(seconds=5)


def frozen(case: Case) -> Refusal:
    """Name the freeze that stops the run."""
    freeze = case.seen.freeze
    return Refusal(ChaosReason.FROZEN, f"Freeze {freeze.name}: {freeze.reason}" if freeze else "a Freeze stops chaos")


def fresh(case: Case, **changes: object) -> Case:
    """Forget the run, but not which it was, nor the runs before it."""
    status = case.status
    kept = {
        "observed_generation": status.observed_generation,
        "conditions": status.conditions,
        "fault": status.fault,
        "target": status.target,
        "run": status.run,
        "run_number": status.run_number,
        "runs": status.runs,
    }
    return Case(case.spec, ChaosExperimentStatus().model_copy(update=kept | changes), case.seen, case.now)


def pending(case: Case) -> Move:
    """Begin a run, unless something keeps the experiment from being evaluated at all."""
    finalizer = False if case.seen.has_finalizer else None
    if case.seen.is_deleting:
        return Move(case.status, wants_finalizer=finalizer)
    if case.seen.problem is not None:
        reason, message = case.seen.problem
        return Move(noted(case, reason[:63], message).status, wants_finalizer=finalizer)
    if case.spec.suspend:
        waiting = noted(case, ChaosReason.SUSPENDED, "spec.suspend is set.")
        return Move(waiting.status, wants_finalizer=finalizer)
    held = budget_refusal(case.seen)
    if held is not None and not is_frozen(case):  # budget comes back by itself; what a Freeze refuses stays refused
        waiting = noted(case, held.reason, held.message)
        return Move(waiting.status, wants_finalizer=finalizer, check_again_at=case.now + RETRY)
    if is_view_stale(case):
        waiting = noted(case, ChaosReason.VIEW_STALE, "What is known of the API is too old to act on.")
        return Move(waiting.status, wants_finalizer=finalizer, check_again_at=case.now + RETRY)
    return _begin(case)


def checking(case: Case) -> Move:
    """C7: wait until the hypothesis has held for `steadyFor`, each part of it seen to hold in that time."""
    found = findings(case)
    refusal = _unsteady(case, found)
    if refusal is not None:
        return refused(case, refusal)
    mute = silent(found)
    if mute is not None:
        return Move(noted(case, ChaosReason.WAITING_FOR_DATA, mute.says).status)
    since = case.status.steady_since
    if since is None or any(one.since is not None and since < one.since <= case.now for one in found):
        settling = noted(case, ChaosReason.SETTLING, "The hypothesis holds; it must go on for steadyFor.")
        return Move(settling.with_status(steady_since=case.now).status)
    steady_at = since + case.spec.steady_for
    if case.now < steady_at or not is_observed_since(found, since):
        return Move(case.status, check_again_at=steady_at)
    steady = noted(case, ChaosReason.STEADY, "The hypothesis held for steadyFor.")
    return Move(steady.with_status(phase=Phase.INJECTING).status)


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
    return Move(case.status, actions=injection.actions(case))


def _begin(case: Case) -> Move:
    case = fresh(
        case,
        phase=Phase.CHECKING_STEADY_STATE,
        run=case.seen.run_requested,
        run_number=case.status.run_number + 1,
        run_generation=max(0, case.seen.generation),
        started_at=case.now,
    )
    drawn = frozen(case) if is_frozen(case) else draw(case)
    if isinstance(drawn, Refusal):
        return refused(case, drawn)
    case = case.with_status(plan=drawn.plan)
    if case.spec.dry_run:
        return finished(noted(case, ChaosReason.DRY_RUN, "Nothing was touched; status.plan has what would be."))
    return Move(noted(case, ChaosReason.WAITING_FOR_DATA, "").status)


def _unsteady(case: Case, found: tuple[Finding, ...]) -> Refusal | None:
    """Refuse what does not hold, or fell silent; be patient with what has not spoken yet."""
    failing, mute = broken(found), silent(found)
    if failing is not None:
        return Refusal(ChaosReason.STEADY_STATE_BROKEN, f"{failing.says} before the fault")
    if not found:
        message = "the hypothesis has no part that can be checked"
        return Refusal(ChaosReason.SIGNAL_MISSING, message, Verdict.INCONCLUSIVE)
    if mute is None or mute.gap is None:
        return None
    if case.status.steady_since is not None:
        return Refusal(mute.gap, mute.says)
    if case.now - (case.status.started_at or case.now) < PATIENCE:
        return None
    return Refusal(mute.gap, mute.says, Verdict.INCONCLUSIVE)


def _put_on_record(case: Case) -> Move:
    if not case.seen.has_finalizer:
        return Move(case.status, wants_finalizer=True)
    drawn = _last_look(case)
    if isinstance(drawn, Refusal):
        return refused(case, drawn)
    return Move(_recorded(case, drawn).status)


def _last_look(case: Case) -> Draft | Refusal:
    """Ask everything once more, with the eyes of now: the hypothesis, the gates, the limits (C8)."""
    return _unsteady(case.with_status(steady_since=case.now), findings(case)) or draw(case)


def _second_thoughts(case: Case) -> Refusal | None:
    """Refuse to take up an injection, after a crash or a conflict, that would not be begun now."""
    if any(record.phase is not TargetPhase.PLANNED for record in case.status.targets):
        return None
    drawn = _last_look(case)
    return drawn if isinstance(drawn, Refusal) else None


def _recorded(case: Case, draft: Draft) -> Case:
    return case.with_status(
        targets=draft.targets,
        plan=draft.plan,
        injected_at=case.now,
        revert_at=case.now + case.spec.duration,
        injection_attempts=0,
    )


def _on(case: Case) -> Move:
    case = noted(case, ChaosReason.FAULT_ACTIVE, "The fault is on.")
    changes = case.status.plan.changes if case.status.plan else ()
    for change in changes[:5]:
        case = report.observe(case, f"Injected: {change}")
    event = Event("Injected", "; ".join(changes)[:1000] or "The fault is on.", EventType.WARNING, "Inject")
    return Move(case.with_status(phase=Phase.RUNNING).status, events=(event,))
