"""What a policy heals, as the API server has it now: its targets, what its steps name, and what these wait for.

Two looks: a first one at the targets, only where triggers look at them; and a close one, once something is to be
decided, at all that acting depends on. Whatever is read, is read with quorum; what cannot be read is an evaluation
put off, never a guess (R12).
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from homeostat.api.recovery import RecoveryPolicySpec
from homeostat.api.recovery_attempt import ActionName, Change, InFlight, ObjectId
from homeostat.api.recovery_status import RecoveryPolicyStatus
from homeostat.api.recovery_step import Step
from homeostat.api.recovery_target import TargetKind
from homeostat.core.cluster import Job, Lock, PatchEffect, Revision, Workload
from homeostat.core.recovery.steps.job import wanted_job
from homeostat.core.recovery.steps.patching import fields_of
from homeostat.core.recovery.targets.memory import MOST_TARGETS
from homeostat.ports import Cluster, Targets
from homeostat.side_by_side import read_each, side_by_side

_KINDS = frozenset({"Deployment", "StatefulSet", "DaemonSet", "Service", "Node"})


@dataclass(frozen=True, slots=True)
class Surroundings:
    """All round the target in focus that acting depends on; the defaults are of a policy at rest."""

    lock: Lock | None = None
    others: tuple[Workload, ...] = ()
    locks: Mapping[str, Lock] = field(default_factory=dict)
    revisions: Mapping[str, tuple[Revision, ...]] = field(default_factory=dict)
    effects: Mapping[tuple[int, str], PatchEffect] = field(default_factory=dict)
    fields: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    job: Job | None = None


class TargetReader:
    """Reads what policies heal. `node_namespaces`: those whose policies may touch Nodes."""

    def __init__(self, cluster: Cluster, targets: Targets, node_namespaces: Collection[str] = ()) -> None:
        self._cluster = cluster
        self._targets = targets
        self._node_namespaces = frozenset(node_namespaces)

    def are_nodes_allowed(self, namespace: str) -> bool:
        """Whether policies of a namespace may touch Nodes."""
        return namespace in self._node_namespaces

    async def targets(
        self, spec: RecoveryPolicySpec, status: RecoveryPolicyStatus, namespace: str
    ) -> tuple[Workload, ...]:
        """Read all targets of a policy: one, those that its selector matches, or none.

        Of more than a policy may have, only so many that this shows.
        """
        wanted = spec.target
        if wanted.kind is TargetKind.NODE and not self.are_nodes_allowed(namespace):
            return ()
        if wanted.selector:
            found = await self._targets.selected(namespace, wanted.kind.value, wanted.selector.text)
        else:
            one = await self._targets.named(namespace, wanted.kind.value, wanted.name or "")
            found = (one,) if one else ()
        known = found[: MOST_TARGETS + 1]
        return known if wanted.kind is not TargetKind.POD else await self._with_attempt(known, status, namespace)

    async def round(
        self, spec: RecoveryPolicySpec, status: RecoveryPolicyStatus, namespace: str, target: Workload
    ) -> tuple[Workload, Surroundings]:
        """Read what acting on a target depends on; the target comes back with all its pods."""
        if target.ref.kind == TargetKind.NODE.value and not target.pods:
            target = await self._targets.named("", target.ref.kind, target.ref.name) or target
        others = await self._others(spec, status, namespace, target)
        subjects = (target, *others)
        async with side_by_side() as reads:  # an act that follows from a view of half a minute ago is not done (R12)
            locks = reads.start(read_each(self._cluster.lock, [one.ref for one in subjects]))
            revisions = reads.start(self._revisions(spec, status, subjects))
            effects = reads.start(self._effects(spec, status, subjects))
            fields = reads.start(self._fields(status, subjects))
            job = reads.start(self._job(status, namespace))
        lock, *others_locks = locks.result()
        return target, Surroundings(
            lock=lock,
            others=others,
            locks={one.ref.uid: lock for one, lock in zip(others, others_locks, strict=True) if lock},
            revisions=revisions.result(),
            effects=effects.result(),
            fields=fields.result(),
            job=job.result(),
        )

    async def _with_attempt(
        self, found: tuple[Workload, ...], status: RecoveryPolicyStatus, namespace: str
    ) -> tuple[Workload, ...]:
        """Add what the open attempt treats: its pod may be gone, and with it the way to what controlled it."""
        attempt = status.attempt
        if attempt is None or any(one.ref.uid == attempt.workload.uid for one in found):
            return found
        one = await self._targets.named(namespace, attempt.workload.kind, attempt.workload.name)
        if one is None or one.ref.uid != attempt.workload.uid:
            return found
        return (replace(one, eligible=frozenset()), *found)

    async def _others(
        self, spec: RecoveryPolicySpec, status: RecoveryPolicyStatus, namespace: str, target: Workload
    ) -> tuple[Workload, ...]:
        """Read what steps name instead of the target, and what was changed before, each once."""
        names = dict.fromkeys((*_named_by(_steps(spec, status).values()), *_on_record(status)))
        wanted = [name for name in names if name != (target.ref.kind, target.ref.name)]
        found = await read_each(lambda name: self._targets.named(namespace, *name), wanted)
        return tuple(one for one in found if one is not None)

    async def _revisions(
        self, spec: RecoveryPolicySpec, status: RecoveryPolicyStatus, subjects: tuple[Workload, ...]
    ) -> dict[str, tuple[Revision, ...]]:
        """Read the revisions of what goes back, or went back, to another one."""
        wanted = {
            one.ref.uid for step in _steps(spec, status).values() if step.rollout_undo for one in _of(step, subjects)
        }
        wanted |= {entry.target.uid for entry in _changes(status) if entry.action is ActionName.UNDO_ROLLOUT}
        return {one.ref.uid: await self._targets.revisions(one) for one in subjects if one.ref.uid in wanted}

    async def _effects(
        self, spec: RecoveryPolicySpec, status: RecoveryPolicyStatus, subjects: tuple[Workload, ...]
    ) -> dict[tuple[int, str], PatchEffect]:
        """Try patches out, of those steps that may be next."""
        wanted = [
            (index, step.patch, one)
            for index, step in _steps(spec, status).items()
            if step.patch
            for one in _of(step, subjects)
        ]
        return {
            (index, one.ref.uid): await self._targets.try_patch(one.ref, patch.type.value, patch.patch)
            for index, patch, one in wanted
        }

    async def _fields(
        self, status: RecoveryPolicyStatus, subjects: tuple[Workload, ...]
    ) -> dict[str, Mapping[str, Any]]:
        """Read what stands now in the fields of patches on record, under the name of the change."""
        refs = {one.ref.uid: one.ref for one in subjects}
        patches = {
            _change_of(entry): entry
            for entry in _changes(status)
            if entry.action is ActionName.PATCH and entry.target.uid in refs
        }
        return {
            name: await self._targets.fields(refs[entry.target.uid], fields_of(entry))
            for name, entry in patches.items()
        }

    async def _job(self, status: RecoveryPolicyStatus, namespace: str) -> Job | None:
        name = wanted_job(status)
        return await self._targets.job(namespace, name) if name else None


def _steps(spec: RecoveryPolicySpec, status: RecoveryPolicyStatus) -> dict[int, Step]:
    """Give the steps that may be carried out now: that of the open attempt, else all."""
    attempt = status.attempt
    return {
        index: step
        for index, step in enumerate(spec.steps)
        if attempt is None or (attempt.step, attempt.name) == (index, step.name)
    }


def _named_by(steps: Iterable[Step]) -> Iterator[tuple[str, str]]:
    yield from ((one.kind.value, one.name) for step in steps for one in step.targets or ())


def _on_record(status: RecoveryPolicyStatus) -> Iterator[tuple[str, str]]:
    """Name the objects that were changed and may be put back, and those locked for what is under way."""
    locked: Iterable[ObjectId] = (entry.workload for entry in status.in_flight if entry.workload)
    changed: Iterable[ObjectId] = (change.target for change in status.changes if change.target.kind in _KINDS)
    yield from ((one.kind, one.name) for one in (*locked, *changed))


def _of(step: Step, subjects: tuple[Workload, ...]) -> tuple[Workload, ...]:
    """Give what a step is about: the target, which is the first, or those that it names."""
    if not step.targets:
        return subjects[:1]
    names = {(one.kind.value, one.name) for one in step.targets}
    return tuple(one for one in subjects if (one.ref.kind, one.ref.name) in names)


def _changes(status: RecoveryPolicyStatus) -> tuple[InFlight | Change, ...]:
    return (*status.in_flight, *status.changes)


def _change_of(entry: InFlight | Change) -> str:
    """Name a change; its undo goes by the same name."""
    return (entry.undoes or entry.id) if isinstance(entry, InFlight) else entry.id
