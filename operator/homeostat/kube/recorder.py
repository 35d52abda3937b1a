"""Kubernetes events (`ports.Recorder`): one object per thing that happened, counted in a series when it repeats.

The name of an event follows from its object, reason and note, so that a restarted operator goes on counting where
the last one stopped. Each object may cause a burst of writes and then few; what is held back is counted, and the
count is told with the next write.
"""

import hashlib
import logging
from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from homeostat.api.meta import GROUP, format_precise_time
from homeostat.core.decision import Event
from homeostat.core.pace import TokenBucket
from homeostat.core.ref import Ref
from homeostat.kube.apiserver.api_versions import api_version_of
from homeostat.kube.apiserver.client import MERGE_PATCH, ApiClient
from homeostat.kube.apiserver.gate import Urgency
from homeostat.kube.apiserver.resources import EVENT
from homeostat.ports import Conflict, Forbidden, Gone, Rejected, Unavailable

CONTROLLER = f"{GROUP}/operator"
_NOTE_BYTES = 1024
_OBJECTS = 2048  # remembered; the longest unheard of is forgotten first
_SERIES = 32  # remembered for each object
_BURST = 25
_PER_SECOND = 1 / 30

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Told:
    """What we remember of one object: its allowance, and how often each event happened (by event name)."""

    allowance: TokenBucket = field(default_factory=lambda: TokenBucket(_PER_SECOND, _BURST))
    counts: OrderedDict[str, int] = field(default_factory=OrderedDict)


class ApiRecorder:
    """`ports.Recorder` on the API server. `instance` names this process (the pod's name)."""

    def __init__(self, client: ApiClient, instance: str) -> None:
        self._client = client
        self._instance = instance[:128] or "homeostat"
        self._objects: OrderedDict[str, _Told] = OrderedDict()

    async def record(self, about: Ref, event: Event, now: datetime) -> None:
        """Tell what happened to `about`. Losing an event is logged, never raised."""
        name = event_name(about, event)
        told = self._recall(about.uid)
        count = _remember(told.counts, name)
        if not told.allowance.take_if_there(now.timestamp()):
            return
        try:
            told.counts[name] = await self._write(name, about, event, now, count)
        except (Conflict, Gone, Unavailable, Forbidden, Rejected) as error:
            _log.warning("an event was lost: %s of a %s: %s", event.reason, about.kind, type(error).__name__)

    def _recall(self, uid: str) -> _Told:
        told = self._objects.setdefault(uid, _Told())
        self._objects.move_to_end(uid)
        if len(self._objects) > _OBJECTS:
            self._objects.popitem(last=False)
        return told

    async def _write(self, name: str, about: Ref, event: Event, now: datetime, count: int) -> int:
        """Create the event, or raise the count of the one that is there; give the count as it stands now."""
        namespace = about.namespace or "default"
        if count > 1:
            try:
                return await self._patch_series(namespace, name, count, now)
            except Gone:
                pass  # the API server forgets events after an hour: a new one begins
        try:
            body = self._event(name, about, event, now)
            await self._client.request("POST", EVENT.path(namespace), body=body, urgency=Urgency.EVENT)
        except Conflict:
            return await self._count_on(namespace, name, now)
        return 1

    async def _count_on(self, namespace: str, name: str, now: datetime) -> int:
        """Raise the count that another process, or we before a restart, left there."""
        there = await self._client.request("GET", EVENT.path(namespace, name))
        series = there.get("series") or {}
        return await self._patch_series(namespace, name, int(series.get("count", 1)) + 1, now)

    async def _patch_series(self, namespace: str, name: str, count: int, now: datetime) -> int:
        series = {"count": count, "lastObservedTime": format_precise_time(now)}
        await self._client.request(
            "PATCH",
            EVENT.path(namespace, name),
            body={"series": series},
            content_type=MERGE_PATCH,
            urgency=Urgency.EVENT,
        )
        return count

    def _event(self, name: str, about: Ref, event: Event, now: datetime) -> dict[str, Any]:
        known = {"apiVersion": api_version_of(about.kind), "namespace": about.namespace}
        regarding = {"kind": about.kind, "name": about.name, "uid": about.uid}
        regarding |= {name: value for name, value in known.items() if value}  # a Node has no namespace
        return {
            "apiVersion": EVENT.api_version,
            "kind": "Event",
            "metadata": {"name": name, "namespace": about.namespace or "default"},
            "eventTime": format_precise_time(now),
            "type": event.type.value,
            "reason": event.reason,
            "action": event.action,
            "note": _shortened(event.note),
            "regarding": regarding,
            "reportingController": CONTROLLER,
            "reportingInstance": self._instance,
        }


def event_name(about: Ref, event: Event) -> str:
    """Name an event after its object, and what happened to which incarnation of it."""
    key = f"{about.kind}\n{about.uid}\n{event.type}\n{event.reason}\n{event.action}\n{event.note}"
    return f"{about.name[:200].rstrip('.-')}.{hashlib.sha256(key.encode()).hexdigest()[:16]}"


def _remember(counts: OrderedDict[str, int], name: str) -> int:
    counts[name] = counts.get(name, 0) + 1
    counts.move_to_end(name)
    if len(counts) > _SERIES:
        counts.popitem(last=False)
    return counts[name]


def _shortened(note: str) -> str:
    raw = note.encode()
    if len(raw) <= _NOTE_BYTES:
        return note
    return raw[: _NOTE_BYTES - 3].decode(errors="ignore") + "…"
