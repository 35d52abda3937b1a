"""RecoveryPolicy: when to heal what, how, within which limits, and how to tell that it helped."""

from collections.abc import Sequence
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field

from homeostat.api.meta import Column, GoDuration, Kind, Model, NameRef, Rule, between
from homeostat.api.recovery_limits import Limits, Verify, Window
from homeostat.api.recovery_status import RecoveryPolicyStatus
from homeostat.api.recovery_step import Step
from homeostat.api.recovery_target import Target
from homeostat.api.recovery_trigger import Trigger

MOST_TRIGGERS = 8
MOST_STEPS = 8

# What humans ask of a policy by annotations, as values of homeostat.dev/…
APPROVE, REJECT = "homeostat.dev/approve", "homeostat.dev/reject"
"""The hash of the plan that is approved or rejected."""
RUN = "homeostat.dev/run"
"""A manual run, as JSON: {id, step, reason, override: [gate, …]}."""
PAUSE = "homeostat.dev/pause"
"""Why the policy is paused; it is as long as the annotation is there."""
BY = "homeostat.dev/by"
"""Who asked for it: the API server lets nobody write another name than their own (homeostat-consent)."""


class Mode(StrEnum):
    """How far a policy may go."""

    OBSERVE = "Observe"  # decides, writes what it would do, touches nothing
    SUGGEST = "Suggest"  # shows a plan for a human to carry out or to run by hand
    APPROVE = "Approve"  # shows a plan, and carries it out once a human has approved that very plan
    AUTO = "Auto"


class Dependency(Model):
    """Something without which the target cannot be healthy."""

    health_check: NameRef
    """A HealthCheck of the same namespace; unless it is Healthy or Degraded, nothing is done."""


class Approvals(Model):
    """How approvals are asked for."""

    expire_after: Annotated[GoDuration, between("10s", "24h")] = timedelta(minutes=30)
    """How long a plan awaits approval, and an approval holds; then the plan is made anew."""


_OF_NODES = "self.target.kind == 'Node'"


class RecoveryPolicySpec(Model):
    """When to heal what, how, and within which limits."""

    rules: ClassVar[Sequence[Rule]] = (
        Rule(
            "self.target.kind != 'DaemonSet' || !self.steps.exists(s, has(s.scale) && !has(s.targets))",
            "steps: a DaemonSet cannot be scaled",
        ),
        Rule(
            "self.steps.all(s, !has(s.escalate)) || (has(self.steps[self.steps.size() - 1].escalate)"
            " && self.steps.filter(s, has(s.escalate)).size() == 1)",
            "steps: escalate must be the last",
        ),
        Rule(
            f"{_OF_NODES} || !self.steps.exists(s, has(s.cordon) || has(s.drain))",
            "steps: cordon and drain are for targets of kind Node",
        ),
        Rule(
            f"!({_OF_NODES}) || !self.steps.exists(s, has(s.restartPods) || has(s.resize) || (!has(s.targets)"
            " && (has(s.rolloutRestart) || has(s.rolloutUndo) || has(s.scale) || has(s.patch))))",
            "steps: a Node can only be cordoned, drained or rid of pods (evict); other steps need targets of their own",
        ),
        Rule(
            "self.target.kind != 'Pod' || !self.steps.exists(s, !has(s.targets)"
            " && (has(s.rolloutRestart) || has(s.rolloutUndo) || has(s.scale) || has(s.patch)))",
            "steps: of Pods only restartPods, evict and resize are possible; other steps need targets of their own",
        ),
        Rule(
            f"{_OF_NODES} || !self.triggers.exists(t, has(t.node))",
            "triggers: node is for targets of kind Node",
        ),
        Rule(
            f"!({_OF_NODES}) || !self.triggers.exists(t, has(t.pods))",
            "triggers: pods are not looked at for targets of kind Node",
        ),
        Rule(
            "self.target.kind == 'Deployment' || !self.triggers.exists(t, has(t.rollout))",
            "triggers: rollout is for targets of kind Deployment",
        ),
    )

    mode: Mode = Mode.OBSERVE
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
    approvals: Approvals = Approvals()
    """How approvals are asked for, in mode Approve and of steps with `approval: Required`."""
    depends_on: Annotated[tuple[Dependency, ...], Field(max_length=16)] = ()
    """What must be healthy for the target to be; while it is not, nothing is done here."""
    windows: Annotated[tuple[Window, ...], Field(max_length=16)] = ()
    """When acting is allowed; empty means always. A human is told at any time."""
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
        Column("Plan", ".status.plan.hash", priority=1, description="The plan that awaits approval"),
        Column("Budget", ".status.budget.used", "integer", 1, "Actions put on record in this period"),
    ),
    description="RecoveryPolicy heals a workload when a trigger fires, within limits, and verifies that it helped.",
)
