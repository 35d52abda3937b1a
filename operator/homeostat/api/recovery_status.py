"""What a RecoveryPolicy shows, and all it must remember: the control state of recovery is this status."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from homeostat.api.meta import GoDuration, ListMap, Model, ObjectName, Percent, PreciseTime, Status
from homeostat.api.recovery_attempt import (
    Attempt,
    AttemptRecord,
    Change,
    InFlight,
    ObjectId,
    Sentence,
    Uid,
    Word,
)
from homeostat.api.recovery_decision import DecisionRecord, Escalation, ManualRun, PlanStatus

MOST_RECORDS = 10
MOST_UNDELIVERED = 8
Rejection = Annotated[str, Field(max_length=320)]


class Phase(StrEnum):
    """Where a RecoveryPolicy stands."""

    IDLE = "Idle"
    PENDING = "Pending"  # a trigger fires, but not yet for long enough
    AWAITING_APPROVAL = "AwaitingApproval"
    ACTING = "Acting"
    VERIFYING = "Verifying"  # acted; waiting for the trigger to stay quiet
    COOLING_DOWN = "CoolingDown"
    BLOCKED = "Blocked"  # it wants to act, and says why it does not
    ESCALATED = "Escalated"  # a human was told


class SignalState(StrEnum):
    """What a trigger says."""

    FIRING = "Firing"
    QUIET = "Quiet"
    UNKNOWN = "Unknown"  # there is no data
    STALE = "Stale"  # the data is too old to act on


class Signal(Model):
    """What one trigger says."""

    trigger: Annotated[int, Field(ge=0, le=15)]
    """Index of the trigger in spec.triggers."""
    state: SignalState
    """Firing, Quiet, Unknown or Stale."""
    since: PreciseTime
    """When this state began."""
    observed_at: PreciseTime | None = None
    """Of an alert: when Alertmanager last told of it, which outlives a restart."""
    turns: Annotated[tuple[PreciseTime, ...], Field(max_length=20)] = ()
    """When it last changed between firing and quiet, oldest first."""


class Blocked(Model):
    """Why nothing is done although something should be."""

    reason: Word
    """A CamelCase word for machines."""
    since: PreciseTime
    """When this reason began to hold."""
    until: PreciseTime | None = None
    """When it ends, where that is known."""
    message: Sentence = ""
    """A sentence for humans."""


class BudgetStatus(Model):
    """The policy's own budget of actions."""

    used: Annotated[int, Field(ge=0)] = 0
    """Actions put on record since the period began."""
    of: Annotated[int, Field(ge=0)] = 0
    """Actions allowed in a period."""
    resets_at: PreciseTime | None = None
    """When the period ends; absent while none was used."""


class RecoveryStats(Model):
    """How well recovery works, over all attempts that acted."""

    attempts: Annotated[int, Field(ge=0)] = 0
    """Attempts that acted and are over."""
    recovered: Annotated[int, Field(ge=0)] = 0
    """Attempts after which the trigger stayed quiet."""
    success_rate: Percent | None = None
    """Share of the attempts that recovered."""
    mean_time_to_recover: GoDuration | None = None
    """Mean time from detection to recovery."""


class TargetMemory(Model):
    """What a policy with a selector remembers of one of its targets, while another is in focus."""

    kind: Word
    """Kind of the target."""
    name: ObjectName
    """Name of the target."""
    uid: Uid
    """The incarnation."""
    next_step: Annotated[int, Field(ge=0, le=16)] = 0
    """Index of the step to try next."""
    signals: Annotated[tuple[Signal, ...], Field(max_length=16)] = ()
    """What the triggers say of it, as far as they do not all say that it is well."""
    retry_at: PreciseTime | None = None
    """What was refused or lost is not asked for again before this time."""
    tried: Annotated[tuple[Annotated[int, Field(ge=0, le=15)], ...], Field(max_length=16)] = ()
    """Steps that were tried since its trigger began to fire."""
    tries: Annotated[int, Field(ge=0)] = 0
    """How many times the step that is due was tried before."""
    cooldown_until: PreciseTime | None = None
    """No new attempt before this time."""
    returns: Annotated[tuple[PreciseTime, ...], Field(max_length=20)] = ()
    """When it recovered, or was set back by another writer: it is here again after each."""
    changes: Annotated[tuple[Change, ...], Field(max_length=16)] = ()
    """What was changed since its trigger began to fire, and can be put back."""
    escalated: Escalation | None = None
    """Whether and why a human was told."""
    rejected: Rejection = ""
    """Who rejected which plan since its trigger began to fire."""


class Proof(Model):
    """The last drill of this policy."""

    experiment: ObjectName
    """Name of the ChaosExperiment."""
    at: PreciseTime
    """When it ended."""
    verdict: Word
    """Passed, Failed, Aborted or Inconclusive."""
    time_to_recover: GoDuration | None = None
    """From the fault to recovery."""


class RecoveryPolicyStatus(Status):
    """Where the policy stands, what it remembers, and how well it works."""

    phase: Phase = Phase.IDLE
    """Where the policy stands."""
    target: Annotated[str, Field(max_length=320)] = ""
    """The target, in short."""
    next_step: Annotated[int, Field(ge=0, le=16)] = 0
    """Index of the step to try next; 0 again once the trigger is quiet."""
    tried: Annotated[tuple[Annotated[int, Field(ge=0, le=15)], ...], Field(max_length=16)] = ()
    """Steps that were tried since the trigger began to fire."""
    tries: Annotated[int, Field(ge=0)] = 0
    """How many times the step that is due was tried before."""
    returns: Annotated[tuple[PreciseTime, ...], Field(max_length=20)] = ()
    """When the target recovered, or was set back by another writer: it is here again after each."""
    changes: Annotated[tuple[Change, ...], Field(max_length=16), ListMap("id")] = ()
    """What was changed since the trigger began to fire, and can be put back."""
    focus: ObjectId | None = None
    """Of a policy with a selector: the target that all of this is about."""
    targets: Annotated[tuple[TargetMemory, ...], Field(max_length=64), ListMap("uid")] = ()
    """Of a policy with a selector: what is remembered of its other targets."""
    decision: DecisionRecord | None = None
    """The newest decision on a trigger that fires."""
    plan: PlanStatus | None = None
    """The plan that a human is shown."""
    rejected: Rejection = ""
    """Who rejected which plan since the trigger began to fire: nothing is asked again before it was quiet."""
    run: ManualRun | None = None
    """The newest manual run."""
    storm_until: PreciseTime | None = None
    """Too many policies wanted to act at once: nothing is begun before this time."""
    signals: Annotated[tuple[Signal, ...], Field(max_length=16), ListMap("trigger")] = ()
    """What the triggers say."""
    attempt: Attempt | None = None
    """The attempt under way."""
    in_flight: Annotated[tuple[InFlight, ...], Field(max_length=256), ListMap("id")] = ()
    """Actions of the attempt under way."""
    blocked: Blocked | None = None
    """Why nothing is done although something should be."""
    retry_at: PreciseTime | None = None
    """What was refused or lost is not asked for again before this time."""
    cooldown_until: PreciseTime | None = None
    """No new attempt before this time."""
    budget: BudgetStatus = BudgetStatus()
    """The policy's own budget of actions."""
    escalated: Escalation | None = None
    """Whether and why a human was told."""
    undelivered: Annotated[tuple[Escalation, ...], Field(max_length=MOST_UNDELIVERED)] = ()
    """Escalations whose webhook has not said yes, and is called again: whatever has become of the trigger since."""
    last: Annotated[tuple[AttemptRecord, ...], Field(max_length=MOST_RECORDS)] = ()
    """Attempts that are over, newest first."""
    last_outcome: Annotated[str, Field(max_length=32)] = ""
    """Outcome of the newest attempt."""
    stats: RecoveryStats = RecoveryStats()
    """How well recovery works."""
    proof: Proof | None = None
    """The last drill of this policy."""
