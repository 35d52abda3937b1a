"""RecoveryPolicy: when to heal what, how, within which limits, and how to tell that it helped."""

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field

from homeostat.api.meta import (
    Column,
    ExactDecimal,
    GoDuration,
    IntOrPercent,
    Kind,
    Later,
    Model,
    NameRef,
    ObjectName,
    Rule,
    between,
    exactly_one,
)
from homeostat.api.recovery_status import RecoveryPolicyStatus
from homeostat.api.recovery_step import Step

MOST_TRIGGERS = 8
MOST_STEPS = 8


class Mode(StrEnum):
    """How far a policy may go."""

    OBSERVE = "Observe"  # decides, writes what it would do, touches nothing
    SUGGEST = "Suggest"
    APPROVE = "Approve"
    AUTO = "Auto"


class TargetKind(StrEnum):
    """What a policy may heal."""

    DEPLOYMENT = "Deployment"
    STATEFUL_SET = "StatefulSet"
    DAEMON_SET = "DaemonSet"
    POD = "Pod"
    NODE = "Node"


LabelValue = Annotated[str, Field(max_length=63, pattern=r"^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$")]


class Selector(Model):
    """Objects by their labels."""

    match_labels: Annotated[dict[str, LabelValue], Field(min_length=1, max_length=16)]
    """Labels that must all match."""


class Target(Model):
    """What is healed, in the policy's namespace."""

    rules: ClassVar[Sequence[Rule]] = (exactly_one("name", "selector", what="target"),)

    kind: Annotated[TargetKind, Later("Pods and Nodes as targets", values=("Pod", "Node"))]
    """Kind of the target."""
    name: ObjectName | None = None
    """Name of the target."""
    selector: Annotated[Selector | None, Later("targets by selector")] = None
    """Labels of the targets."""


class TriggerState(StrEnum):
    """States of a HealthCheck that may trigger; the worse includes only itself, Degraded includes Unhealthy."""

    UNHEALTHY = "Unhealthy"
    DEGRADED = "Degraded"


class HealthCheckTrigger(Model):
    """Fires while a HealthCheck is in a bad state."""

    name: ObjectName
    """Name of the HealthCheck."""
    state: TriggerState = TriggerState.UNHEALTHY
    """The state, or worse."""


class SloTrigger(Model):
    """Fires while an objective's error budget burns too fast."""

    name: ObjectName
    """Name of the ServiceLevelObjective."""
    burn_rate_above: ExactDecimal
    """The burn rate above which it fires."""


class PodReason(StrEnum):
    """What may be wrong with a pod."""

    CRASH_LOOP_BACK_OFF = "CrashLoopBackOff"
    OOM_KILLED = "OOMKilled"
    IMAGE_PULL_BACK_OFF = "ImagePullBackOff"
    NOT_READY = "NotReady"
    PENDING = "Pending"
    EVICTED = "Evicted"
    TERMINATING = "Terminating"


class PodsTrigger(Model):
    """Fires while pods of the target have a reason."""

    reason: PodReason
    """What is wrong with them."""


class PromqlTrigger(Model):
    """Fires while the value of a query satisfies a condition."""

    query: Annotated[str, Field(min_length=1, max_length=4096)]
    """An instant query that gives one value."""
    condition: Annotated[str, Field(max_length=64, pattern=r"^(<|<=|>|>=|==|!=) ?-?[0-9]+(\.[0-9]+)?(e-?[0-9]+)?$")]
    """A comparison the value must satisfy, like `> 100`."""


class Trigger(Model):
    """A reason to act: exactly one member is set."""

    rules: ClassVar[Sequence[Rule]] = (exactly_one("healthCheck", "slo", "pods", "promql", what="trigger"),)

    health_check: HealthCheckTrigger | None = None
    """Fires while a HealthCheck is in a bad state."""
    slo: Annotated[SloTrigger | None, Later("objectives as triggers")] = None
    """Fires while an error budget burns too fast."""
    pods: PodsTrigger | None = None
    """Fires while pods of the target have a reason."""
    promql: Annotated[PromqlTrigger | None, Later("PromQL triggers")] = None
    """Fires while a query's value satisfies a condition."""
    for_: Annotated[GoDuration, between("0s", "24h"), Field(alias="for")] = timedelta(0)
    """How long it must fire without a break before anything is done."""


class ActionBudget(Model):
    """How many actions in which time."""

    actions: Annotated[int, Field(ge=0, le=1000)] = 5
    """Actions put on record in one period."""
    per: Annotated[GoDuration, between("1m", "720h")] = timedelta(hours=1)
    """The period; it begins with its first action."""


class FlappingLimit(Model):
    """When a trigger that comes and goes is left alone."""

    transitions: Annotated[int, Field(ge=2, le=100)] = 5
    """Changes within the window."""
    window: Annotated[GoDuration, between("1m", "24h")] = timedelta(minutes=10)
    """The window."""
    hold_for: Annotated[GoDuration, between("0s", "24h")] = timedelta(minutes=5)
    """How long it must be steady to be trusted again."""


class IneffectiveLimit(Model):
    """When a target that always falls back is left alone."""

    count: Annotated[int, Field(ge=1, le=100)] = 3
    """Returns to the same state within the window."""
    window: Annotated[GoDuration, between("1m", "720h")] = timedelta(hours=4)
    """The window."""


class Limits(Model):
    """What a policy may never exceed."""

    max_in_flight: IntOrPercent = 1
    """Pods of the target in treatment at once: a count, or a share of its replicas, rounded down."""
    max_unhealthy: IntOrPercent = Decimal("0.5")
    """With more pods of the target unhealthy or in treatment than this nothing is done: a count, or a share of
    its replicas, rounded down. One of one is 100%."""
    cooldown: Annotated[GoDuration, between("1s", "24h")] = timedelta(minutes=5)
    """Rest of the target after an attempt that acted."""
    budget: ActionBudget = ActionBudget()
    """How many actions in which time."""
    flapping: Annotated[FlappingLimit | None, Later("flapping")] = None
    """When a trigger that comes and goes is left alone."""
    ineffective: Annotated[IneffectiveLimit | None, Later("the ineffective chain")] = None
    """When a target that always falls back is left alone."""


class OnFailure(StrEnum):
    """What follows a step that did not help."""

    UNDO = "Undo"  # take it back where that is possible (scale), then go on as NextStep
    NEXT_STEP = "NextStep"


class Verify(Model):
    """When a step counts as having helped."""

    rules: ClassVar[Sequence[Rule]] = (
        Rule(
            "duration(self.stabilise) + duration(self.holdFor) <= duration(self.deadline)",
            "verify: stabilise and holdFor together must fit into deadline",
        ),
    )

    stabilise: Annotated[GoDuration, between("0s", "1h")] = timedelta(seconds=10)
    """Time after the action in which the trigger is not yet asked."""
    hold_for: Annotated[GoDuration, between("0s", "1h")] = timedelta(seconds=30)
    """How long the trigger must then be quiet without a break."""
    deadline: Annotated[GoDuration, between("1s", "24h")] = timedelta(minutes=5)
    """By when that must be so, counted from the end of the action."""
    on_failure: OnFailure = OnFailure.UNDO
    """What follows a step that did not help."""


class Dependency(Model):
    """Something without which the target cannot be healthy."""

    health_check: NameRef
    """A HealthCheck of the same namespace; unless it is Healthy or Degraded, nothing is done."""


TIME_OF_DAY = Annotated[str, Field(max_length=5, pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")]


class Weekday(StrEnum):
    """Days of the week."""

    MONDAY = "Mon"
    TUESDAY = "Tue"
    WEDNESDAY = "Wed"
    THURSDAY = "Thu"
    FRIDAY = "Fri"
    SATURDAY = "Sat"
    SUNDAY = "Sun"


class Window(Model):
    """A time of the week in which acting is allowed."""

    days: Annotated[tuple[Weekday, ...], Field(max_length=7)] = ()
    """The days on which it begins; empty means all."""
    from_: Annotated[TIME_OF_DAY, Field(alias="from")]
    """When it begins, like 22:00."""
    to: TIME_OF_DAY
    """When it ends, the next day if that is not later."""
    time_zone: Annotated[str, Field(max_length=64, pattern=r"^[A-Za-z0-9_+/-]+$")] = "UTC"
    """An IANA time zone."""


class RecoveryPolicySpec(Model):
    """When to heal what, how, and within which limits."""

    rules: ClassVar[Sequence[Rule]] = (
        Rule(
            "self.target.kind != 'DaemonSet' || !self.steps.exists(s, has(s.scale))",
            "steps: a DaemonSet cannot be scaled",
        ),
        Rule(
            "self.steps.all(s, !has(s.escalate)) || (has(self.steps[self.steps.size() - 1].escalate)"
            " && self.steps.filter(s, has(s.escalate)).size() == 1)",
            "steps: escalate must be the last",
        ),
    )

    mode: Annotated[Mode, Later("suggesting and approving", values=("Suggest", "Approve"))] = Mode.OBSERVE
    """How far the policy may go; Observe decides and writes what it would do, and touches nothing."""
    target: Target
    """What is healed."""
    triggers: Annotated[tuple[Trigger, ...], Field(min_length=1, max_length=MOST_TRIGGERS)]
    """Reasons to act; any of them will do."""
    steps: Annotated[tuple[Step, ...], Field(min_length=1, max_length=MOST_STEPS)]
    """What to do, in order: the next when the one before did not help. When all failed, a human is told."""
    limits: Limits = Limits()
    """What the policy may never exceed."""
    verify: Verify = Verify()
    """When a step counts as having helped."""
    depends_on: Annotated[tuple[Dependency, ...], Field(max_length=16)] = ()
    """What must be healthy for the target to be; while it is not, nothing is done here."""
    windows: Annotated[tuple[Window, ...], Field(max_length=16), Later("windows")] = ()
    """When acting is allowed; empty means always."""
    suspend: bool = False
    """Do nothing, and say so. An attempt under way is still verified."""


KIND = Kind(
    kind="RecoveryPolicy",
    plural="recoverypolicies",
    singular="recoverypolicy",
    short_names=("rp",),
    spec=RecoveryPolicySpec,
    status=RecoveryPolicyStatus,
    columns=(
        Column("Mode", ".spec.mode", description="How far the policy may go"),
        Column("Target", ".status.target", description="What is healed"),
        Column("Phase", ".status.phase", description="Where the policy stands"),
        Column("Last", ".status.lastOutcome", description="Outcome of the newest attempt"),
        Column("Success", ".status.stats.successRate", description="Share of the attempts that recovered"),
        Column("MTTR", ".status.stats.meanTimeToRecover", description="Mean time from detection to recovery"),
        Column(
            "Proven",
            '.status.conditions[?(@.type=="Proven")].status',
            description="Whether a drill within the last 30 days passed",
        ),
        Column("Age", ".metadata.creationTimestamp", "date", description="Time since creation"),
        Column("Reason", ".status.blocked.reason", priority=1, description="Why nothing is done"),
        Column("Budget", ".status.budget.used", "integer", 1, "Actions put on record in this period"),
    ),
    description="RecoveryPolicy heals a workload when a trigger fires, within limits, and verifies that it helped.",
)
