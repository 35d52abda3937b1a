"""What a step is asked, and what it answers: one action on one object."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from homeostat.api.meta import Model
from homeostat.api.recovery_attempt import ActionName, InFlight, ObjectId
from homeostat.api.recovery_status import Signal
from homeostat.api.recovery_step import Step
from homeostat.core.cluster import Workload
from homeostat.core.recovery.reasons import Block
from homeostat.core.recovery.seen import Case
from homeostat.core.recovery.steps.wording import described
from homeostat.core.ref import Ref


@dataclass(frozen=True, slots=True)
class Plan:
    """One action on an object of the workload, as it was seen; `original` and `desired` as on record.

    `undoes` names the change on record that it puts back, "" when it puts back none.
    """

    action: ActionName
    workload: Workload
    target: ObjectId
    resource_version: str
    original: Mapping[str, Any] | None = None
    desired: Mapping[str, Any] | None = None
    undoes: str = ""

    @property
    def title(self) -> str:
        """Say in short what is done: `EvictPod checkout-1`."""
        return described(self.action, self.target.name, self.original, self.desired)


@dataclass(frozen=True, slots=True)
class Ask:
    """What a step is asked: what to do next to `target`, because of `signal`."""

    case: Case
    step: Step
    target: Workload
    signal: Signal


DIGITS = 16

Planner = Callable[[Ask], Plan | Block]


def object_id(ref: Ref) -> ObjectId:
    """Put a reference on record."""
    return ObjectId(kind=ref.kind, name=ref.name, uid=ref.uid)


def on_workload(
    ask: Ask, action: ActionName, original: Mapping[str, Any] | None = None, desired: Mapping[str, Any] | None = None
) -> Plan:
    """Plan an action on the target itself."""
    target = ask.target
    return Plan(action, target, object_id(target.ref), target.resource_version, original, desired)


def as_written(asked: Model) -> dict[str, Any]:
    """Name what a step says, by its hash: what is on record is carried out as it was decided, or not at all (R13)."""
    text = json.dumps(asked.wire(), sort_keys=True)
    return {"asked": sha256(text.encode()).hexdigest()[:DIGITS]}


def is_as_decided(asked: Model | None, entry: InFlight) -> bool:
    """Whether a step still says what it said when the action was decided."""
    return asked is not None and (not entry.desired or entry.desired == as_written(asked))
