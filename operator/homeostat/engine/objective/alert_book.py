"""The alerts that fire now, read from the statuses of all objectives: they are the truth, and survive restarts."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from time import monotonic

from homeostat.api.objective import KIND, ServiceLevelObjectiveSpec
from homeostat.api.objective_status import ServiceLevelObjectiveStatus
from homeostat.core.objective.firing import FiringAlert, alerts_of, factors_of
from homeostat.engine.objects import Entry, Key, ObjectStore

TURN = 0.001
"""Seconds that are spent before others get their turn."""
AT_ONCE = 50
_HAS_ALERTS = b'{"alerts":[{'
"""How every status with alerts begins as entries keep it: by name, `alerts` is the first of its fields."""


class AlertBook:
    """Reads alerts of statuses. One without alerts costs a look at its first bytes, others are parsed once a change."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self._known: dict[Key, tuple[Entry, tuple[FiringAlert, ...]]] = {}

    async def firing(self, namespace: str = "") -> list[FiringAlert]:
        """Give the alerts of a namespace, or of all ("")."""
        found, seen = list[FiringAlert](), set[Key]()
        async for entries in in_turns(self._store, namespace):
            for entry in [one for one in entries if one.status_json.startswith(_HAS_ALERTS)]:
                seen.add(entry.key)
                found += self._of(entry)
        if not namespace:
            for key in self._known.keys() - seen:
                del self._known[key]
        return found

    def _of(self, entry: Entry) -> tuple[FiringAlert, ...]:
        known = self._known.get(entry.key)
        if known is not None and known[0] is entry:
            return known[1]
        status = entry.status()
        alerts: tuple[FiringAlert, ...] = ()
        if isinstance(status, ServiceLevelObjectiveStatus):
            spec = entry.spec()
            factors = factors_of(spec, status) if isinstance(spec, ServiceLevelObjectiveSpec) else {}
            alerts = alerts_of(entry.ref.namespace, entry.ref.name, service_of(entry), status, factors)
        self._known[entry.key] = entry, alerts
        return alerts


def service_of(entry: Entry) -> str:
    """Give the service that an objective speaks for; "" when it names none."""
    spec = entry.spec()
    return spec.service if isinstance(spec, ServiceLevelObjectiveSpec) else ""


async def in_turns(store: ObjectStore, namespace: str = "") -> AsyncIterator[Sequence[Entry]]:
    """Give all objectives of a namespace, or of all (""), some at a time; others get their turn every millisecond."""
    entries, began = list(store.of_kind(KIND.kind, namespace or None)), monotonic()
    for start in range(0, len(entries), AT_ONCE):
        yield entries[start : start + AT_ONCE]
        if monotonic() - began >= TURN:
            await asyncio.sleep(0)
            began = monotonic()
