"""What a RecoveryPolicy decided and tells humans: the decision, a plan to approve, a run by hand, an escalation."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from homeostat.api.meta import Model, PreciseTime
from homeostat.api.recovery_attempt import Hash, Id, Name, ObjectId, Sentence, Word
from homeostat.api.recovery_step import Severity


class Verdict(StrEnum):
    """What a decision came to."""

    ACT = "Act"
    WOULD_ACT = "WouldAct"  # mode Observe
    SUGGEST = "Suggest"
    AWAIT_APPROVAL = "AwaitApproval"
    ESCALATE = "Escalate"
    REFUSE = "Refuse"
    WAIT = "Wait"  # `for` is not over


class DecisionRecord(Model):
    """The newest decision on a trigger that fires: the chain of gates was passed, or ended at one."""

    id: Id
    """Name of the decision."""
    at: PreciseTime
    """When it was first so."""
    trigger: Annotated[int, Field(ge=0, le=15)]
    """Index of the trigger in spec.triggers."""
    step: Annotated[int, Field(ge=0, le=16)]
    """Index of the step in spec.steps."""
    name: Word = ""
    """The step's name."""
    target: Annotated[str, Field(max_length=320)] = ""
    """The target, in short."""
    verdict: Verdict
    """What it came to."""
    does: Annotated[str, Field(max_length=512)] = ""
    """What is, or would be, done next."""
    gate: Word = ""
    """The gate that refused; empty when all were passed."""
    reason: Word = ""
    """Why it refused."""
    message: Sentence = ""
    """Why it refused, for humans."""
    overridden: Annotated[tuple[Word, ...], Field(max_length=32)] = ()
    """Gates that refused and were overridden by hand."""


class PlanState(StrEnum):
    """Where a plan stands."""

    SUGGESTED = "Suggested"
    AWAITING_APPROVAL = "AwaitingApproval"
    APPROVED = "Approved"
    REJECTED = "Rejected"


class PlanStatus(Model):
    """A plan that a human is shown: what would be done to which incarnation. A changed plan has another hash."""

    hash: Hash
    """What an approval names."""
    step: Annotated[int, Field(ge=0, le=15)]
    """Index of the step in spec.steps."""
    name: Word
    """The step's name."""
    trigger: Annotated[int, Field(ge=0, le=15)]
    """Index of the trigger in spec.triggers."""
    target: ObjectId
    """The target."""
    does: Annotated[tuple[Annotated[str, Field(max_length=512)], ...], Field(max_length=16)] = ()
    """What would be done: `EvictPod checkout-1`."""
    state: PlanState
    """Where it stands."""
    created_at: PreciseTime
    """When it was made."""
    expires_at: PreciseTime
    """Until when it, and an approval of it, holds."""
    by: Name = ""
    """Who approved or rejected it, as the API server knows them."""
    is_verified: bool = False
    """Whether the API server vouches for that name."""


class RunState(StrEnum):
    """What became of a manual run."""

    ACCEPTED = "Accepted"
    REFUSED = "Refused"


class ManualRun(Model):
    """The newest manual run that was asked for."""

    id: Id
    """Name of the run: it is done once."""
    step: Word
    """The step that was asked for."""
    by: Name = ""
    """Who asked, as the API server knows them."""
    is_verified: bool = False
    """Whether the API server vouches for that name."""
    reason: Annotated[str, Field(max_length=256)] = ""
    """Why, in their words."""
    override: Annotated[tuple[Word, ...], Field(max_length=32)] = ()
    """Gates that were to be overridden."""
    state: RunState
    """What became of it."""
    message: Sentence = ""
    """Why it was refused."""
    at: PreciseTime
    """When it was seen."""


class Delivery(StrEnum):
    """What became of the webhook of an escalation."""

    PENDING = "Pending"
    DELIVERED = "Delivered"
    FAILED = "Failed"  # given up


class Escalation(Model):
    """A human was told."""

    id: Annotated[str, Field(max_length=63)] = ""
    """Name of the escalation."""
    since: PreciseTime
    """When."""
    severity: Severity
    """How much the human should hurry."""
    reason: Word = ""
    """Why: StepsExhausted, Ineffective, Flapping, TooManyUnhealthy, Storm."""
    summary: Annotated[str, Field(max_length=256)] = ""
    """What is the matter."""
    tried: Annotated[tuple[Annotated[str, Field(max_length=256)], ...], Field(max_length=10)] = ()
    """What was tried before, oldest first."""
    webhook: Delivery | None = None
    """What became of its webhook, where there is one."""
    deliveries: Annotated[int, Field(ge=0)] = 0
    """How many times it was called."""
