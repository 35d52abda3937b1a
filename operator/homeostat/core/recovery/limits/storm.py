"""R5: when many policies want to act at once, the fault is not one of single targets, and none of them begins.

The shell counts (engine/recovery/storm.py); what counts, and for how long a storm holds, is decided here.
"""

from dataclasses import dataclass
from datetime import datetime

from homeostat.api.recovery import Mode, RecoveryPolicySpec
from homeostat.api.recovery_decision import Escalation
from homeostat.api.recovery_status import RecoveryPolicyStatus, SignalState
from homeostat.core.recovery.reasons import BlockReason
from homeostat.core.recovery.seen import Case, Storm

REASON = BlockReason.STORM.value

_HELD_BY_US = frozenset(
    {
        BlockReason.STORM,
        BlockReason.COOLING_DOWN,
        BlockReason.IN_FLIGHT,
        BlockReason.ROLLOUT_IN_PROGRESS,
        BlockReason.TOO_MANY_UNHEALTHY,
        BlockReason.BUDGET_SPENT,
        BlockReason.CLUSTER_BUDGET_SPENT,
        BlockReason.POD_DISRUPTION_BUDGET,
        BlockReason.TARGET_CHANGED,
        BlockReason.REFUSED,
        BlockReason.API_UNAVAILABLE,
    }
)
"""Refusals of a policy that would act but for its limits. Others say that the cause is elsewhere, that nothing is to be
done, or that nobody knows: such a policy wants nothing, and makes no storm."""


@dataclass(frozen=True, slots=True)
class Wanting:
    """A policy that wants to act from `since` on; `is_free`: no attempt of it is under way."""

    since: datetime
    is_free: bool


def wanting(spec: RecoveryPolicySpec, status: RecoveryPolicyStatus) -> Wanting | None:
    """Say from when on a policy wants to act, by what is written of it; None when it does not."""
    if spec.suspend or spec.mode not in {Mode.AUTO, Mode.APPROVE} or _is_at_its_end(status.escalated):
        return None
    if status.blocked and status.blocked.reason not in _HELD_BY_US:
        return None
    fors = {index: trigger.for_ for index, trigger in enumerate(spec.triggers)}
    firing = (signal for signal in status.signals if signal.state is SignalState.FIRING)
    due = [signal.since + fors[signal.trigger] for signal in firing if signal.trigger in fors]
    return Wanting(min(due), is_free=status.attempt is None) if due else None


def told_until(status: RecoveryPolicyStatus) -> datetime | None:
    """Say until when a storm holds that a policy has told a human of; None when it has not."""
    is_told = status.escalated is not None and REASON in status.escalated.reasons
    return status.storm_until if is_told else None


def is_storm(storm: Storm) -> bool:
    """Whether more want to act than may."""
    return storm.wanting > storm.limit


def held_until(case: Case) -> datetime | None:
    """Say until when nothing is begun: from the last time that it stormed on. In steps, so that not every look writes.

    Only those that want to act hold on, and the one that told a human of it.
    """
    known, hold, now = case.status.storm_until, case.seen.storm.hold, case.now
    ends = min(known, now + hold) if known and known > now else None
    if not is_storm(case.seen.storm) or not _is_concerned(case):
        return ends
    return ends if ends and ends - now > hold * 0.9 else now + hold


def _is_concerned(case: Case) -> bool:
    """Say so whatever held it until now: what is let go in the middle of a storm must not begin."""
    wants = wanting(case.spec, case.status.model_copy(update={"blocked": None}))
    is_told = case.status.escalated is not None and REASON in case.status.escalated.reasons
    is_one_that_acts = case.spec.mode in {Mode.AUTO, Mode.APPROVE}
    return (is_told and is_one_that_acts) or (wants is not None and wants.since <= case.now)


def _is_at_its_end(escalated: Escalation | None) -> bool:
    return escalated is not None and escalated.is_last
