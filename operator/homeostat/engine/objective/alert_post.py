"""Keeps Alertmanager told: what fires, at once and again every minute; what ended, until Alertmanager took it.

Nothing is queued. What is to be told follows from what fires now and what was told before, so an hour without
Alertmanager costs no memory. A firing alert is told to end in four minutes, and told again long before: what ended
while we were down, Alertmanager ends by itself; what still fires after our restart goes on, for it began at the same
time and has the same labels.
"""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from operator import is_
from typing import Protocol

import structlog

from homeostat.core.objective.firing import FiringAlert
from homeostat.engine.objective.alert_book import AlertBook
from homeostat.notify.alertmanager import Fate, Posting
from homeostat.ports import UNTRACED, Clock, Tracer
from homeostat.telemetry.metrics import Metrics

log = structlog.get_logger("homeostat.alerts")

LOOK_EVERY = 0.5  # seconds
REPEAT_EVERY = 60.0  # seconds
LIVES_FOR = timedelta(minutes=4)
MOST_AT_ONCE = 64
MOST_ENDED = 10_000
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 30.0
"""Seconds to wait after Alertmanager was not there; doubling in between."""

Labels = tuple[tuple[str, str], ...]


class Sink(Protocol):
    """What alerts are posted to."""

    async def post(self, postings: Sequence[Posting]) -> Fate:
        """Post alerts, all at once; never raises for what may come back."""
        ...


@dataclass(frozen=True, slots=True)
class _Told:
    """An alert that Alertmanager was told of, or may have been. `due`: when to tell again (monotonic s).

    `ended_at` is when it was seen to have ended, and Alertmanager has not taken that yet.
    """

    alert: FiringAlert
    due: float
    ended_at: datetime | None = None


class AlertPost:
    """Posts the alerts of a book to a sink. Run it only once all objects are loaded: what is not there has ended."""

    def __init__(self, book: AlertBook, sink: Sink, clock: Clock, metrics: Metrics, tracer: Tracer = UNTRACED) -> None:
        self._tracer = tracer
        self._book = book
        self._sink = sink
        self._clock = clock
        self._metrics = metrics
        self._told: dict[Labels, _Told] = {}
        self._seen: Sequence[FiringAlert] = ()
        self._pause = 0.0
        self._refused: set[Labels] = set()
        self.is_reachable = True

    async def run(self) -> None:
        """Post, for ever."""
        while True:
            await self.post_due()
            await asyncio.sleep(max(self._pause, LOOK_EVERY))

    async def look(self) -> None:
        """Note what fires and what ended. Look once before anything is decided: what ends first is told then."""
        firing = await self._book.firing()
        if len(firing) != len(self._seen) or not all(map(is_, firing, self._seen)):
            self._compare(firing)
            self._seen = firing

    async def post_due(self) -> None:
        """Post what Alertmanager has to be told now; stop at the first post that does not get through."""
        await self.look()
        due = [one for one in self._told.values() if one.due <= self._clock.monotonic()]
        for start in range(0, len(due), MOST_AT_ONCE):
            if not await self._post(due[start : start + MOST_AT_ONCE]):
                self._failed()
                return
        if due:
            self._recovered()

    def _compare(self, firing: Iterable[FiringAlert]) -> None:
        """Note what began, what goes on and what ended."""
        now, at = self._clock.monotonic(), self._clock.now()
        current = {alert.labels: alert for alert in firing}
        for labels, alert in current.items():
            told = self._told.get(labels)
            if told is None or told.ended_at is not None or told.alert.since != alert.since:
                self._told[labels] = _Told(alert, now)
            elif told.alert is not alert:  # the figures in its annotations moved
                self._told[labels] = replace(told, alert=alert)
        for labels, told in list(self._told.items()):
            if labels not in current and told.ended_at is None:
                self._told[labels] = replace(told, due=now, ended_at=at)
        self._forget_oldest()

    def _forget_oldest(self) -> None:
        """Bound what ended and could not be told; Alertmanager ends it by itself."""
        if len(self._told) <= MOST_ENDED:
            return
        ended = [(told.ended_at, labels) for labels, told in self._told.items() if told.ended_at is not None]
        for _, labels in sorted(ended)[: max(0, len(ended) - MOST_ENDED)]:
            del self._told[labels]

    async def _post(self, batch: Sequence[_Told]) -> bool:
        """Post a batch; one that is refused is halved until only what is wrong is left out. False: not available."""
        ends_at = self._clock.now() + LIVES_FOR
        with self._tracer.span("post alerts", {"homeostat.alerts": len(batch)}, is_root=True):
            fate = await self._sink.post([Posting(one.alert, one.ended_at or ends_at) for one in batch])
            self._tracer.note({"homeostat.outcome": fate.value})
        self._metrics.alerts_posted(fate.value)
        if fate is Fate.UNAVAILABLE:
            return False
        if fate is Fate.REFUSED and len(batch) > 1:
            middle = len(batch) // 2
            return await self._post(batch[:middle]) and await self._post(batch[middle:])
        for one in batch:
            self._settle(one, is_taken=fate is Fate.TAKEN)
        return True

    def _settle(self, one: _Told, *, is_taken: bool) -> None:
        """Note that an alert was told; one that is refused is tried again with the next repetition."""
        labels = one.alert.labels
        if is_taken:
            self._refused.discard(labels)
        elif labels not in self._refused:
            self._refused.add(labels)
            log.warning("alert refused", by="Alertmanager", labels=dict(labels))
        if one.ended_at is not None:
            self._told.pop(labels, None)
            self._refused.discard(labels)
        else:
            self._told[labels] = replace(one, due=self._clock.monotonic() + REPEAT_EVERY)

    def _failed(self) -> None:
        self._pause = min(LONGEST_PAUSE, max(FIRST_PAUSE, 2 * self._pause))
        if self.is_reachable:
            log.error("Alertmanager unavailable", effect="alerts are in status and at /api/v1/alerts only")
        self.is_reachable = False

    def _recovered(self) -> None:
        self._pause = 0.0
        if not self.is_reachable:
            log.info("Alertmanager available again", alerts=len(self._told))
        self.is_reachable = True
