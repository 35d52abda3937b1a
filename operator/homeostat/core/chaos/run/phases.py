"""The way of a run from phase to phase, and `decide`, which follows it as far as it goes without an act.

Each step either changes the memory, and the next step follows at once, or changes nothing, and then says what
to do and when to look again. So to decide twice at the same moment is to decide once.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from homeostat.api.chaos import ChaosExperimentSpec
from homeostat.api.chaos_status import ChaosExperimentStatus, Phase
from homeostat.core.chaos.limits import locks
from homeostat.core.chaos.limits.gates import Refusal
from homeostat.core.chaos.reasons import ChaosReason
from homeostat.core.chaos.run.beginning import is_run_wanted, scheduled
from homeostat.core.chaos.run.injecting import injecting
from homeostat.core.chaos.run.interruption import FAULT_ON, UNTOUCHED, interruption
from homeostat.core.chaos.run.recovery import recovering
from homeostat.core.chaos.run.running import reverting, running
from homeostat.core.chaos.run.start import awaiting, checking, fresh, pending
from homeostat.core.chaos.schedule import schedule_problem
from homeostat.core.chaos.seen import Case, ChaosSeen, Move
from homeostat.core.chaos.telling.proofs import prove
from homeostat.core.chaos.telling.stages import measure
from homeostat.core.chaos.telling.standing import introduced, with_conditions
from homeostat.core.chaos.telling.verdict import refused, settled, stopped
from homeostat.core.decision import Decision

TICK = timedelta(seconds=1)
"""How often an active run is looked at, whatever else wakes it."""
SLOW_TICK = timedelta(seconds=5)
"""How often one is that awaits approval, which may take long; an approval wakes it anyway."""
MOST_STEPS = 16
"""More steps than any way through the phases has; the rest would follow at the next look."""

_ACTIVE = frozenset({*UNTOUCHED, *FAULT_ON, Phase.REVERTING, Phase.RECOVERING})


def decide(
    spec: ChaosExperimentSpec, status: ChaosExperimentStatus, seen: ChaosSeen, now: datetime
) -> Decision[ChaosExperimentStatus]:
    """Decide the experiment's next act, and what it has shown so far."""
    case, events = scheduled(introduced(_accepted(Case(spec, status, seen, now))))
    move = Move(case.status)
    for _ in range(MOST_STEPS):
        move = _step(_measured(case))
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


def _accepted(case: Case) -> Case:
    """Add what only the core can say against a spec: that its schedule is none."""
    problem = case.seen.problem or schedule_problem(case.spec.schedule, case.now)
    return replace(case, seen=replace(case.seen, problem=problem))


def _measured(case: Case) -> Case:
    """Keep the figures of a run, and how far its drills have come."""
    if case.status.phase not in _ACTIVE:
        return case
    return measure(prove(case) if case.status.injected_at is not None else case)


def _step(case: Case) -> Move:
    why = interruption(case)
    if why is not None and case.status.verdict is None and case.status.phase in _ACTIVE:
        return _interrupted(case.with_status(abort=case.seen.abort_requested), why)
    if case.status.verdict is not None and case.status.phase in FAULT_ON:
        return Move(case.with_status(phase=Phase.REVERTING).status)
    return _PHASES[case.status.phase](case)


def _interrupted(case: Case, why: Refusal) -> Move:
    if case.status.phase in UNTOUCHED and not case.status.targets:
        if why.reason is ChaosReason.SPEC_CHANGED and case.spec.schedule is None:
            return Move(fresh(case, run_number=max(0, case.status.run_number - 1)).status)
        return refused(case, why)
    if case.status.phase in FAULT_ON:
        return stopped(case, why)
    return Move(settled(case, why.verdict, why.reason, why.message).status)


def _resting(case: Case) -> Move:
    """Let go of locks, then of the finalizer; begin anew when a new run is wanted."""
    actions = locks.release(case)
    if actions:
        return Move(case.status, actions=actions)
    is_wanted = is_run_wanted(case.spec, case.status, case.seen.run_requested, case.now)
    if not case.seen.is_deleting and is_wanted:
        return Move(fresh(case).status)
    finalizer = False if case.seen.has_finalizer else None
    return Move(case.status, wants_finalizer=finalizer, check_again_at=case.status.next_run_at)


def _again(move: Move, now: datetime) -> datetime | None:
    wanted, phase = move.check_again_at, move.status.phase
    if phase in _ACTIVE:
        tick = now + (SLOW_TICK if phase is Phase.AWAITING_APPROVAL else TICK)
        return wanted if wanted is not None and now < wanted < tick else tick
    return wanted if wanted is None or wanted > now else now + TICK


_PHASES: Mapping[Phase, Callable[[Case], Move]] = {
    Phase.PENDING: pending,
    Phase.AWAITING_APPROVAL: awaiting,
    Phase.CHECKING_STEADY_STATE: checking,
    Phase.INJECTING: injecting,
    Phase.RUNNING: running,
    Phase.REVERTING: reverting,
    Phase.RECOVERING: recovering,
    Phase.FINISHED: _resting,
}
