"""One decision on a RecoveryPolicy: bring the memory up to now, move as far as possible, say when to look again."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import islice

from homeostat.api.meta import ConditionStatus
from homeostat.api.recovery import RecoveryPolicySpec
from homeostat.api.recovery_status import Blocked, Phase, RecoveryPolicyStatus
from homeostat.core.cluster import Lock
from homeostat.core.condition import set_condition
from homeostat.core.decision import Action, Decision, Event
from homeostat.core.recovery import signals
from homeostat.core.recovery.attempt.answers import LONGEST_PAUSE
from homeostat.core.recovery.attempt.progress import advance
from homeostat.core.recovery.attempt.start import start
from homeostat.core.recovery.gates.chain import TO_TELL, first_block
from homeostat.core.recovery.gates.decided import SUSPENDED
from homeostat.core.recovery.gates.wish import Wish
from homeostat.core.recovery.limits import budget
from homeostat.core.recovery.seen import Case, Move, RecoverySeen
from homeostat.core.recovery.steps import actions
from homeostat.core.recovery.telling.blocking import blocked
from homeostat.core.recovery.telling.report import blocked_event, next_look, shown
from homeostat.core.significance import Significance

MOST_MOVES = 64
"""More moves than any decision makes: a bug must not spin."""

RENEW_BEFORE = timedelta(seconds=30)
"""Our lock is renewed when less than this is left of it."""


def decide(
    spec: RecoveryPolicySpec, status: RecoveryPolicyStatus, seen: RecoverySeen, now: datetime
) -> Decision[RecoveryPolicyStatus]:
    """Decide what to do for the policy's target now. Total, and the same again for its own result."""
    if seen.problem:
        return Decision(_not_evaluated(Case(spec, status, seen, now), seen.problem))
    case = _up_to_date(Case(spec, status, seen, now))
    to_do: tuple[Action, ...] = ()
    events: tuple[Event, ...] = ()
    for move in islice(_moves(case), MOST_MOVES):
        case, to_do, events = replace(case, status=move.status), move.actions, (*events, *move.events)
    return Decision(
        status=shown(case),
        actions=to_do or _lock_upkeep(case),
        events=(*events, *blocked_event(status, case.status)),
        check_again_at=next_look(case),
    )


def significance(old: RecoveryPolicyStatus, new: RecoveryPolicyStatus) -> Significance:
    """Say what a difference is worth: all but wording is control state, and is written at once."""
    if old == new:
        return Significance.NOTHING
    return Significance.REFRESH if _essence(old) == _essence(new) else Significance.CHANGE


def watches(spec: RecoveryPolicySpec) -> tuple[tuple[str, str], ...]:
    """Give (kind, name) of the objects in the policy's namespace whose change must wake it."""
    names = [trigger.health_check.name for trigger in spec.triggers if trigger.health_check]
    names += [entry.health_check.name for entry in spec.depends_on]
    return tuple(("HealthCheck", name) for name in dict.fromkeys(names))


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
    if case.status.attempt:
        return advance(case, case.status.attempt)
    is_quiet = not signals.firing(case) and not signals.blind(case)
    if is_quiet and not case.status.cooldown_until:
        return _rest(case, next_step=0, escalated=None, retry_at=None)
    if case.status.escalated:
        return _rest(case)
    signal = signals.due(case)
    return start(case, signal) if signal else _wait(case)


def _wait(case: Case) -> Move:
    """Nothing is due: because all is quiet, because `for` is not over, or because we cannot see."""
    unseen = signals.blind(case)
    if signals.firing(case) or unseen is None:
        return _rest(case)
    block = first_block(TO_TELL, Wish(case, unseen))
    return Move(blocked(case, block)) if block else _rest(case)


def _rest(case: Case, **changes: object) -> Move:
    """Have nothing to do; a suspended policy says that it never will."""
    memory = case.with_status(**changes)
    return Move(blocked(memory, SUSPENDED) if case.spec.suspend else memory.with_status(blocked=None).status)


# --- memory ---------------------------------------------------------------------------------------------


def _up_to_date(case: Case) -> Case:
    """Let end what is over by its time, and take in what is seen. An edited spec starts the sequence over."""
    status, now = case.status, case.now
    is_edited = status.observed_generation != case.seen.generation and status.attempt is None
    return case.with_status(
        signals=signals.assess(case),
        budget=budget.refreshed(status.budget, case.spec.limits.budget, now),
        cooldown_until=_ahead(status.cooldown_until, now, case.spec.limits.cooldown),
        retry_at=_ahead(status.retry_at, now, LONGEST_PAUSE),
        next_step=0 if is_edited else status.next_step,
        escalated=None if is_edited else status.escalated,
        in_flight=status.in_flight if status.attempt else (),
        proof=case.seen.proof or status.proof,
    )


def _ahead(time: datetime | None, now: datetime, longest: timedelta) -> datetime | None:
    """Keep a time that is still to come; a clock set back cannot push it further than it ever was."""
    return min(time, now + longest) if time and time > now else None


def _not_evaluated(case: Case, problem: tuple[str, str]) -> RecoveryPolicyStatus:
    """Show that the policy does nothing, and why, wherever one looks: it must not pass for one at rest (R15)."""
    reason, message = problem
    known = case.status.blocked
    since = known.since if known and known.reason == reason else case.now
    shown_ = shown(case.with_status(blocked=Blocked(reason=reason, since=since, message=message[:1024])))
    conditions = set_condition(
        shown_.conditions, "Ready", ConditionStatus.FALSE, reason, message, case.seen.generation, case.now
    )
    return shown_.model_copy(update={"phase": Phase.BLOCKED, "conditions": conditions})


# --- the lock -------------------------------------------------------------------------------------------


def _lock_upkeep(case: Case) -> tuple[Action, ...]:
    """R11: stay the one writer while an attempt that acted is open, and stop being it afterwards."""
    target, attempt, lock = case.seen.target, case.status.attempt, case.seen.lock
    is_ours = lock is not None and lock.holder.uid == case.seen.ref.uid
    if target is None:
        return ()
    if attempt is None:
        return _unanswered(case, actions.release(case, target)) if is_ours else ()
    if not actions.done(case.status.in_flight) or (lock and _holds(case, lock, is_ours=is_ours)):
        return ()
    return _unanswered(case, actions.renewal(case, target, attempt.id))


def _holds(case: Case, lock: Lock, *, is_ours: bool) -> bool:
    """Whether a lock is good for a while, ours or another's."""
    return lock.until > case.now + (RENEW_BEFORE if is_ours else timedelta(0))


def _unanswered(case: Case, action: Action) -> tuple[Action, ...]:
    """Ask once; whatever the answer was, the next look asks again if need be."""
    return () if action.id in case.seen.outcomes else (action,)


def _essence(status: RecoveryPolicyStatus) -> RecoveryPolicyStatus:
    """Leave out what is only wording."""
    blocked_ = status.blocked.model_copy(update={"message": "", "until": None}) if status.blocked else None
    conditions = tuple(entry.model_copy(update={"message": ""}) for entry in status.conditions)
    return status.model_copy(update={"blocked": blocked_, "conditions": conditions})
