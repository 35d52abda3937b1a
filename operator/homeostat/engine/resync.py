"""The sweep that trusts no watch: list what there is, compare with what we know, mend and count the difference.

Watches lose deletions when they restart after 410, and some die silently. A difference is confirmed by reading
the one object again, since a listing is a moment old when it arrives. What the watch shows while we wait a
little before that was late and not missed: two drifts in a row end the process.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any

import structlog

from homeostat.api.kinds import KINDS
from homeostat.api.meta import Kind
from homeostat.engine.directory import Directory
from homeostat.engine.objects import Change, Entry, Key, ObjectStore, entry_from
from homeostat.ports import Clock, Gone, Objects
from homeostat.telemetry.metrics import Metrics

log = structlog.get_logger("homeostat.resync")

PATIENCE = 3.0
"""Seconds that the watch may be late with what a listing shows already."""

Slices = Callable[[], Awaitable[Iterable[dict[str, Any]]]]
"""Lists all EndpointSlices of the watched namespaces."""


class Resync:
    """Loads everything at start, and sweeps now and then. `take` and `drop` are the engine's."""

    def __init__(  # noqa: PLR0913 - what it reads, what it compares with, whom it tells
        self,
        objects: Objects,
        slices: Slices,
        store: ObjectStore,
        directory: Directory,
        *,
        clock: Clock,
        metrics: Metrics,
        namespaces: Sequence[str],
        kinds: Sequence[Kind] = KINDS,
        take: Callable[[Entry], Change],
        drop: Callable[[Key, str], None],
        patience: float = PATIENCE,
    ) -> None:
        self._objects = objects
        self._slices = slices
        self._store = store
        self._directory = directory
        self._clock = clock
        self._metrics = metrics
        self._namespaces = namespaces
        self._kinds = kinds
        self._take = take
        self._drop = drop
        self._patience = patience
        self._swept_at = clock.monotonic()
        self.drifts_in_a_row = 0

    @property
    def age(self) -> float:
        """Give the seconds since we last knew that nothing was missed."""
        return self._clock.monotonic() - self._swept_at

    async def load(self) -> None:
        """Read everything there is; before the first probe and the first decision."""
        await self._list_slices()
        for kind in self._kinds:
            async for body in self._objects.list(kind, self._namespaces_of(kind)):
                self._take(entry_from(body, kind.kind))
            self._metrics.knows(kind.kind, self._store.count(kind.kind))
        self._swept_at = self._clock.monotonic()

    async def sweep(self) -> int:
        """Compare and mend; give the number of objects that the watch had missed."""
        await self._list_slices()
        drift = 0
        for kind in self._kinds:
            found = await self._sweep_kind(kind)
            self._metrics.knows(kind.kind, self._store.count(kind.kind))
            drift += found
        self._swept_at = self._clock.monotonic()
        self.drifts_in_a_row = self.drifts_in_a_row + 1 if drift else 0
        if drift:
            log.warning("watch missed changes", objects=drift)
        return drift

    async def _list_slices(self) -> None:
        self._directory.begin_listing()
        self._directory.replace_all(await self._slices())

    async def _sweep_kind(self, kind: Kind) -> int:
        there: dict[Key, str] = {}
        async for ref, version in self._objects.list_versions(kind, self._namespaces_of(kind)):
            there[Key(ref.kind, ref.namespace, ref.name)] = version
        known = self._known(kind)
        suspects = [key for key in there.keys() | known.keys() if there.get(key) != known.get(key)]
        if not suspects:
            return 0
        await asyncio.sleep(self._patience)
        after = self._known(kind)
        return sum([await self._mend(kind, key) for key in suspects if after.get(key) == known.get(key)])

    def _known(self, kind: Kind) -> dict[Key, str]:
        return {entry.key: entry.resource_version for entry in self._store.of_kind(kind.kind)}

    async def _mend(self, kind: Kind, key: Key) -> int:
        """Read one object again; give 1 when the watch had missed something that matters."""
        try:
            body = await self._objects.get(kind, key.namespace, key.name)
        except Gone:
            was_known = self._store.get(key)
            if was_known is None:
                return 0
            self._drop(key, was_known.ref.uid)
            self._metrics.drifted(kind.kind)
            return 1
        if self._take(entry_from(body, kind.kind)) not in {Change.SPEC, Change.REPLACED}:
            return 0
        self._metrics.drifted(kind.kind)
        return 1

    def _namespaces_of(self, kind: Kind) -> Sequence[str]:
        return self._namespaces if kind.is_namespaced else ()
