"""What a RecoveryPolicy shows, and all it must remember: the control state of recovery is this status."""

from datetime import timedelta
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from homeostat.api.meta import GoDuration, ListMap, Model, ObjectName, Percent, PreciseTime, Status
from homeostat.api.recovery_step import Severity

Word = Annotated[str, Field(max_length=63, pattern=r"^([A-Za-z][A-Za-z0-9]*)?$")]
Id = Annotated[str, Field(min_length=1, max_length=63, pattern=r"^[A-Za-z0-9]([-A-Za-z0-9]*[A-Za-z0-9])?$")]
Uid = Annotated[str, Field(max_length=64)]
Sentence = Annotated[str, Field(max_length=1024)]


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


class Outcome(StrEnum):
    """How an attempt ended."""

    RECOVERED = "Recovered"  # the trigger stayed quiet for as long as verification asks
    FAILED = "Failed"  # the trigger still fired at the deadline
    UNVERIFIED = "Unverified"  # at the deadline too little was known to tell
    NOT_STARTED = "NotStarted"  # nothing was done
    WOULD_DO = "WouldDo"  # mode Observe: nothing was done, on purpose
    ESCALATED = "Escalated"  # a human was told


class AttemptPhase(StrEnum):
    """Where an attempt stands."""

    ACTING = "Acting"
    VERIFYING = "Verifying"
    UNDOING = "Undoing"


class ActionName(StrEnum):
    """What is done to one target."""

    EVICT_POD = "EvictPod"
    RESTART_ROLLOUT = "RestartRollout"
    SCALE = "Scale"
    UNDO_SCALE = "UndoScale"


class TargetPhase(StrEnum):
    """What is known of one action."""

    INTENDED = "Intended"  # on record; whether it happened is seen from the cluster, or it is asked for again
    DONE = "Done"


class Signal(Model):
    """What one trigger says."""

    trigger: Annotated[int, Field(ge=0, le=15)]
    """Index of the trigger in spec.triggers."""
    state: SignalState
    """Firing, Quiet, Unknown or Stale."""
    since: PreciseTime
    """When this state began."""


class ObjectId(Model):
    """An object in one incarnation."""

    kind: Word
    """Kind of the object."""
    name: ObjectName
    """Name of the object, in the same namespace."""
    uid: Uid
    """The incarnation."""


class Attempt(Model):
    """The attempt under way, from its intent to its verification."""

    id: Id
    """Name of the attempt."""
    step: Annotated[int, Field(ge=0, le=15)]
    """Index of the step in spec.steps."""
    name: Word
    """The step's name."""
    trigger: Annotated[int, Field(ge=0, le=15)]
    """Index of the trigger in spec.triggers."""
    phase: AttemptPhase
    """Acting, Verifying or Undoing."""
    workload: ObjectId
    """The target."""
    detected_at: PreciseTime
    """When the trigger began to fire."""
    started_at: PreciseTime
    """When the intent was put on record."""
    acted_at: PreciseTime | None = None
    """When the first action was known to be done."""
    verify_from: PreciseTime | None = None
    """When verification began, before its stabilisation time."""
    deadline: PreciseTime
    """When the present phase ends at the latest."""


class InFlight(Model):
    """One action, put on record before it happens."""

    id: Id
    """Name of the action; repeated under this name, it happens once."""
    target: ObjectId
    """What it is done to."""
    resource_version: Annotated[str, Field(max_length=64)] = ""
    """The version of the target that the decision was made on."""
    step: Annotated[int, Field(ge=0, le=15)]
    """Index of the step in spec.steps."""
    action: ActionName
    """What is done."""
    original: Annotated[int | None, Field(ge=0)] = None
    """Replicas before, to go back to."""
    desired: Annotated[int | None, Field(ge=0)] = None
    """Replicas meant to be."""
    started_at: PreciseTime
    """When it was put on record."""
    deadline: PreciseTime
    """After this time it is not asked for again."""
    phase: TargetPhase = TargetPhase.INTENDED
    """Intended or Done."""
    has_token: bool = False
    """Whether it holds a token of the cluster-wide budget."""


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


class AttemptRecord(Model):
    """One attempt that is over."""

    id: Id
    """Name of the attempt."""
    step: Annotated[int, Field(ge=0, le=15)]
    """Index of the step in spec.steps."""
    name: Word
    """The step's name."""
    trigger: Annotated[int, Field(ge=0, le=15)]
    """Index of the trigger in spec.triggers."""
    targets: Annotated[tuple[Annotated[str, Field(max_length=512)], ...], Field(max_length=10)] = ()
    """What was done, or would have been, at most ten: `EvictPod checkout-1`."""
    detected_at: PreciseTime
    """When the trigger began to fire."""
    started_at: PreciseTime
    """When the intent was put on record."""
    acted_at: PreciseTime | None = None
    """When the first action was known to be done."""
    recovered_at: PreciseTime | None = None
    """When the trigger went quiet to stay so."""
    ended_at: PreciseTime
    """When the outcome was known."""
    outcome: Outcome
    """How it ended."""
    reason: Word = ""
    """Why it ended so, where the outcome does not say it all."""
    undone: bool = False
    """Whether the step was taken back."""
    took: GoDuration | None = None
    """From detection to recovery."""


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


class Escalation(Model):
    """A human was told."""

    since: PreciseTime
    """When."""
    severity: Severity
    """How much the human should hurry."""
    summary: Annotated[str, Field(max_length=256)] = ""
    """What is the matter."""


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


MOST_RECORDS = 10


class RecoveryPolicyStatus(Status):
    """Where the policy stands, what it remembers, and how well it works."""

    phase: Phase = Phase.IDLE
    """Where the policy stands."""
    target: Annotated[str, Field(max_length=320)] = ""
    """The target, in short."""
    next_step: Annotated[int, Field(ge=0, le=16)] = 0
    """Index of the step to try next; 0 again once the trigger is quiet."""
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
    last: Annotated[tuple[AttemptRecord, ...], Field(max_length=MOST_RECORDS)] = ()
    """Attempts that are over, newest first."""
    last_outcome: Annotated[str, Field(max_length=32)] = ""
    """Outcome of the newest attempt."""
    stats: RecoveryStats = RecoveryStats()
    """How well recovery works."""
    proof: Proof | None = None
    """The last drill of this policy."""


def milliseconds(value: timedelta) -> timedelta:
    """Cut a duration to what a status can hold."""
    return timedelta(milliseconds=value // timedelta(milliseconds=1))
