"""One decision on a RecoveryPolicy: bring the memory up to now, move as far as possible, say when to look again."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import islice

from homeostat.api.recovery import Mode, RecoveryPolicySpec
from homeostat.api.recovery_attempt import Attempt, AttemptPhase, InFlight, Outcome
from homeostat.api.recovery_decision import EscalationReason
from homeostat.api.recovery_status import Blocked, Phase, Proof, RecoveryPolicyStatus, Signal, SignalState
from homeostat.core.action import Action
from homeostat.core.decision import Decision, Event
from homeostat.core.recovery import signals
from homeostat.core.recovery.attempt import sequence
from homeostat.core.recovery.attempt.answers import LONGEST_PAUSE
from homeostat.core.recovery.attempt.locking import lock_upkeep
from homeostat.core.recovery.attempt.progress import advance
from homeostat.core.recovery.attempt.start import start
from homeostat.core.recovery.consent.hearing import NOTHING_ASKED, hear
from homeostat.core.recovery.gates.chain import TO_TELL, first_block
from homeostat.core.recovery.gates.consent import pause_of
from homeostat.core.recovery.gates.decided import SUSPENDED
from homeostat.core.recovery.gates.limits import flapping
from homeostat.core.recovery.gates.wish import Wish
from homeostat.core.recovery.limits import budget, storm, windows
from homeostat.core.recovery.reasons import BlockReason
from homeostat.core.recovery.seen import Case, Move, RecoverySeen
from homeostat.core.recovery.steps import patching
from homeostat.core.recovery.targets.selection import focused
from homeostat.core.recovery.telling import escalation
from homeostat.core.recovery.telling.blocking import blocked
from homeostat.core.recovery.telling.deciding import on_record
from homeostat.core.recovery.telling.delivery import deliver
from homeostat.core.recovery.telling.report import blocked_events, next_look, shown
from homeostat.core.significance import Significance

MOST_MOVES = 64
"""More moves than any decision makes: a bug must not spin."""
LONGEST_STEP = timedelta(hours=1)
"""The longest timeout that a step can have."""


def decide(
    spec: RecoveryPolicySpec, status: RecoveryPolicyStatus, seen: RecoverySeen, now: datetime
) -> Decision[RecoveryPolicyStatus]:
    """Decide what to do for the policy's target now. Total, and the same again for its own result."""
    problem = seen.problem or windows.problem(spec.windows) or patching.problem(spec.steps)
    if problem:
        case = _not_evaluated(Case(spec, status, replace(seen, problem=problem), now), *problem)
        return Decision(case.status, events=blocked_events(status, case))
    case = at_hand(Case(spec, status, seen, now))
    to_do: tuple[Action, ...] = ()
    events: tuple[Event, ...] = ()
    for move in islice(_moves(case), MOST_MOVES):
        case, to_do, events = replace(case, status=move.status), move.actions, (*events, *move.events)
    to_do = to_do or lock_upkeep(case)
    call = Move(case.status) if to_do else deliver(case)
    case = replace(case, status=call.status)
    return Decision(
        status=shown(case),
        actions=to_do or call.actions,
        events=(*events, *blocked_events(status, case)),
        check_again_at=next_look(case),
    )


def significance(old: RecoveryPolicyStatus, new: RecoveryPolicyStatus) -> Significance:
    """Say what a difference is worth: all but wording is control state, and is written at once."""
    if old == new:
        return Significance.NOTHING
    return Significance.REFRESH if _essence(old) == _essence(new) else Significance.CHANGE


# --- moves ----------------------------------------------------------------------------------------------


def _moves(case: Case) -> Iterator[Move]:
    """Move until nothing changes any more, or until there is something to do: that must be on record first."""
    move = _move(case)
    while move.status != case.status or move.actions:
        yield move
        if move.actions:
            return
        case = replace(case, status=move.status)
        move = _move(case)


def _move(case: Case) -> Move:
    """Choose the next move, and put on record what it came to. What humans ask for goes before all else."""
    return _heard(case) or _own_move(case)


def _heard(case: Case) -> Move | None:
    """Answer humans; that a step is run by hand is a decision like any other."""
    move = hear(case)
    begun = move.status.attempt if move and case.status.attempt is None else None
    if move is None or begun is None:
        return move
    return on_record(case.with_status(next_step=begun.step), signals.of_attempt(case, begun.trigger), move)


def _own_move(case: Case) -> Move:
    attempt = case.status.attempt
    if attempt:
        return on_record(case, signals.of_attempt(case, attempt.trigger), advance(case, attempt))
    case = case.with_status(next_step=sequence.due(case))  # an attempt may have ended in the move before
    is_quiet = not signals.firing(case) and not signals.blind(case)
    if is_quiet and not case.status.cooldown_until:
        return _end_of_episode(case)
    if case.status.escalated and case.status.escalated.is_last:
        return _rest(case)
    signal = signals.urgent(case)
    return on_record(case, signal, _answer(case, signal)) if signal else _rest(case)


def _end_of_episode(case: Case) -> Move:
    """All is quiet, and the target has rested: the next time begins with the first step. After an outage it rests."""
    rest = escalation.rest_until(case)
    if rest:
        return _rest(case, cooldown_until=rest)
    rested = _rest(
        case, **sequence.START_OVER, escalated=escalation.kept(case), retry_at=None, changes=(), **NOTHING_ASKED
    )
    return _unsteady(case, rested)


def _unsteady(case: Case, rested: Move) -> Move:
    """R6: what was told to come and go is not at rest before it has been steady, quiet as it may be just now."""
    wishes = (Wish(case, signal) for signal in case.status.signals)
    block = next((found for wish in wishes if (found := flapping(wish))), None)
    if block is None or rested.status.blocked or not escalation.is_told(case, EscalationReason.FLAPPING):
        return rested
    known = rested.status.model_copy(update={"blocked": case.status.blocked})
    return Move(blocked(replace(case, status=known), block))


def _answer(case: Case, signal: Signal) -> Move:
    """Answer a trigger: act when it is due, wait while `for` is not over, say so when we cannot see."""
    if signal.state is SignalState.FIRING:
        return start(case, signal) if signals.due_at(case.spec, signal) <= case.now else _not_yet(case, signal)
    block = first_block(TO_TELL, Wish(case, signal))
    return Move(blocked(case, block)) if block else _rest(case)


def _not_yet(case: Case, signal: Signal) -> Move:
    """Wait until `for` is over. R6: a trigger that comes and goes may never get there, and a human is told of it."""
    block = first_block((*TO_TELL, flapping), Wish(case, signal))
    return escalation.refused(case, signal, block) if block and block.reason == BlockReason.FLAPPING else _rest(case)


def _rest(case: Case, **changes: object) -> Move:
    """Have nothing to do; a suspended or paused policy says that it will not."""
    memory = case.with_status(**changes)
    block = SUSPENDED if case.spec.suspend else pause_of(case)
    return Move(blocked(memory, block) if block else memory.with_status(blocked=None).status)


# --- memory ---------------------------------------------------------------------------------------------


def at_hand(case: Case) -> Case:
    """Give the case as it is decided on: of the one target that is meant, with the memory brought up to now."""
    return _up_to_date(focused(case))


def _up_to_date(case: Case) -> Case:
    """Let end what is over by its time, and take in what is seen. An edited spec starts the sequence over."""
    status, now = case.status, case.now
    is_edited = status.observed_generation != case.seen.generation and status.attempt is None
    assessed = case.with_status(
        signals=signals.assess(case),
        budget=budget.refreshed(status.budget, case.spec.limits.budget, now),
        cooldown_until=None
        if _rests_for_nothing(case)
        else _ahead(status.cooldown_until, now, sequence.longest_rest(case.spec)),
        retry_at=_ahead(status.retry_at, now, LONGEST_PAUSE),
        plan=None if is_edited else status.plan,
        rejected="" if is_edited else status.rejected,
        attempt=_on_clock(status.attempt, case),
        in_flight=tuple(_of_now(entry, now) for entry in status.in_flight) if status.attempt else (),
        proof=_newest(case.seen.proof, status.proof),
    )
    sequenced = _in_sequence(assessed)  # an edit lets go what was at its end: it may want to act again
    return sequenced.with_status(storm_until=storm.held_until(sequenced))


def _newest(*proofs: Proof | None) -> Proof | None:
    """Give the newest drill: its experiment may be gone by now, and then what is remembered of it is all there is."""
    return max((one for one in proofs if one), key=lambda one: one.at, default=None)


def _rests_for_nothing(case: Case) -> bool:
    """R1: the rest after what Observe would have done is Observe's own, and ends with that mode."""
    return case.spec.mode is not Mode.OBSERVE and case.status.last_outcome == Outcome.WOULD_DO


def _in_sequence(case: Case) -> Case:
    """Say which step is due now. An attempt under way goes on when the spec is edited, and the rest is forgotten."""
    if case.status.observed_generation != case.seen.generation:
        case = case.with_status(tried=(), tries=0, escalated=None)
    return case if case.status.attempt else case.with_status(next_step=sequence.due(case))


def _ahead(time: datetime | None, now: datetime, longest: timedelta) -> datetime | None:
    """Keep a time that is still to come; a clock set back cannot push it further than it ever was."""
    return min(time, now + longest) if time and time > now else None


def _on_clock(attempt: Attempt | None, case: Case) -> Attempt | None:
    """Bring an attempt to the clock as it is now: one that was set back must not stretch a phase by as much."""
    if attempt is None:
        return None
    is_verifying = attempt.phase is AttemptPhase.VERIFYING
    longest = case.spec.verify.deadline if is_verifying else LONGEST_STEP
    verify_from = min(attempt.verify_from, case.now) if attempt.verify_from else None
    return attempt.model_copy(
        update={"deadline": min(attempt.deadline, case.now + longest), "verify_from": verify_from}
    )


def _of_now(entry: InFlight, now: datetime) -> InFlight:
    return entry.model_copy(update={"deadline": min(entry.deadline, now + LONGEST_STEP)})


def _not_evaluated(case: Case, reason: str, message: str) -> Case:
    """Show that the policy does nothing, and why, wherever one looks: it must not pass for one at rest (R15)."""
    known = case.status.blocked
    since = known.since if known and known.reason == reason else case.now
    shown_ = shown(case.with_status(blocked=Blocked(reason=reason, since=since, message=message[:1024])))
    return replace(case, status=shown_.model_copy(update={"phase": Phase.BLOCKED}))


def _essence(status: RecoveryPolicyStatus) -> RecoveryPolicyStatus:
    """Leave out what is only wording."""
    blocked_ = status.blocked.model_copy(update={"message": "", "until": None}) if status.blocked else None
    conditions = tuple(entry.model_copy(update={"message": ""}) for entry in status.conditions)
    return status.model_copy(update={"blocked": blocked_, "conditions": conditions})
