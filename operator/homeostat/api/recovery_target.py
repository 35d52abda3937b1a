"""What a RecoveryPolicy heals: one object by its name, or several by their labels."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field

from homeostat.api.meta import Model, ObjectName, Rule, exactly_one


class TargetKind(StrEnum):
    """What a policy may heal."""

    DEPLOYMENT = "Deployment"
    STATEFUL_SET = "StatefulSet"
    DAEMON_SET = "DaemonSet"
    POD = "Pod"
    NODE = "Node"


LabelKey = Annotated[str, Field(max_length=317)]
LabelValue = Annotated[str, Field(max_length=63, pattern=r"^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$")]


class Selector(Model):
    """Objects by their labels."""

    match_labels: Annotated[dict[str, LabelValue], Field(min_length=1, max_length=16)]
    """Labels that must all match."""

    @property
    def text(self) -> str:
        """The selector as a query: `app=shop,tier=web`."""
        return ",".join(f"{key}={value}" for key, value in sorted(self.match_labels.items()))


class Target(Model):
    """What is healed: of the policy's namespace, or Nodes where the administrator allows it."""

    rules: ClassVar[Sequence[Rule]] = (exactly_one("name", "selector", what="target"),)

    kind: TargetKind
    """Kind of the target. Pods are healed as members of what controls them: nobody would replace a pod without one."""
    name: ObjectName | None = None
    """Name of the target."""
    selector: Selector | None = None
    """Labels of the targets; each has limits of its own, and one is treated at a time."""


class StepTargetKind(StrEnum):
    """What a step may be pointed at instead of the policy's target."""

    DEPLOYMENT = "Deployment"
    STATEFUL_SET = "StatefulSet"
    DAEMON_SET = "DaemonSet"
    SERVICE = "Service"  # for patch alone: to send its traffic elsewhere


class StepTarget(Model):
    """One object of the policy's namespace."""

    kind: StepTargetKind
    """Kind of the object."""
    name: ObjectName
    """Name of the object."""
