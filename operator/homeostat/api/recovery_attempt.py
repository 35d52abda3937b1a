"""An attempt of a RecoveryPolicy on record: under way, each of its actions, and when it is over."""

from datetime import timedelta
from enum import StrEnum
from typing import Annotated

from pydantic import BeforeValidator, Field

from homeostat.api.meta import GoDuration, Model, ObjectName, PreciseTime
from homeostat.api.recovery_step import FreeForm

Word = Annotated[str, Field(max_length=63, pattern=r"^([A-Za-z][A-Za-z0-9]*)?$")]
Id = Annotated[str, Field(min_length=1, max_length=63, pattern=r"^[A-Za-z0-9]([-A-Za-z0-9]*[A-Za-z0-9])?$")]
Uid = Annotated[str, Field(max_length=64)]
Sentence = Annotated[str, Field(max_length=1024)]
Name = Annotated[str, Field(max_length=256)]
"""Who did something, as the API server knows them."""
GateName = Annotated[str, Field(max_length=63, pattern=r"^([a-z][a-z_]*)?$")]
"""A gate of the chain, in the words of `core.recovery.gates.chain`: `cooling_down`."""
Hash = Annotated[str, Field(max_length=16, pattern=r"^[0-9a-f]*$")]


class Outcome(StrEnum):
    """How an attempt ended."""

    RECOVERED = "Recovered"  # the trigger stayed quiet for as long as verification asks
    FAILED = "Failed"  # the trigger still fired at the deadline
    UNVERIFIED = "Unverified"  # at the deadline too little was known to tell
    NOT_STARTED = "NotStarted"  # nothing was done
    WOULD_DO = "WouldDo"  # mode Observe: nothing was done, on purpose
    SUGGESTED = "Suggested"  # mode Suggest: a plan was shown
    ESCALATED = "Escalated"  # a human was told


class AttemptPhase(StrEnum):
    """Where an attempt stands."""

    ACTING = "Acting"
    VERIFYING = "Verifying"
    UNDOING = "Undoing"


class ActionName(StrEnum):
    """What is done to one target; to take it back is the same action with `undoes` set."""

    EVICT_POD = "EvictPod"
    RESTART_ROLLOUT = "RestartRollout"
    SCALE = "Scale"
    UNDO_ROLLOUT = "UndoRollout"
    PATCH = "Patch"
    CORDON = "Cordon"
    RESIZE_POD = "ResizePod"
    RUN_JOB = "RunJob"
    CALL_WEBHOOK = "CallWebhook"


class TargetPhase(StrEnum):
    """What is known of one action."""

    INTENDED = "Intended"  # on record; whether it happened is seen from the cluster, or it is asked for again
    DONE = "Done"


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
    try_: Annotated[int, Field(ge=0, le=10, alias="try")] = 0
    """How many times the step was tried before, in this sequence."""
    approved_by: Name = ""
    """Who approved its plan."""
    requested_by: Name = ""
    """Who asked for it by hand."""
    overridden: Annotated[tuple[GateName, ...], Field(max_length=32)] = ()
    """Gates that were overridden by hand."""
    override_reason: Annotated[str, Field(max_length=256)] = ""
    """Why they were."""


def _with_name(value: object) -> object:
    """Read a bare number of replicas, as statuses had it before other actions came, as the object it is now."""
    return {"replicas": value} if isinstance(value, int) and not isinstance(value, bool) else value


Values = Annotated[FreeForm, BeforeValidator(_with_name)]


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
    workload: ObjectId | None = None
    """The object that is locked for it, where that is not the attempt's own target."""
    original: Values | None = None
    """What was there before, to go back to: {replicas: 2}."""
    desired: Values | None = None
    """What is meant to be: {replicas: 3}."""
    undoes: Annotated[str, Field(max_length=63)] = ""
    """The action that this one takes back."""
    started_at: PreciseTime
    """When it was put on record."""
    deadline: PreciseTime
    """After this time it is not asked for again."""
    phase: TargetPhase = TargetPhase.INTENDED
    """Intended or Done."""
    has_token: bool = False
    """Whether it holds a token of the cluster-wide budget."""


class Change(Model):
    """Something that a step changed and that can be put back."""

    id: Id
    """Name of the action."""
    action: ActionName
    """What was done."""
    target: ObjectId
    """What it was done to."""
    original: FreeForm
    """What was there before."""
    desired: FreeForm
    """What was put in its place: it is put back only while that stands."""


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
    cause: Annotated[str, Field(max_length=320)] = ""
    """What triggered it: `healthCheck checkout`."""
    began_at: PreciseTime | None = None
    """When the first sign was seen, before the trigger fired, where its source tells."""
    approved_by: Name = ""
    """Who approved its plan."""
    requested_by: Name = ""
    """Who asked for it by hand."""
    overridden: Annotated[tuple[GateName, ...], Field(max_length=32)] = ()
    """Gates that were overridden by hand."""
    override_reason: Annotated[str, Field(max_length=256)] = ""
    """Why they were."""


def milliseconds(value: timedelta) -> timedelta:
    """Cut a duration to what a status can hold."""
    return timedelta(milliseconds=value // timedelta(milliseconds=1))
