"""How the history store stays small: what is past its retention goes, and if that is not enough, the finest first."""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Table, delete, func, select

from homeostat.core.history import FIVE_MINUTES, Retention
from homeostat.core.window import DAY, HOUR, MINUTE
from homeostat.store import schema

FREE = 4
"""The file gives pages back when one of this many is free."""
PAGES = 2000
"""Pages given back at a time: 8 MiB."""
SHARE = 4
"""One of this many parts of a table's time is cut off at a time."""

Tier = tuple[Table, int, tuple[ColumnElement[bool], ...]]
"""What ages together: its table, the length of its periods (s), and which of the rows."""


def expire(connection: Connection, retention: Retention, now: datetime) -> None:
    """Delete what is past its retention."""
    at = int(now.timestamp())
    for table, seconds, which in _tiers():
        keep = retention.results if table is schema.runs else retention.of(seconds)
        connection.execute(delete(table).where(*which, table.c.start < at - keep))
    started = schema.attempt.c.started_at
    connection.execute(delete(schema.attempt).where(started < now - timedelta(seconds=retention.hours)))
    # A series is seen once a day; when it was not for so long, its last hour is gone too.
    connection.execute(delete(schema.series).where(schema.series.c.seen < at - retention.hours - 2 * DAY))


def cut(connection: Connection) -> bool:
    """Delete a part of the oldest of the finest; False when only the newest of everything is left."""
    for table, seconds, which in _tiers():
        ends = (select(function(table.c.start)).where(*which) for function in (func.min, func.max))
        oldest, newest = (connection.execute(query).scalar() for query in ends)
        if oldest is not None and newest is not None and oldest < newest:
            until = oldest + max(seconds, (newest - oldest) // SHARE)
            connection.execute(delete(table).where(*which, table.c.start < until))
            return True
    return False


def used(connection: Connection) -> int:
    """Give the bytes that are in use: what the file would have without free pages."""
    pages, free, size = _pages(connection)
    return (pages - free) * size


def has_much_free(connection: Connection) -> bool:
    """Whether so much of the file is free that it should shrink."""
    pages, free, _ = _pages(connection)
    return free > PAGES and free * FREE > pages


def shrink(connection: Connection) -> bool:
    """Give some free pages back to the disk; False when there are no more, and then the file has its size."""
    free = _pages(connection)[1]
    _run(connection, f"PRAGMA incremental_vacuum({PAGES})")
    if 0 < _pages(connection)[1] < free:
        return True
    _run(connection, "PRAGMA wal_checkpoint(TRUNCATE)")
    return False


def _run(connection: Connection, statement: str) -> None:
    """Run a statement to its end, which for these is not when it says that there are no rows."""
    cursor: Any = connection.connection.cursor()
    cursor.executescript(statement)
    cursor.close()


def _pages(connection: Connection) -> tuple[int, int, int]:
    found = [
        connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in ("page_count", "freelist_count", "page_size")
    ]
    return int(found[0] or 0), int(found[1] or 0), int(found[2] or 0)


def _tiers() -> tuple[Tier, ...]:
    """Give all that ages, finest first."""
    length = schema.counts.c.seconds
    return (
        (schema.runs, MINUTE, ()),
        (schema.counts, MINUTE, (length == MINUTE,)),
        (schema.counts, FIVE_MINUTES, (length == FIVE_MINUTES,)),
        (schema.latencies, HOUR, ()),
        (schema.counts, HOUR, (length == HOUR,)),
    )
