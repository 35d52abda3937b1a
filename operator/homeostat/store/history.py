"""The history store: SQLite in a file or PostgreSQL, by a thread of its own.

The thread does all that takes time, packing included, one thing after the other; the event loop only waits. A wait
that is given up leaves the thread to finish: what it writes is then written again, which changes nothing.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from functools import partial
from itertools import chain, compress, islice
from typing import TypeVar

from sqlalchemy import Connection, Engine

from homeostat.core.history.ledger import Closed
from homeostat.core.history.ranges import Grid, Step
from homeostat.core.history.records import Known, PastRun, Retention, Runs
from homeostat.ports import Delivery, HistoryUnavailable, Pruned, Record, StoredAttempt, StoredDecision
from homeostat.store import delivering, pruning, reading
from homeostat.store.opening import database_of, open_engine, translated
from homeostat.store.writing import Writer

T = TypeVar("T")

PERIODS = 30
"""Periods that are read at a time: of 10,000 series a tenth of a second."""
MOST_IN_DOUBT = 20_000
"""Keys that are remembered of deliveries that may have been counted although they failed."""


class SqlHistory:
    """History in a database. Opens at the first call, and again after it could not."""

    def __init__(self, url: str, retention: Retention | None = None) -> None:
        self._url = url
        self._retention = retention or Retention()
        self._thread: ThreadPoolExecutor | None = None
        self._database = database_of(url)
        self._engine: Engine | None = None
        self._writer = Writer(self._database)
        self._in_doubt: set[delivering.Digest] = set()
        self._places: tuple[Sequence[str], reading.Places] | None = None

    async def close(self) -> None:
        """Let go of the database."""
        if self._thread is not None:
            await self._in_thread(self._dispose)
            self._thread.shutdown(wait=False)
        self._thread = None

    async def add(self, records: Sequence[Record]) -> None:
        """Write records in one transaction. What is written twice is there once."""
        if records:
            await self._in_thread(partial(self._add, records))

    async def deliver(self, deliveries: Sequence[Delivery], now: datetime) -> Sequence[bool]:
        """Count pushed events durably, all in one transaction; say of each delivery whether it was new.

        One that failed and was counted nevertheless, as a connection may break while it commits, is new when it
        comes again: nobody was told of it, and it is not counted again.
        """
        if not deliveries:
            return ()
        return await self._in_thread(partial(self._deliver, deliveries, int(now.timestamp())))

    async def recorded_until(self) -> int:
        """Give where the newest bucket ends (epoch s); 0 when there is none."""
        return await self._read(reading.recorded_until)

    async def periods(self, seconds: int, since: int, series: Sequence[str]) -> AsyncIterator[Closed]:
        """Read the buckets of one length from `since` on, oldest first, each period of all these series at once."""
        places = await self._read(lambda connection: self._places_of(connection, series))
        oldest, until = await self._read(lambda connection: reading.extent(connection, seconds))
        for start in range(max(since, oldest), until, PERIODS * seconds):
            stretch = start, min(start + PERIODS * seconds, until)
            read = partial(reading.periods, seconds=seconds, stretch=stretch, series=series, places=places)
            for period in await self._read(read):
                yield period

    async def runs(self, start: int, series: Sequence[str]) -> Runs | None:
        """Read the raw runs of the minute from `start`, of these series; None when there are none."""

        def read(connection: Connection) -> Runs | None:
            return reading.runs(connection, start, series, self._places_of(connection, series))

        return await self._read(read)

    async def span(self, series: str, grid: Grid) -> Sequence[Step]:
        """Read a range of one series in steps, with latencies."""

        def read(connection: Connection) -> Sequence[Step]:
            number = reading.number_of(connection, series)
            return () if number is None else reading.span(connection, number, grid)

        return await self._read(read)

    async def past_runs(self, series: str, since: int, until: int) -> Sequence[PastRun]:
        """Read the raw runs of one series in a range (epoch s), oldest first."""

        def read(connection: Connection) -> Sequence[PastRun]:
            number = reading.number_of(connection, series)
            return () if number is None else reading.past_runs(connection, number, [(since, until)])

        return await self._read(read)

    async def known(self, namespace: str = "", name: str = "") -> Sequence[Known]:
        """Read whose series there are: all, or those of a namespace, or of a name in it."""
        return await self._read(lambda connection: reading.known(connection, namespace, name))

    async def attempts(self, owner: str, limit: int = 100) -> Sequence[StoredAttempt]:
        """Read the newest attempts of an owner."""
        return await self._read(lambda connection: reading.attempts(connection, owner, limit))

    async def decisions(self, owner: str, limit: int = 100) -> Sequence[StoredDecision]:
        """Read the newest decisions of a RecoveryPolicy."""
        return await self._read(lambda connection: reading.decisions(connection, owner, limit))

    async def prune(self, now: datetime) -> Pruned:
        """Delete what is past its retention, and what the store has no room for; others get their turn in between."""
        await self._change(lambda connection: pruning.expire(connection, self._retention, now))
        is_cut = False
        while await self._read(self._database.used) > self._retention.most_bytes:
            if not await self._change(pruning.cut):
                break
            is_cut = True
        if is_cut or await self._read(self._database.is_loose):
            while await self._in_thread(self._shrink):
                pass
        return Pruned(await self._read(self._database.size), is_cut)

    # --- in the thread ----------------------------------------------------------------------------------

    async def _in_thread(self, do: Callable[[], T]) -> T:
        if self._thread is None:
            self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="history")
        return await asyncio.get_running_loop().run_in_executor(self._thread, do)

    async def _read(self, read: Callable[[Connection], T]) -> T:
        def do() -> T:
            with translated(), self._open().connect() as connection:
                return read(connection)

        return await self._in_thread(do)

    async def _change(self, change: Callable[[Connection], T]) -> T:
        def do() -> T:
            self._writer, self._places = Writer(self._database), None  # series may be gone
            return self._write(change)

        return await self._in_thread(do)

    def _add(self, records: Sequence[Record]) -> None:
        self._places = None
        self._write(lambda connection: self._writer.add(connection, records))

    def _deliver(self, deliveries: Sequence[Delivery], at: int) -> tuple[bool, ...]:
        self._places = None
        digests = [delivering.digest_of(delivery) for delivery in deliveries]
        asked = {digest for digest in digests if digest is not None}
        in_doubt: set[delivering.Digest] = set()

        def deliver(connection: Connection) -> tuple[bool, ...]:
            are_new = delivering.unknown(connection, digests)
            delivering.remember(connection, compress(digests, are_new), at)
            news = list(compress(deliveries, are_new))
            known = {one.series: one for one in chain.from_iterable(delivery.known for delivery in news)}
            self._writer.introduce(connection, list(known.values()))
            delivering.count(connection, self._writer, news)
            in_doubt.update(asked)  # only the commit is left: what failed before it was not counted
            return are_new

        try:
            are_new = self._write(deliver)
        except HistoryUnavailable:
            self._in_doubt |= set(islice(in_doubt, MOST_IN_DOUBT - len(self._in_doubt)))
            raise
        if not self._in_doubt:
            return are_new
        told = tuple(is_new or self._take_doubt(digest) for is_new, digest in zip(are_new, digests, strict=True))
        self._in_doubt -= asked
        return told

    def _take_doubt(self, digest: delivering.Digest | None) -> bool:
        """Whether this key is known only by a delivery of which nobody was told; the next one with it is not new."""
        is_in_doubt = digest in self._in_doubt
        self._in_doubt.discard(digest or b"")
        return is_in_doubt

    def _write(self, change: Callable[[Connection], T]) -> T:
        """Do something in a transaction, in which nobody else writes."""
        try:
            with translated(), self._open().connect() as connection:
                self._database.begin(connection)
                changed = change(connection)
                connection.commit()
                return changed
        except BaseException:
            self._writer = Writer(self._database)  # numbers it learnt may be taken back
            raise

    def _shrink(self) -> bool:
        with translated():
            return self._database.shrink(self._open())

    def _places_of(self, connection: Connection, series: Sequence[str]) -> reading.Places:
        """Look up the numbers of series, once for those who read again and again."""
        if self._places is None or self._places[0] is not series:
            self._places = series, reading.places_of(connection, series)
        return self._places[1]

    def _open(self) -> Engine:
        if self._engine is None:
            self._engine = open_engine(self._url)
        return self._engine

    def _dispose(self) -> None:
        if self._engine is not None:
            self._engine.dispose()
        self._engine = None
        self._writer = Writer(self._database)
