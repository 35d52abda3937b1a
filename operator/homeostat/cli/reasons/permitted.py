"""What `homeostat explain` reads with the rights of whoever asks, and which gates it does not know for want of them."""

from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

from homeostat.core.cluster import Job, Lock, PatchEffect, Pod, Revision, Workload
from homeostat.core.ref import Ref
from homeostat.engine.recovery.reading import TargetReader
from homeostat.ports import Cluster, Forbidden, Objects, Targets

T = TypeVar("T")

FORBIDDEN = "Forbidden"
_OF_THE_TARGET = (
    "target_unclear", "target_not_found", "not_replaced", "target_paused", "locked", "nothing_to_do", "in_flight",
    "rollout_in_progress", "too_many_unhealthy",
)  # fmt: skip
"""Gates that need the target to be read."""


@dataclass(frozen=True, slots=True)
class Reach:
    """The ports that are read."""

    objects: Objects
    cluster: Cluster
    targets: Targets


@dataclass(slots=True)
class Reads:
    """Reads one thing after another, and remembers of which gates nothing is known because one may not."""

    not_known: dict[str, str] = field(default_factory=dict)

    async def attempt(self, reading: Awaitable[T], may: str, gates: Sequence[str], otherwise: T) -> T:
        """Read something; what one may not read is `otherwise`, and its gates are not known."""
        try:
            return await reading
        except Forbidden:
            self.deny(may, gates)
            return otherwise

    def deny(self, may: str, gates: Sequence[str]) -> None:
        """Take note that one may not."""
        self.not_known |= dict.fromkeys(gates, f"you may not {may}")


@dataclass(frozen=True, slots=True)
class _Permitted:
    """Targets and their locks (`ports.Targets`, `Cluster.lock`), as far as one may read them."""

    reach: Reach
    reads: Reads

    async def lock(self, target: Ref) -> Lock | None:
        reading = self.reach.cluster.lock(target)
        return await self.reads.attempt(reading, "get leases, which locks are", ("locked",), None)

    async def named(self, namespace: str, kind: str, name: str) -> Workload | None:
        reading = self.reach.targets.named(namespace, kind, name)
        return await self.reads.attempt(reading, f"read {kind} {name} and its pods", _OF_THE_TARGET, None)

    async def selected(self, namespace: str, kind: str, selector: str) -> tuple[Workload, ...]:
        reading = self.reach.targets.selected(namespace, kind, selector)
        return await self.reads.attempt(reading, f"list {kind}s and pods", _OF_THE_TARGET, ())

    async def pods_on(self, node: str) -> tuple[Pod, ...]:
        reading = self.reach.targets.pods_on(node)
        return await self.reads.attempt(reading, "list pods of all namespaces", _OF_THE_TARGET, ())

    async def revisions(self, workload: Workload) -> tuple[Revision, ...]:
        reading = self.reach.targets.revisions(workload)
        return await self.reads.attempt(reading, "list the target's revisions", ("nothing_to_do",), ())

    async def try_patch(self, target: Ref, strategy: str, body: Mapping[str, Any]) -> PatchEffect:
        effect = await self.reach.targets.try_patch(target, strategy, body)
        if effect.refusal and effect.refusal[0] == FORBIDDEN:
            self.reads.deny(f"patch {target.kind} {target.name}, not even to try", ("nothing_to_do",))
        return effect

    async def fields(self, target: Ref, wanted: Mapping[str, Any]) -> Mapping[str, Any]:
        reading = self.reach.targets.fields(target, wanted)
        return await self.reads.attempt(reading, f"get {target.kind} {target.name}", ("nothing_to_do",), {})

    async def job(self, namespace: str, name: str) -> Job | None:
        return await self.reads.attempt(self.reach.targets.job(namespace, name), "get jobs", ("nothing_to_do",), None)


def reader_of(namespace: str, reach: Reach, reads: Reads) -> TargetReader:
    """Read targets as the operator does; whether it lets the policy touch Nodes is on its record."""
    permitted = _Permitted(reach, reads)
    return TargetReader(cast("Cluster", permitted), permitted, (namespace,))  # it reads nothing but locks of it
