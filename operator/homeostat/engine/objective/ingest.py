"""Pushed events on their way into the books: durable first, then counted, then acknowledged.

Requests that come within a few milliseconds share one transaction. An event is in the store before anybody is told
that it was accepted, so a crash at any point loses nothing that was acknowledged; whoever got no answer repeats the
request with its key, and the store knows whether it was counted.
"""

import asyncio
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

import structlog

from homeostat.api.objective import KIND, ServiceLevelObjectiveSpec
from homeostat.api.objective_indicator import MOST_GROUPS
from homeostat.core.history.records import Known
from homeostat.core.objective.pushing import Accepted, Batch, PushReason, Refused, read_batch
from homeostat.engine.objects import Entry, Key, ObjectStore
from homeostat.ports import Clock, Delivery, History, HistoryUnavailable
from homeostat.telemetry.metrics import Metrics

log = structlog.get_logger("homeostat.ingest")

GATHER_FOR = 0.002  # seconds: a transaction costs as much as many deliveries
MOST_ROWS = 10_000
"""Counts of one transaction: more wait for the next, so that nobody waits long for others."""
PATIENCE = 20.0  # seconds

_GONE = Refused(PushReason.NOT_FOUND, "There is no such ServiceLevelObjective.")
_OTHER = Refused(PushReason.NOT_PUSHED_TO, "The indicator of this ServiceLevelObjective is not events.")
_IDLE = Refused(PushReason.NOT_ACCEPTED, "This ServiceLevelObjective is not evaluated: see its condition Ready.")
_EARLY = Refused(PushReason.NOT_READY, "What was counted before is not taken up from the store yet.")
_AWAY = Refused(PushReason.STORE_UNAVAILABLE, "The store cannot be written now: repeat with the same key.")


class Books(Protocol):
    """What of the meters pushed events are counted in."""

    def groups(self, key: Key) -> tuple[str, ...]:
        """Name the groups of an objective."""
        ...

    def series_name(self, key: Key, group: str) -> str | None:
        """Give the name of its series in the store; None when nothing counts for it."""
        ...

    def is_recalled(self, key: Key) -> bool:
        """Whether history was taken up: before that, events would be counted twice, as they are in history too."""
        ...

    def add(self, key: Key, group: str, minute: int, bad: float, total: float) -> bool:
        """Count events in a minute of the past or now, those of a group in the whole too; False: they do not fit."""
        ...


@dataclass(frozen=True, slots=True)
class _Parcel:
    """One delivery, whose it is, and who waits for what became of it: whether it was new; None if that is not known."""

    key: Key
    batch: Batch
    delivery: Delivery
    outcome: "asyncio.Future[bool | None]"


@dataclass(slots=True)
class _Waiting:
    """Parcels that nobody took yet."""

    parcels: deque[_Parcel] = field(default_factory=deque)
    news: asyncio.Event = field(default_factory=asyncio.Event)

    def put(self, parcel: _Parcel) -> None:
        """Add one."""
        self.parcels.append(parcel)
        self.news.set()

    def take(self) -> list[_Parcel]:
        """Take what fits into one transaction, without those that nobody waits for any more."""
        taken, rows = list[_Parcel](), 0
        while self.parcels and rows < MOST_ROWS:
            parcel = self.parcels.popleft()
            if not parcel.outcome.done():
                taken.append(parcel)
                rows += len(parcel.delivery.counts)
        if not self.parcels:
            self.news.clear()
        return taken


class Ingest:
    """Takes pushed events from any number of requests; `run` writes them."""

    def __init__(  # noqa: PLR0913, PLR0917 - where pushed events go, and who is told
        self,
        store: ObjectStore,
        books: Books,
        history: History,
        clock: Clock,
        metrics: Metrics,
        end_minute: Callable[[], None],
        pushed: Callable[[Key], None],
    ) -> None:
        """`end_minute` ends the books' minute if it is over: they count nothing in what is the future to them.

        `pushed` is told of every objective that events were pushed to, be it that there were none.
        """
        self._end_minute = end_minute
        self._pushed = pushed
        self._store = store
        self._books = books
        self._history = history
        self._clock = clock
        self._metrics = metrics
        self._waiting = _Waiting()
        self._is_over = False
        self._coming: defaultdict[Key, Counter[str]] = defaultdict(Counter)

    def refusal(self, namespace: str, name: str) -> Refused | None:
        """Say why no events can be pushed to an objective, whatever they are; None when they can."""
        found = self._find(Key(KIND.kind, namespace, name))
        return found if isinstance(found, Refused) else None

    async def push(self, namespace: str, name: str, header_key: str, body: object) -> Accepted | Refused:
        """Count the events of a parsed body, durably, or none of them."""
        key = Key(KIND.kind, namespace, name)
        answer = await self._push(key, header_key, body)
        self._metrics.pushed(_outcome(answer))
        if isinstance(answer, Accepted):
            self._pushed(key)
        return answer

    async def run(self) -> None:
        """Write what is pushed, for ever. When it ends, those who still wait are told to repeat."""
        try:
            while True:
                await self._waiting.news.wait()
                await asyncio.sleep(GATHER_FOR)
                await self._write(self._waiting.take())
        finally:
            self._is_over = True
            for parcel in self._waiting.parcels:
                _tell(parcel, None)

    async def _push(self, key: Key, header_key: str, body: object) -> Accepted | Refused:
        found = self._find(key)
        if isinstance(found, Refused):
            return found
        entry, group_by, series = found
        batch = read_batch(body, header_key, group_by, self._clock.now())
        if isinstance(batch, Refused):
            return batch
        refused = self._too_many(key, batch)
        if refused is not None:
            return refused
        coming = self._coming[key]
        coming.update(batch.groups)
        try:
            return await self._deliver(key, batch, self._delivery(entry, series, batch))
        finally:
            coming.subtract(batch.groups)
            self._forget_gone(key)

    def _find(self, key: Key) -> tuple[Entry, tuple[str, ...], str] | Refused:
        """Give the objective, the labels its events carry, and the name of its series."""
        entry = self._store.get(key)
        if entry is None:
            return _GONE
        spec = entry.spec()
        if not isinstance(spec, ServiceLevelObjectiveSpec) or entry.problem() is not None or entry.is_deleting:
            return _IDLE
        if spec.indicator.events is None:
            return _OTHER
        series = self._books.series_name(key, "")
        if series is None:
            return _IDLE
        return (entry, spec.indicator.events.group_by, series) if self._books.is_recalled(key) else _EARLY

    def _too_many(self, key: Key, batch: Batch) -> Refused | None:
        """Refuse the first entry that would open a group too many; those under way are as good as open."""
        if not any(batch.groups):
            return None
        groups = {*self._books.groups(key), *self._coming.get(key, ())}
        for group, index in batch.groups.items():
            groups.add(group)
            if len(groups - {""}) > MOST_GROUPS:
                return Refused(PushReason.TOO_MANY_GROUPS, f"An objective has {MOST_GROUPS} groups at most.", index)
        return None

    def _forget_gone(self, key: Key) -> None:
        left = +self._coming[key]
        if left:
            self._coming[key] = left
        else:
            del self._coming[key]

    def _delivery(self, entry: Entry, whole: str, batch: Batch) -> Delivery:
        """Name the series of each count; those of a group are part of the whole too.

        A group that nobody counts yet is introduced with its events, as it is found by its name after a kill.
        """
        bad, total = Counter[tuple[str, int]](), Counter[tuple[str, int]]()
        for count in batch.counts:
            names = {whole, self._books.series_name(entry.key, count.group) or whole}
            for name in names:
                bad[name, count.minute] += count.bad
                total[name, count.minute] += count.total
        rows = tuple((*place, float(bad[place]), float(total[place])) for place in total)
        return Delivery(entry.ref.uid, batch.key, rows, tuple(self._news(entry, batch)))

    def _news(self, entry: Entry, batch: Batch) -> Iterator[Known]:
        """Introduce the groups that are not counted yet."""
        ref, seen = entry.ref, int(self._clock.now().timestamp())
        for group in batch.groups.keys() - {"", *self._books.groups(entry.key)}:
            name = self._books.series_name(entry.key, group)
            if name is not None:
                yield Known(name, ref.namespace, ref.name, group, seen)

    async def _deliver(self, key: Key, batch: Batch, delivery: Delivery) -> Accepted | Refused:
        if self._is_over:
            return _AWAY
        parcel = _Parcel(key, batch, delivery, asyncio.get_running_loop().create_future())
        self._waiting.put(parcel)
        try:
            async with asyncio.timeout(PATIENCE):
                is_new = await parcel.outcome
        except TimeoutError:
            is_new = None
        if is_new is None:
            return _AWAY
        return Accepted(batch.entries if is_new else 0, is_duplicate=not is_new)

    async def _write(self, parcels: list[_Parcel]) -> None:
        """Write parcels in one transaction, count those that are new, and tell who waits."""
        news: list[bool | None] = [None] * len(parcels)
        try:
            if parcels:
                news = list(await self._history.deliver([one.delivery for one in parcels], self._clock.now()))
        except HistoryUnavailable as error:
            self._metrics.history_failed()
            log.warning("pushed events refused", reason=str(error), requests=len(parcels))
        except Exception:  # a bug: those who wait must hear of it, and others may still come
            log.exception("pushed events refused", requests=len(parcels))
        finally:
            if any(news):
                self._end_minute()
            for parcel, is_new in zip(parcels, news, strict=True):
                if is_new:
                    self._count(parcel)
                _tell(parcel, is_new)

    def _count(self, parcel: _Parcel) -> None:
        """Count a parcel; an objective that was replaced meanwhile gets nothing of its predecessor's."""
        entry = self._store.get(parcel.key)
        if entry is None or entry.ref.uid != parcel.delivery.objective:
            return
        for count in parcel.batch.counts:
            if not self._books.add(parcel.key, count.group, count.minute, count.bad, count.total):
                log.warning("pushed events are in the store only", **entry.ref_fields, group=count.group)
        self._metrics.pushed_events(sum(count.total for count in parcel.batch.counts))


def _tell(parcel: _Parcel, is_new: bool | None) -> None:  # noqa: FBT001 - what became of it
    if not parcel.outcome.done():
        parcel.outcome.set_result(is_new)


def _outcome(answer: Accepted | Refused) -> str:
    if isinstance(answer, Accepted):
        return "Duplicate" if answer.is_duplicate else "Accepted"
    return "Unavailable" if answer.reason is PushReason.STORE_UNAVAILABLE else "Refused"
