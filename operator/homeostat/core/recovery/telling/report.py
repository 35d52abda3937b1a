"""What a policy shows of itself: phase, conditions, and when it wants to look again (R15)."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from homeostat.api.meta import Condition, ConditionStatus
from homeostat.api.recovery_attempt import AttemptPhase, TargetPhase
from homeostat.api.recovery_decision import PlanState
from homeostat.api.recovery_status import Phase, RecoveryPolicyStatus
from homeostat.core.condition import set_condition, stalled
from homeostat.core.decision import Event, EventType
from homeostat.core.recovery.reasons import STALLING, BlockReason
from homeostat.core.recovery.seen import Case
from homeostat.core.recovery.signals import aging, due_at, firing
from homeostat.core.recovery.targets import gitops
from homeostat.core.recovery.targets.selection import turns_due
from homeostat.core.recovery.telling import escalation
from homeostat.core.recovery.telling.delivery import next_call
from homeostat.core.recovery.telling.standing import standings

Said = tuple[bool, str, str]
"""A condition: whether it is so, the reason, and a sentence."""

PROOF_LASTS = timedelta(days=30)
OPEN_LOOK = timedelta(seconds=1)
"""How often an open attempt looks at its target."""
POLL = timedelta(seconds=5)
"""How often what does not wake us is looked at: pods, locks, rollouts."""
POLLED = frozenset({"pods", "node", "rollout", "slo"})
"""Triggers whose sources do not wake us."""
SOONEST = timedelta(milliseconds=50)
_KEPT_UP = frozenset({PlanState.SUGGESTED, PlanState.AWAITING_APPROVAL})
"""A plan that a human looks at is the one that would be carried out now."""

_TIMED = frozenset(
    {
        BlockReason.SUSPENDED,
        BlockReason.PAUSED,
        BlockReason.REJECTED,
        BlockReason.COOLING_DOWN,
        BlockReason.BUDGET_SPENT,
        BlockReason.OUTSIDE_WINDOW,
        BlockReason.INEFFECTIVE,
    }
)
"""These end with an edit or at their time; the others end when something changes that nobody tells us of."""


def phase_of(case: Case) -> Phase:
    """Say where the policy stands."""
    status = case.status
    is_blocked = status.blocked is not None and status.blocked.reason != BlockReason.COOLING_DOWN
    if status.attempt and status.attempt.phase is AttemptPhase.VERIFYING:
        return Phase.VERIFYING
    if is_blocked:
        return Phase.BLOCKED
    if status.attempt:
        return Phase.ACTING
    if status.escalated and status.escalated.is_last:
        return Phase.ESCALATED
    if _awaits_approval(status):
        return Phase.AWAITING_APPROVAL
    if status.cooldown_until:
        return Phase.COOLING_DOWN
    return Phase.PENDING if firing(case) else Phase.IDLE


def _awaits_approval(status: RecoveryPolicyStatus) -> bool:
    return status.plan is not None and status.plan.state is PlanState.AWAITING_APPROVAL


def shown(case: Case) -> RecoveryPolicyStatus:
    """Give the status as it is written: phase, target and conditions follow from the rest."""
    target = case.spec.target
    return case.status.model_copy(
        update={
            "phase": phase_of(case),
            "target": f"{target.kind.value}/{target.name or (case.status.focus.name if case.status.focus else '*')}",
            "observed_generation": case.seen.generation,
            "conditions": _conditions(case),
        }
    )


def blocked_events(before: RecoveryPolicyStatus, case: Case) -> tuple[Event, ...]:
    """R15: tell of a refusal when it begins, on the policy and on its target, and not again while it lasts.

    That a policy which was just made has no data yet is nobody's alarm, and none of the target's business.
    """
    new, old = case.status.blocked, before.blocked
    if new is None or (old is not None and old.reason == new.reason):
        return ()
    is_new = before.observed_generation < 0 and new.reason == BlockReason.SIGNAL_MISSING
    kind = EventType.NORMAL if new.reason in _TIMED or is_new else EventType.WARNING
    told = Event("Blocked", f"{new.reason}: {new.message}", kind, "Recover")
    target = case.seen.target
    if target is None or is_new:
        return (told,)
    note = f"RecoveryPolicy {case.seen.ref.name} does nothing: {new.reason}: {new.message}"
    return told, Event("RecoveryBlocked", note, kind, "Recover", about=target.ref)


def next_look(case: Case) -> datetime | None:
    """Say when to look again: the earliest of all that comes by itself, always later than now."""
    times = [time for time in _times(case) if time > case.now]
    return max(min(times), case.now + SOONEST) if times else None


def _times(case: Case) -> Iterator[datetime]:
    status, now = case.status, case.now
    yield from (time for time in (status.retry_at, status.cooldown_until, next_call(case)) if time)
    yield from (due_at(case.spec, signal) for signal in firing(case))
    yield from aging(case)
    yield from escalation.ends(case)
    yield from turns_due(case)
    if status.plan and status.plan.state in _KEPT_UP:
        yield status.plan.expires_at
    if status.attempt:
        yield from (status.attempt.deadline, now + (POLL if _is_waiting(case) else OPEN_LOOK))
    if status.blocked and status.blocked.until:
        yield status.blocked.until
    if status.proof:
        yield status.proof.at + PROOF_LASTS
    if _must_poll(case):
        yield now + POLL


def _is_waiting(case: Case) -> bool:
    return case.status.blocked is not None and any(
        entry.phase is TargetPhase.INTENDED for entry in case.status.in_flight
    )


def _must_poll(case: Case) -> bool:
    """Whether something matters now that does not wake us: pods, gates on the target, a lock still to be freed."""
    blocked, lock = case.status.blocked, case.seen.lock
    return (
        (case.status.plan is not None and case.status.plan.state in _KEPT_UP)
        or any(trigger.name in POLLED for trigger in case.spec.triggers)
        or (blocked is not None and blocked.reason not in _TIMED)
        or (lock is not None and lock.holder.uid == case.seen.ref.uid)
    )


# --- conditions -----------------------------------------------------------------------------------------


def _conditions(case: Case) -> tuple[Condition, ...]:
    conditions = case.status.conditions
    for type_, (is_true, reason, message) in {
        "Ready": _ready(case),
        "Acting": _acting(case),
        "Blocked": _blocked(case),
        "Escalated": _escalated(case),
        "Proven": _proven(case),
    }.items():
        status = ConditionStatus.TRUE if is_true else ConditionStatus.FALSE
        conditions = set_condition(conditions, type_, status, reason, message, case.seen.generation, case.now)
    if case.seen.target is not None:
        is_true, reason, message = _git_owned(case)
        status = ConditionStatus.TRUE if is_true else ConditionStatus.FALSE
        conditions = set_condition(conditions, "GitOwned", status, reason, message, case.seen.generation, case.now)
    for type_, (standing, reason, message) in standings(case).items():
        conditions = set_condition(conditions, type_, standing, reason, message, case.seen.generation, case.now)
    return stalled(conditions, STALLING, case.now)


def _ready(case: Case) -> Said:
    return (False, *case.seen.problem) if case.seen.problem else (True, "Accepted", "Evaluated.")


def _acting(case: Case) -> Said:
    attempt = case.status.attempt
    if attempt is None:
        return False, "NoAttempt", "No attempt is under way."
    return True, attempt.phase.value, f"Step {attempt.step} ({attempt.name}) is under way."


def _blocked(case: Case) -> Said:
    blocked = case.status.blocked
    if blocked is None:
        return False, "NotBlocked", "Nothing stands against acting."
    return True, blocked.reason or "Unknown", blocked.message


def _escalated(case: Case) -> Said:
    escalated = case.status.escalated
    other = next((entry for entry in case.status.targets if entry.escalated), None)
    if escalated is not None:
        return True, escalated.severity.value, escalated.summary
    if other is not None and other.escalated is not None:
        return True, other.escalated.severity.value, f"{other.kind} {other.name}: {other.escalated.summary}"
    return False, "NotEscalated", "No human is needed."


def _git_owned(case: Case) -> Said:
    """Warn of steps whose change will be taken back from Git."""
    warning = gitops.warning(case)
    if not warning:
        return False, "NothingOwned", "No step writes a field that a Git repository owns."
    return True, "WillBeReverted", warning


def _proven(case: Case) -> Said:
    proof = case.status.proof
    if proof is None:
        return False, "NeverProven", "No drill has been held."
    if proof.verdict != "Passed":
        return False, "DrillNotPassed", f"The last drill was {proof.experiment}: {proof.verdict}."
    if case.now >= proof.at + PROOF_LASTS:
        return False, "Stale", f"The last drill, {proof.experiment}, is more than 30 days ago."
    return True, "DrillPassed", f"The last drill was {proof.experiment}."
