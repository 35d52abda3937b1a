"""The way to the history store: a bounded queue and one writer, so that no decision ever waits for a disk.

History that cannot be written is retried until the queue is full, then the oldest is given up, counted and
told once. Control state is not here; it is in the API server.
"""

import asyncio
from collections import deque
from collections.abc import Sequence

import structlog

from homeostat.core.window import Bucket
from homeostat.ports import Clock, History, HistoryUnavailable, StoredAttempt, StoredResult
from homeostat.telemetry.metrics import Metrics

log = structlog.get_logger("homeostat.history")

MAX_WAITING = 50_000  # records
GATHER_FOR = 2.0  # seconds: a transaction costs as much as a hundred rows
RETRY_AFTER = 10.0  # seconds
PRUNE_EVERY = 3600.0  # seconds

Record = Bucket | StoredResult | StoredAttempt


class Archive:
    """Takes records from anywhere and writes them in batches."""

    def __init__(self, history: History, clock: Clock, metrics: Metrics) -> None:
        self.history = history
        self._clock = clock
        self._metrics = metrics
        self._waiting: deque[Record] = deque()
        self._news = asyncio.Event()
        self._pruned_at = clock.monotonic()
        self.is_writable = True

    def keep(self, *records: Record) -> None:
        """Queue records; when the queue is full the oldest are given up."""
        self._waiting.extend(records)
        excess = len(self._waiting) - MAX_WAITING
        if excess > 0:
            for _ in range(excess):
                self._waiting.popleft()
            self._metrics.history_dropped(excess)
        self._news.set()

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
        try:
            await self._write(batch)
            batch = []  # written: a pruning that fails does not bring it back
            await self._prune()
        except HistoryUnavailable as error:
            self._waiting.extendleft(reversed(batch))
            self._failed(str(error))
            return False
        except Exception:  # a bug: this batch would fail for ever, and history is nobody's safety
            log.exception("history given up", records=len(batch))
            self._metrics.history_dropped(len(batch))
            return False
        except asyncio.CancelledError:  # a stop: the last flush takes what this one did not
            self._waiting.extendleft(reversed(batch))
            raise
        self._recovered()
        return True

    async def _write(self, batch: Sequence[Record]) -> None:
        """Write what overwrites itself first, and results, which do not, last: a batch may be written again."""
        await self.history.add_buckets([record for record in batch if isinstance(record, Bucket)])
        for record in batch:
            if isinstance(record, StoredAttempt):
                await self.history.add_attempt(record)
        await self.history.add_results([record for record in batch if isinstance(record, StoredResult)])

    async def _prune(self) -> None:
        now = self._clock.monotonic()
        if now - self._pruned_at >= PRUNE_EVERY:
            await self.history.prune(self._clock.now())
            self._pruned_at = now

    def _failed(self, reason: str) -> None:
        self._metrics.history_failed()
        if self.is_writable:
            log.error("history unavailable", reason=reason, effect="figures of the past may be lost, control is not")
        self.is_writable = False

    def _recovered(self) -> None:
        if not self.is_writable:
            log.info("history available again", waiting=len(self._waiting))
        self.is_writable = True
