"""The way of a run from phase to phase, and `decide`, which follows it as far as it goes without an act.

Each step either changes the memory, and the next step follows at once, or changes nothing, and then says what
to do and when to look again. So to decide twice at the same moment is to decide once.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from homeostat.api.chaos import ChaosExperimentSpec
from homeostat.api.chaos_status import ChaosExperimentStatus, Phase
from homeostat.core.chaos import locks
from homeostat.core.chaos.gates import Refusal, budget_refusal, is_frozen, is_view_stale
from homeostat.core.chaos.reasons import ChaosReason
from homeostat.core.chaos.recovery import recovering
from homeostat.core.chaos.running import reverting, running
from homeostat.core.chaos.seen import Case, ChaosSeen, Move
from homeostat.core.chaos.standing import introduced, with_conditions
from homeostat.core.chaos.start import checking, fresh, frozen, injecting, pending
from homeostat.core.chaos.verdict import refused, settled, stopped
from homeostat.core.decision import Decision, Event

TICK = timedelta(seconds=1)
"""How often an active run is looked at, whatever else wakes it."""
MOST_STEPS = 16
"""More steps than any way through the phases has; the rest would follow at the next look."""

_UNTOUCHED = frozenset({Phase.CHECKING_STEADY_STATE, Phase.INJECTING})
_FAULT_ON = frozenset({Phase.INJECTING, Phase.RUNNING})
_ACTIVE = frozenset({*_UNTOUCHED, *_FAULT_ON, Phase.REVERTING, Phase.RECOVERING})


def decide(
    spec: ChaosExperimentSpec, status: ChaosExperimentStatus, seen: ChaosSeen, now: datetime
) -> Decision[ChaosExperimentStatus]:
    """Decide the experiment's next act, and what it has shown so far."""
    case = introduced(Case(spec, status, seen, now))
    events: tuple[Event, ...] = ()
    move = Move(case.status)
    for _ in range(MOST_STEPS):
        move = _step(case)
        events += move.events
        if move.status == case.status:
            break
        case = replace(case, status=move.status)
    return Decision(
        status=with_conditions(case),
        actions=move.actions,
        events=events,
        wants_finalizer=move.wants_finalizer,
        check_again_at=_again(move, now),
    )


def _step(case: Case) -> Move:
    interruption = _interruption(case)
    if interruption is not None and case.status.verdict is None and case.status.phase in _ACTIVE:
        return _interrupted(case, interruption)
    if case.status.verdict is not None and case.status.phase in _FAULT_ON:
        return Move(case.with_status(phase=Phase.REVERTING).status)
    return _PHASES[case.status.phase](case)


def _interruption(case: Case) -> Refusal | None:
    """Give what ends a run from outside. C9: it never resumes by itself."""
    if case.seen.is_deleting:
        return Refusal(ChaosReason.DELETED, "the experiment is being deleted")
    if case.spec.suspend:
        return Refusal(ChaosReason.SUSPENDED, "spec.suspend was set")
    if is_frozen(case):
        return frozen(case)
    if case.seen.generation != case.status.run_generation or case.seen.problem is not None:
        return Refusal(ChaosReason.SPEC_CHANGED, "the spec was changed during the run")
    return _grounds_lost(case) if case.status.phase in _UNTOUCHED | _FAULT_ON else None


def _grounds_lost(case: Case) -> Refusal | None:
    """Give what forbids a fault and nothing else: once it is off, recovery is watched to the end."""
    if is_view_stale(case):
        return Refusal(ChaosReason.VIEW_STALE, "what is known of the API is too old to act on")
    return budget_refusal(case.seen)


def _interrupted(case: Case, why: Refusal) -> Move:
    if case.status.phase in _UNTOUCHED and not case.status.targets:
        if why.reason is ChaosReason.SPEC_CHANGED:
            return Move(fresh(case, run_number=max(0, case.status.run_number - 1)).status)
        return refused(case, why)
    if case.status.phase in _FAULT_ON:
        return stopped(case, why)
    return Move(settled(case, why.verdict, why.reason, why.message).status)


def _resting(case: Case) -> Move:
    """Let go of locks, then of the finalizer; begin anew when a new run is asked for."""
    actions = locks.release(case)
    if actions:
        return Move(case.status, actions=actions)
    if not case.seen.is_deleting and _is_new_run_wanted(case):
        return Move(fresh(case).status)
    return Move(case.status, wants_finalizer=False if case.seen.has_finalizer else None)


def _is_new_run_wanted(case: Case) -> bool:
    """A new value of the annotation asks for a run; so does the end of `dryRun`, for a dry run was none."""
    if case.seen.run_requested not in {"", case.status.run}:
        return True
    return case.status.reason == ChaosReason.DRY_RUN and not case.spec.dry_run


def _again(move: Move, now: datetime) -> datetime | None:
    if move.status.phase in _ACTIVE:
        wanted = move.check_again_at
        return wanted if wanted is not None and now < wanted < now + TICK else now + TICK
    return move.check_again_at


_PHASES: Mapping[Phase, Callable[[Case], Move]] = {
    Phase.PENDING: pending,
    Phase.AWAITING_APPROVAL: pending,
    Phase.CHECKING_STEADY_STATE: checking,
    Phase.INJECTING: injecting,
    Phase.RUNNING: running,
    Phase.REVERTING: reverting,
    Phase.RECOVERING: recovering,
    Phase.FINISHED: _resting,
}
