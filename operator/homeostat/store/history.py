"""The history store on SQLAlchemy Core: SQLite in a file."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Row, Select, delete, select
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from homeostat.core.window import Bucket
from homeostat.ports import StoredAttempt, StoredResult
from homeostat.store import schema
from homeostat.store.opening import open_engine, translated

KEEP_BUCKETS = {60: timedelta(hours=12), 300: timedelta(days=4), 3600: timedelta(days=92)}
"""How long buckets of each resolution (seconds) are kept: the longest window that reads them, and some slack."""
KEEP_RESULTS = timedelta(days=2)
KEEP_ATTEMPTS = timedelta(days=92)
_ROWS = 1000  # written at once: a minute of 10,000 series need not be in memory as parameters
_CHUNK = 500  # names in one IN (…): far below SQLite's limit on variables


class SqlHistory:
    """History in a database. Opens at the first call, and again after it could not."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._opened: AsyncEngine | None = None
        self._series_ids: dict[str, int] = {}

    async def close(self) -> None:
        """Let go of the database."""
        if self._opened is not None:
            await self._opened.dispose()
        self._opened = None

    async def add_buckets(self, buckets: Iterable[Bucket]) -> None:
        """Write or overwrite buckets in one transaction."""
        rows = list(buckets)
        if not rows:
            return
        engine = await self._engine()
        async with translated(), engine.begin() as connection:
            ids = await self._ids(connection, {row.series for row in rows})
            for first in range(0, len(rows), _ROWS):
                await self._upsert(connection, rows[first : first + _ROWS], ids)
        self._series_ids.update(ids)

    async def _upsert(self, connection: AsyncConnection, rows: Sequence[Bucket], ids: dict[str, int]) -> None:
        values = [
            {"seconds": row.seconds, "start": row.start, "series_id": ids[row.series],
             "good": row.good, "total": row.total, "observed": row.observed}
            for row in rows
        ]  # fmt: skip
        statement = insert(schema.bucket)
        replaced = {name: statement.excluded[name] for name in ("good", "total", "observed")}
        keys = ["series_id", "seconds", "start"]
        await connection.execute(statement.on_conflict_do_update(index_elements=keys, set_=replaced), values)

    async def buckets(self, seconds: int, since: int, series: Sequence[str] = ()) -> Sequence[Bucket]:
        """Read the buckets of one resolution from `since` (epoch s) on, oldest first."""
        engine = await self._engine()
        query = _buckets(seconds, since)
        async with translated(), engine.connect() as connection:
            if not series:
                return [_bucket(row) for row in await connection.execute(query)]
            found: list[Bucket] = []
            for first in range(0, len(series), _CHUNK):
                some = query.where(schema.series.c.name.in_(series[first : first + _CHUNK]))
                found += [_bucket(row) for row in await connection.execute(some)]
        return sorted(found, key=lambda bucket: bucket.start)

    async def add_results(self, results: Iterable[StoredResult]) -> None:
        """Append probe results."""
        rows = [
            {"check_uid": one.check, "at": one.at, "verdict": one.verdict, "reason": one.reason,
             "seconds": one.seconds, "target": one.target}
            for one in results
        ]  # fmt: skip
        if rows:
            engine = await self._engine()
            async with translated(), engine.begin() as connection:
                await connection.execute(schema.result.insert(), rows)

    async def add_attempt(self, attempt: StoredAttempt) -> None:
        """Write or overwrite an attempt by its id."""
        row = {
            "id": attempt.id, "owner_uid": attempt.owner, "kind": attempt.kind, "namespace": attempt.namespace,
            "name": attempt.name, "started_at": attempt.started_at, "ended_at": attempt.ended_at,
            "outcome": attempt.outcome, "details": attempt.details,
        }  # fmt: skip
        engine = await self._engine()
        statement = insert(schema.attempt).values(row)
        changed = {name: statement.excluded[name] for name in ("ended_at", "outcome", "details")}
        async with translated(), engine.begin() as connection:
            await connection.execute(statement.on_conflict_do_update(index_elements=["id"], set_=changed))

    async def attempts(self, owner: str, limit: int = 100) -> Sequence[StoredAttempt]:
        """Read the newest attempts of an owner."""
        engine = await self._engine()
        table = schema.attempt
        query = select(table).where(table.c.owner_uid == owner).order_by(table.c.started_at.desc()).limit(limit)
        async with translated(), engine.connect() as connection:
            return [_attempt(row) for row in await connection.execute(query)]

    async def prune(self, now: datetime) -> int:
        """Delete what is past its retention; give the number of rows."""
        engine = await self._engine()
        results, attempts = schema.result, schema.attempt
        old = [
            delete(results).where(results.c.at < now - KEEP_RESULTS),
            delete(attempts).where(attempts.c.started_at < now - KEEP_ATTEMPTS),
        ]
        async with translated(), engine.begin() as connection:
            count = sum([(await connection.execute(statement)).rowcount for statement in old])
            ids = list((await connection.execute(select(schema.series.c.id))).scalars())
        for first in range(0, len(ids), _CHUNK):
            count += await self._prune_buckets(engine, ids[first : first + _CHUNK], now)
        return count

    async def _prune_buckets(self, engine: AsyncEngine, ids: Sequence[int], now: datetime) -> int:
        """Prune some series in a transaction of their own, so that nobody waits long for the one writer."""
        table = schema.bucket
        async with translated(), engine.begin() as connection:
            count = 0
            for size, keep in KEEP_BUCKETS.items():
                is_old = (table.c.seconds == size) & (table.c.start < int((now - keep).timestamp()))
                count += (await connection.execute(delete(table).where(table.c.series_id.in_(ids) & is_old))).rowcount
            return count

    async def _engine(self) -> AsyncEngine:
        if self._opened is None:
            self._opened = await open_engine(self._url)
        return self._opened

    async def _ids(self, connection: AsyncConnection, names: set[str]) -> dict[str, int]:
        """Give the number of each series, numbering new ones."""
        unknown = sorted(names - self._series_ids.keys())
        if not unknown:
            return self._series_ids
        new = insert(schema.series).on_conflict_do_nothing()
        await connection.execute(new, [{"name": name} for name in unknown])
        rows = await connection.execute(select(schema.series.c.name, schema.series.c.id))
        return {row.name: row.id for row in rows}


def _buckets(seconds: int, since: int) -> Select[Any]:
    table = schema.bucket
    return (
        select(schema.series.c.name, table.c.start, table.c.seconds, table.c.good, table.c.total, table.c.observed)
        .join(schema.series, schema.series.c.id == table.c.series_id)
        .where(table.c.seconds == seconds, table.c.start >= since)
        .order_by(table.c.start)
    )


def _bucket(row: Row[Any]) -> Bucket:
    return Bucket(row.name, row.start, row.seconds, row.good, row.total, row.observed)


def _attempt(row: Row[Any]) -> StoredAttempt:
    return StoredAttempt(
        row.id, row.owner_uid, row.kind, row.namespace, row.name, _utc(row.started_at), _utc(row.ended_at),
        row.outcome, row.details,
    )  # fmt: skip


def _utc(moment: Any) -> Any:  # noqa: ANN401 - a datetime or None, and stays what it was
    """SQLite keeps no zones; what we wrote was UTC."""
    return moment if moment is None or moment.tzinfo else moment.replace(tzinfo=UTC)
