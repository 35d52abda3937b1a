"""The engine: takes what the watch shows, keeps every object evaluated and every check probed.

    watch ─▶ take ─▶ store ─▶ timetable ─┬▶ evaluations ─▶ reconciler ─▶ controllers
                                 ▲       └▶ probing ─▶ track ─┐
                                 └───────────── wake ─────────┘

One key is never evaluated twice at once; one that changes meanwhile is evaluated again.
"""

import asyncio
from collections.abc import Mapping
from typing import Any

import structlog

from homeostat.engine.checks import Check
from homeostat.engine.controller import Controller
from homeostat.engine.crew import Crew
from homeostat.engine.directory import Directory
from homeostat.engine.objects import Change, Entry, Key, ObjectStore, entry_from
from homeostat.engine.probing import Probing
from homeostat.engine.reconcile import Reconciler
from homeostat.engine.timetable import Timetable
from homeostat.engine.wakes import Wakes
from homeostat.ports import Clock

log = structlog.get_logger("homeostat.engine")


GRACE = 20.0
"""Seconds that a graceful stop gives to evaluations under way; a kill at any moment is safe too, only slower."""


class Engine:
    """Ties store, timetable, evaluations and probing together.

    What measures, what heals, and what breaks and undoes have workers of their own: no heal waits behind 10,000
    checks, and no undo behind many policies.
    """

    def __init__(self, clock: Clock, store: ObjectStore, directory: Directory, wakes: Wakes, workers: int) -> None:
        self._clock = clock
        self._store = store
        self._directory = directory
        self._wakes = wakes
        self._busy: set[Key] = set()
        self._changed_meanwhile: set[Key] = set()
        self._idle = asyncio.Event()
        self._measuring = Crew(self._evaluate, workers)
        self._healing = Crew(self._evaluate, workers)
        self._breaking = Crew(self._evaluate, workers)
        self._crews = {"HealthCheck": self._measuring, "ServiceLevelObjective": self._measuring,
                       "RecoveryPolicy": self._healing}  # fmt: skip
        self.timetable: Timetable[Check | Key] = Timetable(clock, self._start)

    def equip(self, controllers: Mapping[str, Controller], reconciler: Reconciler, probing: Probing) -> None:
        """Give the engine the parts that themselves need it."""
        self._controllers = controllers
        self._reconciler = reconciler
        self._probing = probing

    async def run(self) -> None:
        """Evaluate and probe until cancelled."""
        async with self._measuring, self._healing, self._breaking, self._probing.crew:
            self._probing.open()
            self.timetable.open()
            try:
                await asyncio.Event().wait()
            finally:
                self.timetable.close()

    async def drain(self) -> None:
        """Start nothing more, and wait until what is being evaluated is done, or for GRACE seconds."""
        self.timetable.close()
        try:
            async with asyncio.timeout(GRACE):
                while self._busy:
                    self._idle.clear()
                    await self._idle.wait()
        except TimeoutError:
            log.warning("evaluations cut short", objects=len(self._busy))

    # --- what the watch shows ---------------------------------------------------------------------------

    def see(self, kind: str, event: str, body: dict[str, Any]) -> None:
        """Take one raw event of the watch."""
        if kind == "EndpointSlice":
            _ = self._directory.remove(body) if event == "DELETED" else self._directory.put(body)
            return
        entry = entry_from(body, kind)
        if event == "DELETED":
            self.drop(entry.key, entry.ref.uid)
        else:
            self.take(entry)

    def take(self, entry: Entry) -> Change:
        """Take a version of an object; evaluate it if it asks something new."""
        known = self._store.get(entry.key)
        change = self._store.put(entry)
        if change is Change.REPLACED and known is not None:
            self._controllers[entry.ref.kind].removed(known)
        if change in {Change.SPEC, Change.REPLACED}:
            self._notice(entry)
            self.wake(entry.key)
        return change

    def _notice(self, entry: Entry) -> None:
        spec = entry.spec()
        try:
            accepted = None if isinstance(spec, str) else spec
            self._controllers[entry.ref.kind].changed(entry, accepted, entry.problem())
        except Exception:  # a bug in one object spares the others, and the loading of all
            log.exception("bug", kind=entry.ref.kind, namespace=entry.ref.namespace, name=entry.ref.name)

    def drop(self, key: Key, uid: str) -> None:
        """Take note that an object is gone."""
        entry = self._store.remove(key, uid)
        if entry is None:
            return
        self._controllers[key.kind].removed(entry)
        self._wakes.forget(key)
        self.wake(key)

    # --- when things happen -----------------------------------------------------------------------------

    def wake(self, key: Key) -> None:
        """Evaluate an object now, and all that look at it."""
        self.timetable.add_now(key)
        for dependent in self._wakes.of(key):
            self.timetable.add_now(dependent)

    def _start(self, work: Check | Key, due: float) -> None:
        if isinstance(work, Check):
            self._probing.start(work, due)
        elif work in self._busy:
            self._changed_meanwhile.add(work)
        else:
            self._busy.add(work)
            self._crews.get(work.kind, self._breaking).put(work)

    async def _evaluate(self, key: Key) -> None:
        again: float | None = None
        try:
            again = await self._reconciler.reconcile(key)
        finally:
            self._busy.discard(key)
            self._idle.set()
        if key in self._changed_meanwhile:
            self._changed_meanwhile.discard(key)
            self.timetable.add_now(key)
        elif again is not None:
            self.timetable.add(key, self._clock.monotonic() + again)
