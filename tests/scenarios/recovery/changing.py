"""A world whose target also has revisions, fields and pod sizes: what steps change and put back."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from homeostat.api.recovery_attempt import ActionName
from homeostat.core import merge_patch
from homeostat.core.action import Action, Outcome, PatchObject, ResizePod, UndoRollout, Verb
from homeostat.core.cluster import Container, PatchEffect, Revision, Workload
from homeostat.core.recovery import RecoverySeen
from homeostat.core.recovery.steps.patching import fields_of
from scenarios.recovery.world import DONE, NOON, TARGET, World

CONFLICT = Outcome(Verb.REFUSED, "Conflict", "the object changed since the decision")


def _object() -> dict[str, Any]:
    return {
        "metadata": {"labels": {"app": "checkout"}, "annotations": {}},
        "spec": {"strategy": {"type": "RollingUpdate"}, "template": {"image": "checkout:2", "args": ["--fast"]}},
    }


@dataclass
class ChangingWorld(World):
    """All that `World` is; nothing that is changed heals it, unless `cured_by` names the action."""

    made: dict[str, datetime] = field(
        default_factory=lambda: {"checkout-1": NOON - timedelta(days=3), "checkout-2": NOON - timedelta(minutes=5)}
    )
    numbers: dict[str, int] = field(default_factory=lambda: {"checkout-1": 1, "checkout-2": 2})
    current: str = "checkout-2"
    document: dict[str, Any] = field(default_factory=_object)
    sizes: dict[str, str] = field(default_factory=dict)  # memory of a pod by name
    resizing: set[str] = field(default_factory=set)  # names of pods whose Node has not taken on their size yet
    cured_by: str = ""
    resizes: bool = True
    stuck: bool = False
    refusal: tuple[str, str] | None = None

    def workload(self) -> Workload | None:
        """Show the target as `kube/` would."""
        seen = super().workload()
        if seen is None:
            return None
        pods = tuple(
            replace(pod, containers=self._containers(pod.ref.name), is_resizing=pod.ref.name in self.resizing)
            for pod in seen.pods
        )
        return replace(seen, pods=pods, is_stuck=self.stuck)

    def _containers(self, name: str) -> tuple[Container, ...]:
        memory = self.sizes.get(name, "64Mi")
        return (Container("app", (("cpu", "100m"), ("memory", memory)), (("memory", memory),)),)

    def revisions(self) -> tuple[Revision, ...]:
        """Give the target's revisions, newest first."""
        names = sorted(self.numbers, key=self.numbers.__getitem__, reverse=True)
        return tuple(Revision(one, self.numbers[one], self.made[one], one == self.current) for one in names)

    def seen(self, outcomes: Mapping[str, Outcome] | None = None) -> RecoverySeen:
        """Observe the world, and try patches out."""
        status, steps = self.status, enumerate(self.spec.steps)
        acted = (entry for entry in status.in_flight if not entry.undoes)
        patched = [one for one in (*acted, *status.changes) if one.action is ActionName.PATCH]
        return replace(
            super().seen(outcomes),
            revisions={TARGET.uid: self.revisions()},
            effects={(index, TARGET.uid): self._effect(one.patch.patch) for index, one in steps if one.patch},
            fields={one.id: merge_patch.named(self.document, fields_of(one)) for one in patched},
        )

    def _effect(self, patch: Mapping[str, Any]) -> PatchEffect:
        if self.refusal:
            return PatchEffect({}, {}, self.refusal)
        after = merge_patch.apply(self.document, patch)
        return PatchEffect(merge_patch.difference(self.document, after), merge_patch.difference(after, self.document))

    def act(self, action: Action) -> Outcome:
        """Do what the actuator and the API server do."""
        known = {UndoRollout: self._roll_back, PatchObject: self._patch, ResizePod: self._resize}
        if type(action) not in known or self.wire_breaks:
            return super().act(action)
        if isinstance(action, UndoRollout | PatchObject) and action.resource_version != str(self.version):
            return DONE if self._is_marked(action.annotations) else CONFLICT
        outcome = known[type(action)](action)
        if self.cured_by == type(action).__name__:
            self.sick.clear()
        return outcome

    def _is_marked(self, annotations: Mapping[str, str | None]) -> bool:
        return all(value and self.annotations.get(key) == value for key, value in annotations.items())

    def _mark(self, annotations: Mapping[str, str | None]) -> None:
        self.version += 1
        for key, value in annotations.items():
            self.annotations.pop(key, None)
            self.annotations |= {} if value is None else {key: value}

    def _roll_back(self, action: UndoRollout) -> Outcome:
        self.effects.append(f"rollback {action.revision} {action.id}")
        self._mark(action.annotations)
        self.current = action.revision
        self.numbers[action.revision] = max(self.numbers.values()) + 1
        return DONE

    def _patch(self, action: PatchObject) -> Outcome:
        self.effects.append(f"patch {action.id}")
        self._mark(action.annotations)
        self.document = merge_patch.apply(self.document, action.body)
        return DONE

    def _resize(self, action: ResizePod) -> Outcome:
        pod = self.pods.get(action.pod.name)
        if not self.resizes:
            return Outcome(Verb.REFUSED, "Unsupported", "this cluster cannot resize pods in place")
        if pod is None or pod.ref.uid != action.pod.uid:
            return Outcome(Verb.REFUSED, "NotFound", "the object is not there")
        if pod.resource_version != action.resource_version:
            return CONFLICT
        self.effects.append(f"resize {action.pod.name} {action.id}")
        self.version += 1
        self.pods[action.pod.name] = replace(pod, resource_version=str(self.version))
        self.sizes[action.pod.name] = action.resources["app"]["limits"]["memory"]
        return DONE

    def edit(self, patch: Mapping[str, Any]) -> None:
        """Change fields of the target, as any writer may."""
        self.version += 1
        self.document = merge_patch.apply(self.document, patch)
