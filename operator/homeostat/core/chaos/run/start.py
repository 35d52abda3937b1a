"""From a wish to a plan that may be carried out: what is asked, in which order, before anything is touched."""

from datetime import timedelta

from homeostat.api.chaos_status import ChaosExperimentStatus, Phase, Verdict
from homeostat.core.chaos.consent import approval
from homeostat.core.chaos.faults.draft import Draft
from homeostat.core.chaos.faults.plan import draw
from homeostat.core.chaos.hypothesis.finding import Finding, broken, is_observed_since, silent
from homeostat.core.chaos.hypothesis.incidents import open_refusal
from homeostat.core.chaos.hypothesis.judging import findings
from homeostat.core.chaos.hypothesis.patience import PATIENCE
from homeostat.core.chaos.hypothesis.stopping import stop_refusal, stops
from homeostat.core.chaos.limits.gates import Refusal, budget_refusal, is_frozen, is_view_stale
from homeostat.core.chaos.reasons import ChaosReason
from homeostat.core.chaos.run.beginning import is_run_wanted
from homeostat.core.chaos.schedule import next_after
from homeostat.core.chaos.seen import Case, Move
from homeostat.core.chaos.telling.verdict import finished, noted, refused

RETRY = timedelta(seconds=5)


def frozen(case: Case) -> Refusal:
    """Name the freeze that stops the run."""
    freeze = case.seen.freeze
    return Refusal(ChaosReason.FROZEN, f"Freeze {freeze.name}: {freeze.reason}" if freeze else "a Freeze stops chaos")


def fresh(case: Case, **changes: object) -> Case:
    """Forget the run, but not which it was, nor the runs before it, nor when the next one is due."""
    status = case.status
    kept = {
        "observed_generation": status.observed_generation,
        "conditions": status.conditions,
        "fault": status.fault,
        "target": status.target,
        "run": status.run,
        "abort": status.abort,
        "next_run_at": status.next_run_at,
        "run_number": status.run_number,
        "runs": status.runs,
    }
    return Case(case.spec, ChaosExperimentStatus().model_copy(update=kept | changes), case.seen, case.now)


def pending(case: Case) -> Move:
    """Begin a run, unless none is wanted yet, or something keeps the experiment from being evaluated at all."""
    finalizer = False if case.seen.has_finalizer else None
    if case.seen.is_deleting:
        return Move(case.status, wants_finalizer=finalizer)
    if case.seen.problem is not None:
        reason, message = case.seen.problem
        return Move(noted(case, reason[:63], message).status, wants_finalizer=finalizer)
    if case.spec.suspend:
        waiting = noted(case, ChaosReason.SUSPENDED, "spec.suspend is set.")
        return Move(waiting.status, wants_finalizer=finalizer, check_again_at=case.status.next_run_at)
    if not is_run_wanted(case.spec, case.status, case.seen.run_requested, case.now):
        return Move(noted(case, *idle(case)).status, wants_finalizer=finalizer, check_again_at=case.status.next_run_at)
    held = budget_refusal(case.seen)
    if held is not None and not is_frozen(case):  # budget comes back by itself; what a Freeze refuses stays refused
        waiting = noted(case, held.reason, held.message)
        return Move(waiting.status, wants_finalizer=finalizer, check_again_at=case.now + RETRY)
    if is_view_stale(case):
        waiting = noted(case, ChaosReason.VIEW_STALE, "What is known of the API is too old to act on.")
        return Move(waiting.status, wants_finalizer=finalizer, check_again_at=case.now + RETRY)
    return _begin(case)


def awaiting(case: Case) -> Move:
    """Show the plan as it would be carried out now, and hear what humans say to it."""
    drawn = draw(case)
    if isinstance(drawn, Refusal):  # a rollout, say: it passes, or the time to approve does
        return Move(noted(case, drawn.reason, drawn.message).status)
    case, told = approval.asked(case, drawn)
    case, said = approval.heard(case)
    if case.status.approval is None or not case.status.approval.by:
        message = "The plan awaits approval; status.approval has its hash."
        return Move(noted(case, ChaosReason.AWAITING_APPROVAL, message).status, events=(*told, *said))
    return Move(_to_checking(case).status, events=(*told, *said))


def checking(case: Case) -> Move:
    """C7: wait until the hypothesis has held for `steadyFor`, each part of it seen to hold in that time."""
    found = findings(case)
    refusal = unsteady(case, found)
    if refusal is not None:
        return refused(case, refusal)
    mute = silent((*found, *stops(case)))
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


def unsteady(case: Case, found: tuple[Finding, ...]) -> Refusal | None:
    """Refuse what does not hold, or fell silent; be patient with what has not spoken yet."""
    failing, mute = broken(found), silent((*found, *stops(case)))
    if failing is not None:
        return Refusal(ChaosReason.STEADY_STATE_BROKEN, f"{failing.says} before the fault")
    if mute is None or mute.gap is None:
        return None
    if case.status.steady_since is not None:
        return Refusal(mute.gap, mute.says)
    if case.now - (case.status.started_at or case.now) < PATIENCE:
        return None
    return Refusal(mute.gap, mute.says, Verdict.INCONCLUSIVE)


def last_look(case: Case) -> Draft | Refusal:
    """Ask everything once more, with the eyes of now: the hypothesis, who was called, the gates, the limits (C8)."""
    unsteady_now = unsteady(case.with_status(steady_since=case.now), findings(case))
    return unsteady_now or stop_refusal(case) or draw(case)


def _begin(case: Case) -> Move:
    schedule = case.spec.schedule
    case = fresh(
        case,
        phase=Phase.CHECKING_STEADY_STATE,
        run=case.seen.run_requested,
        abort=case.seen.abort_requested,
        next_run_at=None if schedule is None else next_after(schedule, case.now),
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
    refusal = open_refusal(case) or stop_refusal(case)
    if refusal is not None:
        return refused(case, refusal)
    if not approval.is_needed(case):
        return Move(_to_checking(case).status)
    case, events = approval.asked(case, drawn)
    return Move(case.with_status(phase=Phase.AWAITING_APPROVAL).status, events=events)


def idle(case: Case) -> tuple[ChaosReason, str]:
    """Say what a run that nothing stands against waits for."""
    if case.spec.schedule is not None:
        return ChaosReason.NOT_DUE, "The schedule's next time has not come."
    return ChaosReason.NOT_REQUESTED, "It begins on request: annotation homeostat.dev/run, or a GameDay."


def _to_checking(case: Case) -> Case:
    checking_now = case.with_status(phase=Phase.CHECKING_STEADY_STATE, steady_since=None)
    return noted(checking_now, ChaosReason.WAITING_FOR_DATA, "")
