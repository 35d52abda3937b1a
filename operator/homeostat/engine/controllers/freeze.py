"""Freeze: shows whether it is in force, and what it holds up."""

from collections.abc import Callable, Iterator
from datetime import datetime

import structlog

from homeostat.api.chaos_status import ChaosExperimentStatus
from homeostat.api.freeze import KIND, Activity, FreezeSpec, FreezeStatus
from homeostat.api.gameday_status import GameDayStatus
from homeostat.api.meta import Status
from homeostat.api.recovery_status import RecoveryPolicyStatus
from homeostat.core.cluster import FreezeInForce
from homeostat.core.decision import Decision
from homeostat.core.freeze import FreezeSeen, decide, in_force
from homeostat.core.ref import Ref
from homeostat.core.significance import Significance
from homeostat.engine.controller import Subject
from homeostat.engine.objects import Entry, Key, ObjectStore, Problem, entry_from
from homeostat.ports import Clock, Forbidden, Gone, Objects, Rejected, Unavailable

log = structlog.get_logger("homeostat.freeze")

STOPPED_KINDS = ("RecoveryPolicy", "ChaosExperiment", "GameDay")
UNREADABLE = FreezeSpec(stops=tuple(Activity), reason="its spec cannot be read, so it stops everything")
FROZEN = "Frozen"
"""The reason that both kinds give when a freeze stops them; their messages then begin with its name."""


class Freezes:
    """All freezes, for the decisions that must heed them.

    `are_heeded`: False only where the operator has no right in the whole cluster at all, and so cannot see any.
    """

    def __init__(
        self,
        store: ObjectStore,
        objects: Objects,
        take: Callable[[Entry], object],
        drop: Callable[[Key, str], None],
        *,
        are_heeded: bool = True,
    ) -> None:
        self._store = store
        self._objects = objects
        self._are_heeded = are_heeded
        self._take = take
        self._drop = drop

    async def refresh(self) -> None:
        """Read all freezes from the API server: before an act, what the watch may have missed must not matter.

        The store has all that the watch told of, but nothing says how old that is: a watch that is cut off looks like
        one without news. A kill switch must never be missed, and an old view forbids to act (R12): so whoever may act
        asks each time. It is one small list, and a policy at rest makes none.
        """
        if not self._are_heeded:
            return
        before = {entry.key: entry.ref.uid for entry in self._store.of_kind(KIND.kind)}
        found = [entry_from(body, KIND.kind) async for body in self._objects.list(KIND)]
        for entry in found:
            self._take(entry)
        for key in before.keys() - {entry.key for entry in found}:
            self._drop(key, before[key])

    async def refresh_if_possible(self) -> None:
        """Read all freezes if the API server lets us; an undo must not wait for that. What is known stays in force."""
        try:
            await self.refresh()
        except (Unavailable, Forbidden, Gone, Rejected) as error:
            log.warning("freezes not read", error=type(error).__name__)

    def in_force(self, namespace: str, what: Activity, now: datetime) -> FreezeInForce | None:
        """Find the freeze that stops `what` in a namespace now."""
        return in_force(self._specs(), namespace, what, now)

    def _specs(self) -> Iterator[tuple[str, FreezeSpec]]:
        """Give all freezes; one that cannot be read stops everything, for somebody wanted something stopped."""
        for entry in self._store.of_kind("Freeze"):
            spec = entry.spec()
            yield entry.ref.name, spec if isinstance(spec, FreezeSpec) else UNREADABLE


class FreezeController:
    """The controller of Freeze; `wake` asks for an evaluation of another object.

    `tells`: whether it writes the status, which one operator of the cluster does: not one for some namespaces.
    """

    def __init__(self, store: ObjectStore, wake: Callable[[Key], None], *, tells: bool = True) -> None:
        self._store = store
        self._wake = wake
        self._tells = tells

    def changed(self, entry: Entry, spec: FreezeSpec | None, problem: Problem | None) -> None:  # noqa: ARG002
        """Let everything that a freeze may stop, or let go on, look up."""
        for kind in STOPPED_KINDS:
            for held in self._store.of_kind(kind):
                self._wake(held.key)

    def removed(self, entry: Entry) -> None:
        """Let everything that it stopped look up."""
        self.changed(entry, None, None)

    async def decide(self, subject: Subject[FreezeSpec, FreezeStatus], clock: Clock) -> Decision[FreezeStatus]:
        """Decide on what is held up now."""
        if not self._tells:
            return Decision(subject.status)
        ref, status = subject.entry.ref, subject.status
        held = tuple(self._held(ref.name, status.since)) if status.engaged else ()
        return decide(subject.spec, status, FreezeSeen(ref, subject.entry.generation, held), clock.now())

    def stand_in(self) -> None:
        """Without a spec there is nothing to decide."""

    def significance(self, old: FreezeStatus, new: FreezeStatus) -> Significance:
        """Every difference is worth a write: freezes are few and matter."""
        return Significance.NOTHING if old == new else Significance.CHANGE

    def _held(self, name: str, since: datetime | None) -> Iterator[Ref]:
        """Find what says of itself that a freeze stops it: policies name it, experiments ended since it is in force."""
        for kind in STOPPED_KINDS:
            for entry in self._store.of_kind(kind):
                if _is_held(entry.status(), name, since):
                    yield entry.ref


def _is_held(status: Status, freeze: str, since: datetime | None) -> bool:
    if isinstance(status, RecoveryPolicyStatus):
        blocked = status.blocked
        return blocked is not None and blocked.reason == FROZEN and blocked.message.startswith(f"Freeze {freeze}:")
    if isinstance(status, (ChaosExperimentStatus, GameDayStatus)):
        is_since = since is not None and status.ended_at is not None and status.ended_at >= since
        return status.reason == FROZEN and is_since
    return False
