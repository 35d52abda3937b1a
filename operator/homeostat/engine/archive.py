"""The way to the history store: a bounded queue and one writer, so that no decision ever waits for a disk.

History that cannot be written is retried until the queue is full; then raw runs are given up, and when there are
none, the oldest of the rest. Control state is not here; it is in the API server.
"""

import asyncio
from collections import deque
from collections.abc import Sized

import structlog

from homeostat.core.history.records import Runs
from homeostat.engine.telling import trace_story
from homeostat.ports import UNTRACED, Clock, History, HistoryUnavailable, Pruned, Record, StoredAttempt, Tracer
from homeostat.telemetry.metrics import Metrics

log = structlog.get_logger("homeostat.history")

MAX_WAITING = 250_000
"""Rows that may wait: minutes of series, at most 100 bytes each; ten minutes of 10,000 checks."""
GATHER_FOR = 1.0
"""Seconds: a transaction costs as much as a hundred rows. With the 2 s between snapshots of the unfinished minute, a
kill loses at most 3 s of counts and as long as a write takes."""
RETRY_AFTER = 10.0  # seconds
PRUNE_EVERY = 600.0  # seconds


class Archive:
    """Takes records from anywhere and writes them in batches."""

    def __init__(self, history: History, clock: Clock, metrics: Metrics, tracer: Tracer = UNTRACED) -> None:
        self.history = history
        self._tracer = tracer
        self._clock = clock
        self._metrics = metrics
        self._waiting: deque[Record] = deque()
        self._rows = 0
        self._news = asyncio.Event()
        self._pruned_at: float | None = None
        self.is_writable = True

    def keep(self, *records: Record) -> None:
        """Queue records; when the queue is full some are given up."""
        if self._tracer.is_on:
            for over in records:
                if isinstance(over, StoredAttempt):
                    trace_story(self._tracer, over)
        self._waiting.extend(records)
        self._rows += sum(map(_rows, records))
        if self._rows > MAX_WAITING:
            self._give_up()
        self._news.set()

    def _give_up(self) -> None:
        """Make the queue fit again: raw runs first, as minutes and hours outlive them by far."""
        by_worth = [*(one for one in self._waiting if isinstance(one, Runs)), *self._waiting]
        given_up: set[int] = set()
        for record in by_worth:
            if self._rows <= MAX_WAITING:
                break
            if id(record) not in given_up:
                given_up.add(id(record))
                self._rows -= _rows(record)
                self._metrics.history_dropped(_rows(record))
        self._waiting = deque(record for record in self._waiting if id(record) not in given_up)

    async def run(self) -> None:
        """Write what is queued, for ever."""
        while True:
            await self._news.wait()
            await asyncio.sleep(GATHER_FOR)
            self._news.clear()
            if not await self.flush():
                await asyncio.sleep(RETRY_AFTER)
                self._news.set()

    async def flush(self) -> bool:
        """Write all that is queued now; False when the store could not take it, and then nothing is lost."""
        batch = list(self._waiting)
        self._waiting.clear()
        self._rows = 0
        try:
            await self.history.add(batch)
            batch = []  # written: a pruning that fails does not bring it back
            await self._prune()
        except HistoryUnavailable as error:
            self._bring_back(batch)
            self._failed(str(error))
            return False
        except Exception:  # a bug: this batch would fail for ever, and history is nobody's safety
            log.exception("history given up", records=len(batch))
            self._metrics.history_dropped(sum(map(_rows, batch)))
            return False
        except asyncio.CancelledError:  # a stop: the last flush takes what this one did not
            self._bring_back(batch)
            raise
        self._recovered()
        return True

    def _bring_back(self, batch: list[Record]) -> None:
        self._waiting.extendleft(reversed(batch))
        self._rows += sum(map(_rows, batch))

    async def _prune(self) -> None:
        now = self._clock.monotonic()
        if self._pruned_at is not None and now - self._pruned_at < PRUNE_EVERY:
            return
        left = await self.history.prune(self._clock.now())
        self._pruned_at = now
        self._show(left)

    def _show(self, left: Pruned) -> None:
        self._metrics.history_takes(left.size)
        if left.is_cut:
            log.warning("history cut", bytes=left.size, reason="larger than history_max_bytes", given_up="oldest first")

    def _failed(self, reason: str) -> None:
        self._metrics.history_failed()
        if self.is_writable:
            log.error("history unavailable", reason=reason, effect="figures of the past may be lost, control is not")
        self.is_writable = False

    def _recovered(self) -> None:
        if not self.is_writable:
            log.info("history available again", waiting=len(self._waiting))
        self.is_writable = True


def _rows(record: Record) -> int:
    return len(record) if isinstance(record, Sized) else 1
