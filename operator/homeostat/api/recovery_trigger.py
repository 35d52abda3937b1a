"""What makes a RecoveryPolicy act: a tagged union of triggers, of which each sets one member."""

from collections.abc import Sequence
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field

from homeostat.api.meta import ExactDecimal, GoDuration, Model, ObjectName, Rule, between, exactly_one

TRIGGER_NAMES = ("healthCheck", "slo", "pods", "node", "rollout", "promql", "alert")


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
    """Fires while an objective's error budget burns too fast, over both windows of an alert."""

    name: ObjectName
    """Name of the ServiceLevelObjective."""
    burn_rate_above: ExactDecimal
    """The burn rate above which it fires: over the shortest pair of windows of the objective's alerts, both of them."""


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


class NodeCondition(StrEnum):
    """What may be wrong with a Node."""

    NOT_READY = "NotReady"
    MEMORY_PRESSURE = "MemoryPressure"
    DISK_PRESSURE = "DiskPressure"
    PID_PRESSURE = "PIDPressure"
    CORDONED = "Cordoned"


class NodeTrigger(Model):
    """Fires while a Node of the target is in a condition."""

    condition: NodeCondition
    """What is wrong with it."""


class RolloutState(StrEnum):
    """States of a rollout that may trigger."""

    STUCK = "Stuck"  # its progressDeadlineSeconds are over


class RolloutTrigger(Model):
    """Fires while the target's rollout is in a state."""

    state: RolloutState = RolloutState.STUCK
    """The state: Stuck, when the Deployment's progressDeadlineSeconds are over."""


class PromqlTrigger(Model):
    """Fires while the value of a query satisfies a condition."""

    query: Annotated[str, Field(min_length=1, max_length=4096)]
    """An instant query that gives one value, for the operator's own Prometheus."""
    condition: Annotated[str, Field(max_length=64, pattern=r"^(<|<=|>|>=|==|!=) ?-?[0-9]+(\.[0-9]+)?(e-?[0-9]+)?$")]
    """A comparison the value must satisfy, like `> 100`."""


class AlertTrigger(Model):
    """Fires while Alertmanager says that an alert fires, which it tells the operator's API (its webhook, version 4)."""

    name: Annotated[str, Field(min_length=1, max_length=256)]
    """The label `alertname`."""
    labels: Annotated[dict[str, Annotated[str, Field(max_length=256)]], Field(max_length=16, default_factory=dict)]
    """Other labels that the alert must have."""


class Trigger(Model):
    """A reason to act: exactly one member is set."""

    rules: ClassVar[Sequence[Rule]] = (exactly_one(*TRIGGER_NAMES, what="trigger"),)

    health_check: HealthCheckTrigger | None = None
    """Fires while a HealthCheck is in a bad state."""
    slo: SloTrigger | None = None
    """Fires while an error budget burns too fast."""
    pods: PodsTrigger | None = None
    """Fires while pods of the target have a reason."""
    node: NodeTrigger | None = None
    """Fires while a Node of the target is in a condition."""
    rollout: RolloutTrigger | None = None
    """Fires while the target's rollout is stuck."""
    promql: PromqlTrigger | None = None
    """Fires while a query's value satisfies a condition."""
    alert: AlertTrigger | None = None
    """Fires while an alert of Alertmanager fires."""
    for_: Annotated[GoDuration, between("0s", "24h"), Field(alias="for")] = timedelta(0)
    """How long it must fire without a break before anything is done."""
    max_data_age: Annotated[GoDuration, between("1s", "24h")] | None = None
    """Data older than this counts as none: nothing is done on it. By default what the source is good for: three
    intervals and a timeout of a check, 2m of an objective or three of its intervals if these are longer, 30s of what
    the API server shows, 90s of a query, 5h of an alert (Alertmanager repeats it every four)."""

    @property
    def name(self) -> str:
        """The member that is set, as users write it; "" when none is."""
        members = (name for name in type(self).model_fields if name not in {"for_", "max_data_age"})
        named = (type(self).model_fields[name].alias or name for name in members if getattr(self, name) is not None)
        return next(named, "")
