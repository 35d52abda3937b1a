"""What a RecoveryPolicy may do: a tagged union of steps, of which each sets one member."""

from collections.abc import Sequence
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Any, ClassVar

from pydantic import Field, WithJsonSchema

from homeostat.api.meta import GoDuration, Model, Rule, SecretKeyRef, between, exactly_one
from homeostat.api.recovery_target import StepTarget

Share = Annotated[str, Field(max_length=5, pattern=r"^\+[1-9][0-9]{0,2}%$")]
Quantity = Annotated[str, Field(max_length=32, pattern=r"^[0-9]{1,15}(\.[0-9]{1,9})?(m|k|Ki|M|Mi|G|Gi|T|Ti)?$")]

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

    changed_within: Annotated[GoDuration, between("1m", "168h")] | None = None
    """Only if the rollout began within this time before the trigger began to fire: what did not change is not the
    cause, and is not undone. Absent: whenever it began."""


class EvictPods(Model):
    """Evict pods so that they are scheduled anew: of a workload one by one, of a Node all that can move."""

    which: Which = Which.FAILING
    """Which pods: those that make the trigger fire, or all."""
    force_terminating: bool = False
    """Also end pods at once that were told to go longer ago than their grace period and are still there. Never those
    of a StatefulSet while their Node may still run them: two of one identity would be worse than none."""


class Cordon(Model):
    """Mark a Node unschedulable."""


class Drain(Model):
    """Cordon a Node and evict its pods, but those of DaemonSets and of the Node itself."""

    delete_empty_dir: bool = False
    """Whether pods may go that keep data in an emptyDir, which is lost; else the step refuses to begin."""


class PatchType(StrEnum):
    """How a patch is applied."""

    MERGE = "Merge"  # RFC 7396
    STRATEGIC = "Strategic"  # lists such as containers are merged by name


class PatchTarget(Model):
    """Change the target by a patch. What it changes is recorded before, to be put back when it did not help."""

    type: PatchType = PatchType.MERGE
    """How the patch is applied."""
    patch: FreeForm
    """The patch: of metadata.labels, metadata.annotations and spec alone."""


class Resize(Model):
    """Raise memory or CPU of running pods in place, one after another; what replaces a pod has the old size again."""

    rules: ClassVar[Sequence[Rule]] = (
        Rule("has(self.memory) || has(self.cpu)", "resize: memory, cpu or both must be set"),
        Rule("!has(self.maxMemory) || has(self.memory)", "resize: maxMemory without memory has no meaning"),
        Rule("!has(self.maxCpu) || has(self.cpu)", "resize: maxCpu without cpu has no meaning"),
    )

    which: Which = Which.FAILING
    """Which pods."""
    container: Annotated[str, Field(max_length=63, pattern=r"^([a-z0-9]([-a-z0-9]*[a-z0-9])?)?$")] = ""
    """Which container; empty means all that have a request or limit of what is raised."""
    memory: Share | None = None
    """By how much memory is raised, request and limit alike: +50%."""
    cpu: Share | None = None
    """By how much CPU is raised, request and limit alike: +50%."""
    max_memory: Quantity | None = None
    """No container gets more memory than this."""
    max_cpu: Quantity | None = None
    """No container gets more CPU than this."""


class Restore(Model):
    """Put back what steps changed since the trigger began to fire, newest first, unless somebody changed it since."""


class RunJob(Model):
    """Run a Job once; exit code 0 means done.

    Its containers get HOMEOSTAT_NAMESPACE, HOMEOSTAT_POLICY, HOMEOSTAT_ATTEMPT, HOMEOSTAT_TRIGGER, HOMEOSTAT_REASON,
    HOMEOSTAT_TARGET_KIND, HOMEOSTAT_TARGET_NAME and HOMEOSTAT_PODS (names, separated by spaces) as environment.
    """

    template: FreeForm
    """The Job's spec.template. The operator may run Jobs only where the administrator allows it."""
    keep_for: Annotated[GoDuration, between("1m", "168h")] = timedelta(hours=24)
    """How long the Job and its logs are kept once it is over."""


class CallWebhook(Model):
    """Call a URL; a 2xx answer means done. It is asked again under the same Idempotency-Key when no answer came."""

    url: Annotated[str, Field(min_length=8, max_length=2048, pattern=r"^https?://[^\s@]+$")]
    """Where to POST the attempt as JSON. The address is guarded as those of probes are."""
    secret_ref: SecretKeyRef | None = None
    """The key that signs the request (HMAC-SHA256 over time and body)."""


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
    webhook: CallWebhook | None = None
    """Called once with all that was tried."""


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
    "resize",
    "restore",
    "job",
    "webhook",
    "escalate",
)
MOST_STEP_TARGETS = 8


class Retries(Model):
    """A step that did not help is tried again before the next one is."""

    max: Annotated[int, Field(ge=0, le=10)] = 0
    """How many times more."""
    backoff: Annotated[GoDuration, between("1s", "1h")] = timedelta(seconds=10)
    """How long before the first; twice as long before each further one, each time up to a fifth more or less."""
    max_backoff: Annotated[GoDuration, between("1s", "24h")] = timedelta(minutes=5)
    """The longest it is waited."""


class Step(Model):
    """One thing to do: exactly one member is set."""

    rules: ClassVar[Sequence[Rule]] = (
        exactly_one(*STEP_NAMES, what="step"),
        Rule(
            "!has(self.targets) || has(self.rolloutRestart) || has(self.rolloutUndo) || has(self.scale)"
            " || has(self.patch)",
            "step: targets are for rolloutRestart, rolloutUndo, scale and patch",
        ),
        Rule(
            "!has(self.targets) || has(self.patch) || self.targets.all(t, t.kind != 'Service')",
            "step: a Service can only be patched",
        ),
        Rule(
            "!has(self.targets) || !has(self.scale) || self.targets.all(t, t.kind != 'DaemonSet')",
            "step: a DaemonSet cannot be scaled",
        ),
    )

    restart_pods: RestartPods | None = None
    """Evict pods one by one, so that their workload replaces them."""
    rollout_restart: RolloutRestart | None = None
    """Roll all pods of the workload."""
    scale: ScaleUp | None = None
    """Raise the number of replicas."""
    rollout_undo: RolloutUndo | None = None
    """Go back to the revision before this one."""
    evict: EvictPods | None = None
    """Evict pods so that they are scheduled anew."""
    cordon: Cordon | None = None
    """Mark a Node unschedulable."""
    drain: Drain | None = None
    """Cordon a Node and evict its pods."""
    patch: PatchTarget | None = None
    """Change the target by a patch."""
    resize: Resize | None = None
    """Raise memory or CPU of running pods in place."""
    restore: Restore | None = None
    """Put back what earlier steps changed."""
    job: RunJob | None = None
    """Run a Job."""
    webhook: CallWebhook | None = None
    """Call a URL."""
    escalate: Escalate | None = None
    """Tell a human; the last step."""
    targets: Annotated[tuple[StepTarget, ...], Field(min_length=1, max_length=MOST_STEP_TARGETS)] | None = None
    """Instead of the policy's target: these, one after another, each settled before the next is touched."""
    retries: Retries = Retries()
    """Whether it is tried again when it did not help."""
    timeout: Annotated[GoDuration, between("1s", "1h")] = timedelta(minutes=2)
    """How long the step may take to act; one that could not even start in that time gives way to the next."""
    approval: Approval = Approval.NOT_REQUIRED
    """Whether a human must agree first."""

    @property
    def name(self) -> str:
        """The member that is set, as users write it; "" when none is."""
        return next((name for name in STEP_NAMES if getattr(self, _FIELDS[name]) is not None), "")


_FIELDS = {field.alias or name: name for name, field in Step.model_fields.items()}
