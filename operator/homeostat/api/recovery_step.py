"""What a RecoveryPolicy may do: a tagged union of steps, of which each sets one member."""

from collections.abc import Sequence
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Any, ClassVar

from pydantic import Field, WithJsonSchema

from homeostat.api.meta import GoDuration, Later, Model, Rule, SecretKeyRef, between, exactly_one

FreeForm = Annotated[dict[str, Any], WithJsonSchema({"type": "object", "x-kubernetes-preserve-unknown-fields": True})]
"""A piece of another object, as Kubernetes writes it."""


class Which(StrEnum):
    """Which pods of the target a step means."""

    FAILING = "Failing"  # those that make the trigger fire
    ALL = "All"


class RestartPods(Model):
    """Evict pods one by one through the Eviction API, so that their workload replaces them."""

    which: Which = Which.FAILING
    """Which pods: those that make the trigger fire, or all of the target that are older than the attempt."""


class RolloutRestart(Model):
    """Roll all pods of the workload, as `kubectl rollout restart` does."""


class ScaleUp(Model):
    """Raise the number of replicas; never lowers it."""

    rules: ClassVar[Sequence[Rule]] = (
        exactly_one("by", "to", what="scale"),
        Rule("!has(self.to) || !has(self.max) || self.to <= self.max", "scale: to must not be above max"),
    )

    by: Annotated[str | None, Field(max_length=6, pattern=r"^\+([1-9][0-9]{0,3}|[1-9][0-9]{0,2}%)$")] = None
    """How many replicas to add: a count like +1, or a share of what there is like +50%, rounded down."""
    to: Annotated[int | None, Field(ge=1, le=10000)] = None
    """How many replicas to have; a target that has as many or more is left alone."""
    max: Annotated[int | None, Field(ge=1, le=10000)] = None
    """Never go above this many replicas."""


class RolloutUndo(Model):
    """Go back to the workload's revision before this one."""


class EvictPods(Model):
    """Evict pods so that they are scheduled anew."""

    which: Which = Which.FAILING
    """Which pods."""


class Cordon(Model):
    """Mark a Node unschedulable."""


class Drain(Model):
    """Cordon a Node and evict its pods."""


class PatchType(StrEnum):
    """How a patch is applied."""

    MERGE = "Merge"
    JSON = "Json"


class PatchTarget(Model):
    """Change the target by a patch."""

    type: PatchType = PatchType.MERGE
    """How the patch is applied."""
    patch: FreeForm
    """The patch."""


class RunJob(Model):
    """Run a Job; exit code 0 means done."""

    template: FreeForm
    """The Job's spec.template."""


class CallWebhook(Model):
    """Call a URL; a 2xx answer means done."""

    url: Annotated[str, Field(min_length=8, max_length=2048, pattern=r"^https?://[^\s@]+$")]
    """Where to POST the attempt as JSON."""
    secret_ref: SecretKeyRef | None = None
    """The key that signs the request."""


class Severity(StrEnum):
    """How much a human should hurry."""

    CRITICAL = "Critical"
    HIGH = "High"
    MEDIUM = "Medium"
    LOW = "Low"


class Escalate(Model):
    """Tell a human: a Warning event and the condition Escalated, until the trigger is quiet again."""

    severity: Severity = Severity.CRITICAL
    """How much a human should hurry."""
    summary: Annotated[str, Field(max_length=256)] = ""
    """One sentence for the human."""


class Approval(StrEnum):
    """Whether a human must agree first."""

    NOT_REQUIRED = "NotRequired"
    REQUIRED = "Required"


STEP_NAMES = (
    "restartPods",
    "rolloutRestart",
    "scale",
    "rolloutUndo",
    "evict",
    "cordon",
    "drain",
    "patch",
    "job",
    "webhook",
    "escalate",
)


class Step(Model):
    """One thing to do: exactly one member is set."""

    rules: ClassVar[Sequence[Rule]] = (exactly_one(*STEP_NAMES, what="step"),)

    restart_pods: RestartPods | None = None
    """Evict pods one by one, so that their workload replaces them."""
    rollout_restart: RolloutRestart | None = None
    """Roll all pods of the workload."""
    scale: ScaleUp | None = None
    """Raise the number of replicas."""
    rollout_undo: Annotated[RolloutUndo | None, Later("undoing a rollout")] = None
    """Go back to the revision before this one."""
    evict: Annotated[EvictPods | None, Later("evicting as a step")] = None
    """Evict pods so that they are scheduled anew."""
    cordon: Annotated[Cordon | None, Later("cordoning")] = None
    """Mark a Node unschedulable."""
    drain: Annotated[Drain | None, Later("draining")] = None
    """Cordon a Node and evict its pods."""
    patch: Annotated[PatchTarget | None, Later("patching")] = None
    """Change the target by a patch."""
    job: Annotated[RunJob | None, Later("running a Job")] = None
    """Run a Job."""
    webhook: Annotated[CallWebhook | None, Later("calling a webhook")] = None
    """Call a URL."""
    escalate: Escalate | None = None
    """Tell a human; the last step."""
    timeout: Annotated[GoDuration, between("1s", "1h")] = timedelta(minutes=2)
    """How long the step may take to act; one that could not even start in that time gives way to the next."""
    approval: Annotated[Approval, Later("approvals", values=("Required",))] = Approval.NOT_REQUIRED
    """Whether a human must agree first."""

    @property
    def name(self) -> str:
        """The member that is set, as users write it; "" when none is."""
        members = self.model_fields_set - {"timeout", "approval"}
        aliases = (type(self).model_fields[name].alias or name for name in sorted(members) if getattr(self, name))
        return next(aliases, "")
