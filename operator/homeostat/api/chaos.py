"""ChaosExperiment: what to break, where, for how long, what must hold meanwhile; and what came of it."""

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field

from homeostat.api.chaos_fault import Fault, LabelSelector
from homeostat.api.chaos_status import ChaosExperimentStatus
from homeostat.api.meta import (
    Column,
    ExactDecimal,
    GoDuration,
    IntOrPercent,
    Kind,
    Model,
    ObjectName,
    Percent,
    Rule,
    between,
    exactly_one,
)

ALLOWED_LABEL = ("homeostat.dev/chaos", "allowed")
"""The label, key and value, by which a namespace takes part in experiments."""
MARKER = "homeostat.dev/chaos"
"""The annotation on a target that says which experiment holds a fault on it, and what was there before."""
RUN = "homeostat.dev/run"
"""The annotation on an experiment whose new value asks for a new run."""
ABORT = "homeostat.dev/abort"
"""The annotation on an experiment whose new value ends the run under way."""

Comparison = Annotated[str, Field(max_length=64, pattern=r"^(<|<=|>|>=|==|!=) ?-?[0-9]+(\.[0-9]+)?(e-?[0-9]+)?$")]


class TargetKind(StrEnum):
    """What can be targeted."""

    POD = "Pod"
    DEPLOYMENT = "Deployment"
    STATEFUL_SET = "StatefulSet"
    DAEMON_SET = "DaemonSet"
    NODE = "Node"


class Target(Model):
    """Which objects of the namespace the fault is meant for."""

    rules: ClassVar[Sequence[Rule]] = (
        exactly_one("name", "selector", what="target"),
        Rule("self.kind != 'Pod' || has(self.selector)", "target: Pods are chosen by selector, not by name"),
        Rule(
            "!has(self.name) || (type(self.count) == int && self.count == 1)",
            "target: count must be 1 for a target chosen by name",
        ),
    )

    kind: TargetKind
    """Kind of the targets: Pod, Node for cordon and drain, a workload for scale, rolloutBreak and resourceSqueeze."""
    name: ObjectName | None = None
    """Name of the one target."""
    selector: LabelSelector | None = None
    """Labels of the targets."""
    count: Annotated[
        IntOrPercent,
        Rule(
            "type(self) == int ? self >= 1 && self <= 100 : !self.matches('^0+%?$')",
            "target.count: must be at least 1 or 1%, and at most 100 or 100%",
        ),
    ] = 1
    """How many of the ready targets, or which share of them, rounded down; a share that gives none is refused."""


class HypothesisState(StrEnum):
    """The worst state of a HealthCheck with which the hypothesis still holds."""

    HEALTHY = "Healthy"
    DEGRADED = "Degraded"


class CheckHypothesis(Model):
    """A HealthCheck that must be in a state."""

    name: ObjectName
    """Name of the HealthCheck."""
    state: HypothesisState = HypothesisState.HEALTHY
    """The worst state with which the hypothesis holds: Degraded also accepts Healthy."""


class SloHypothesis(Model):
    """An objective whose budget must not burn faster than a rate."""

    name: ObjectName
    """Name of the ServiceLevelObjective."""
    burn_rate_below: ExactDecimal
    """The one-hour burn rate must stay below this."""


class PromqlHypothesis(Model):
    """A query whose value must meet a condition."""

    query: Annotated[str, Field(min_length=1, max_length=4096)]
    """An instant query that gives one value."""
    condition: Comparison
    """The comparison the value must satisfy, like `< 0.05`."""


class DuringFault(StrEnum):
    """What is expected of a part of the hypothesis while the fault lasts."""

    MUST_HOLD = "MustHold"
    MAY_BREAK = "MayBreak"


class Hypothesis(Model):
    """One part of the steady state: it holds before the fault, and again after it."""

    rules: ClassVar[Sequence[Rule]] = (exactly_one("healthCheck", "slo", "promql", what="hypothesis"),)

    health_check: CheckHypothesis | None = None
    """A HealthCheck that must be in a state."""
    slo: SloHypothesis | None = None
    """An objective whose budget must not burn fast."""
    promql: PromqlHypothesis | None = None
    """A query whose value must meet a condition."""
    during_fault: DuringFault = DuringFault.MUST_HOLD
    """Whether it must also hold while the fault lasts: MustHold, or MayBreak where only the return counts."""


class SloStop(Model):
    """Stop when an objective's budget burns too fast."""

    name: ObjectName
    """Name of the ServiceLevelObjective."""
    burn_rate_above: ExactDecimal
    """Stop when the burn rate is above this."""


class BudgetStop(Model):
    """Stop when too little of an objective's budget remains."""

    slo: ObjectName
    """Name of the ServiceLevelObjective."""
    remaining_below: Percent
    """Stop when less than this remains."""


class StopCondition(Model):
    """What ends the experiment at once."""

    rules: ClassVar[Sequence[Rule]] = (exactly_one("slo", "budget", what="stopConditions"),)

    slo: SloStop | None = None
    """A budget that burns too fast."""
    budget: BudgetStop | None = None
    """A budget of which too little remains."""


class BlastRadius(Model):
    """How much may be lost at most; an experiment that would take more is refused, not trimmed."""

    min_available: Annotated[int, Field(ge=0, le=10000)] = 1
    """Ready pods that each affected workload must keep."""
    max_namespace_percent: Annotated[
        Percent,
        Rule(
            "double(self.replace('%', '')) >= 1.0 && double(self.replace('%', '')) <= 80.0",
            "blastRadius.maxNamespacePercent: must be between 1% and 80%",
        ),
    ] = Decimal("0.8")
    """Share of the namespace's ready pods that may be lost, rounded down."""


class Reaction(StrEnum):
    """Whether RecoveryPolicies may act on what the fault does."""

    ACT = "Act"
    OBSERVE = "Observe"


class Proof(Model):
    """What the experiment is a drill of: a RecoveryPolicy that is to heal, or an objective that is to alert."""

    rules: ClassVar[Sequence[Rule]] = (exactly_one("recoveryPolicy", "slo", what="proves"),)

    recovery_policy: ObjectName | None = None
    """Name of the RecoveryPolicy that is to heal this fault."""
    slo: ObjectName | None = None
    """Name of the ServiceLevelObjective that is to page because of this fault: its alerts are expected."""


class Schedule(Model):
    """When to run again."""

    cron: Annotated[str, Field(min_length=9, max_length=128, pattern=r"^[0-9A-Za-z*,/ #-]+$")]
    """Five fields: minute, hour, day of month, month, day of week."""
    time_zone: Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_+/-]+$")] = "UTC"
    """IANA name of the zone in which the schedule is meant."""


class Start(StrEnum):
    """When the first run begins, of an experiment without a schedule."""

    AT_ONCE = "AtOnce"
    ON_REQUEST = "OnRequest"


class Approval(StrEnum):
    """Whether a human must agree to the plan first."""

    NOT_REQUIRED = "NotRequired"
    REQUIRED = "Required"


def _needs(kinds: str, *faults: str) -> Rule:
    """Say of which kinds, as in "A, B or C", the target of these faults must be."""
    names = kinds.replace(" or ", ", ").split(", ")
    has_none = " && ".join(f"!has(self.fault.{fault})" for fault in faults)
    is_one = f"self.target.kind in {names}" if len(names) > 1 else f"self.target.kind == '{kinds}'"
    which = faults[0] if len(faults) == 1 else f"{', '.join(faults[:-1])} and {faults[-1]}"
    need = "needs" if len(faults) == 1 else "need"
    return Rule(f"({has_none}) || {is_one}", f"fault {which} {need} a target of kind {kinds}")


class ChaosExperimentSpec(Model):
    """What to break, where, for how long, and what must hold."""

    rules: ClassVar[Sequence[Rule]] = (
        _needs("Pod", "podKill", "podEvict", "containerKill", "network", "dns", "http", "cpu", "memory",
               "processPause", "processKill"),
        _needs("Deployment or StatefulSet", "scale"),
        _needs("Deployment, StatefulSet or DaemonSet", "rolloutBreak"),
        _needs("Pod, Deployment, StatefulSet or DaemonSet", "resourceSqueeze"),
        _needs("Node", "cordon", "drain"),
    )  # fmt: skip

    description: Annotated[str, Field(max_length=1024)] = ""
    """The claim that the experiment puts to the test."""
    fault: Fault
    """What to break."""
    target: Target
    """Which objects to break it on."""
    duration: Annotated[GoDuration, between("1s", "24h")]
    """How long the fault lasts."""
    hypothesis: Annotated[tuple[Hypothesis, ...], Field(min_length=1, max_length=10)]
    """What holds before the fault, during it unless it may break, and again within recoveryTimeout."""
    steady_for: Annotated[GoDuration, between("0s", "1h")] = timedelta(seconds=10)
    """How long the hypothesis must hold before the fault."""
    recovery_timeout: Annotated[GoDuration, between("1s", "2h")] = timedelta(minutes=2)
    """How long after the fault's end the hypothesis may take to hold again, and the targets to be back."""
    stop_conditions: Annotated[tuple[StopCondition, ...], Field(max_length=10)] = ()
    """What ends the experiment at once."""
    blast_radius: BlastRadius = BlastRadius()
    """How much may be lost at most."""
    reaction: Reaction = Reaction.ACT
    """Whether RecoveryPolicies may act on the targets meanwhile: Act or Observe."""
    proves: Annotated[tuple[Proof, ...], Field(max_length=8)] = ()
    """The RecoveryPolicies and objectives that this experiment is a drill of."""
    schedule: Schedule | None = None
    """When to run again; without it, once, and again at each new value of the annotation homeostat.dev/run."""
    start: Start = Start.AT_ONCE
    """When the first run begins: AtOnce, or OnRequest: by the annotation homeostat.dev/run, as a GameDay does."""
    approval: Approval = Approval.NOT_REQUIRED
    """Whether a human must agree to the plan first."""
    dry_run: bool = False
    """Only make the plan: exact targets, changes and undo; touch nothing."""
    suspend: bool = False
    """Start no run; a run under way is undone and ends as Aborted."""


KIND = Kind(
    kind="ChaosExperiment",
    plural="chaosexperiments",
    singular="chaosexperiment",
    short_names=("chaos",),
    spec=ChaosExperimentSpec,
    status=ChaosExperimentStatus,
    columns=(
        Column("Fault", ".status.fault", description="What is broken"),
        Column("Target", ".status.target", description="What it is broken on"),
        Column("Phase", ".status.phase", description="Where the run is"),
        Column("Verdict", ".status.verdict", description="What the run has shown"),
        Column("Detect", ".status.timings.detectedAfter", description="Time from fault to detection"),
        Column("Recover", ".status.timings.recoveredAfter", description="Time from fault to recovery"),
        Column("Age", ".metadata.creationTimestamp", "date", description="Time since creation"),
        Column("Reason", ".status.reason", priority=1, description="Why"),
        Column("Schedule", ".spec.schedule.cron", priority=1, description="When it runs again"),
    ),
    description=(
        "ChaosExperiment breaks something on purpose, in a namespace that allows it, checks that a hypothesis "
        "holds before, during and after, undoes the fault, and gives a verdict."
    ),
)
