"""The way of events to the API server: a bounded queue and one writer, so that nobody's heal waits for telling it.

An event that cannot be told is not worth a second of a fault: when the queue is full the oldest is dropped.
"""

import asyncio
from collections import deque
from datetime import datetime

import structlog

from homeostat.core.decision import Event
from homeostat.core.ref import Ref
from homeostat.ports import Recorder

log = structlog.get_logger("homeostat.events")

MOST_WAITING = 5_000


class Herald:
    """A recorder that never makes anybody wait."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._waiting: deque[tuple[Ref, Event, datetime]] = deque(maxlen=MOST_WAITING)
        self._news = asyncio.Event()

    async def record(self, about: Ref, event: Event, now: datetime) -> None:
        """Queue an event."""
        self._waiting.append((about, event, now))
        self._news.set()

    async def run(self) -> None:
        """Tell what is queued, for ever."""
        while True:
            await self._news.wait()
            self._news.clear()
            await self.flush()

    async def flush(self) -> None:
        """Tell all that is queued now."""
        while self._waiting:
            about, event, now = self._waiting.popleft()
            try:
                await self._recorder.record(about, event, now)
            except Exception:  # a bug in telling one event spares the others
                log.exception("event not told", kind=about.kind, namespace=about.namespace, name=about.name)
