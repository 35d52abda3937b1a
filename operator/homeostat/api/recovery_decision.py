"""What a RecoveryPolicy decided and tells humans: the decision, a plan to approve, a run by hand, an escalation."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from homeostat.api.meta import Model, PreciseTime
from homeostat.api.recovery_attempt import GateName, Hash, Id, Name, ObjectId, Sentence, Word
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
    gate: GateName = ""
    """The gate that refused; empty when all were passed."""
    reason: Word = ""
    """Why it refused."""
    message: Sentence = ""
    """Why it refused, for humans."""
    overridden: Annotated[tuple[GateName, ...], Field(max_length=32)] = ()
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
    refused: Annotated[str, Field(max_length=64)] = ""
    """The approval that was refused last: of another plan, or too late."""
    why_refused: Word = ""
    """Why: Expired, PlanChanged, OtherPlan, NotAwaited."""


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
    override: Annotated[tuple[GateName, ...], Field(max_length=32)] = ()
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


class EscalationReason(StrEnum):
    """Why a human is told. But for the first, the policy goes on once what stands against acting has passed."""

    STEPS_EXHAUSTED = "StepsExhausted"  # all steps were tried: nothing more is done until the trigger is quiet
    INEFFECTIVE = "Ineffective"  # the target falls back again and again
    FLAPPING = "Flapping"  # the trigger comes and goes
    TOO_MANY_UNHEALTHY = "TooManyUnhealthy"  # more is unhealthy than maxUnhealthy allows to treat
    STORM = "Storm"  # many policies want to act at once


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
    reasons: Annotated[tuple[Word, ...], Field(max_length=8)] = ()
    """All reasons for which a human was told since the trigger began to fire, this one included: each but once."""
    summary: Annotated[str, Field(max_length=256)] = ""
    """What is the matter."""
    target: Annotated[str, Field(max_length=320)] = ""
    """What it is about, like Deployment/checkout."""
    cause: Annotated[str, Field(max_length=320)] = ""
    """What triggered it."""
    tried: Annotated[tuple[Annotated[str, Field(max_length=256)], ...], Field(max_length=10)] = ()
    """What was tried before, oldest first."""
    webhook: Delivery | None = None
    """What became of its webhook, where there is one."""
    deliveries: Annotated[int, Field(ge=0)] = 0
    """How many times it was called."""
    experiment: Annotated[str | None, Field(max_length=253)] = None
    """The ChaosExperiment that was a drill of this policy just then."""

    @property
    def is_last(self) -> bool:
        """Whether nothing more is done until the trigger is quiet: all that there was to do was tried."""
        return self.reason in {"", EscalationReason.STEPS_EXHAUSTED.value}
