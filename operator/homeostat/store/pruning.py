"""How the history store stays small: what is past its retention goes, and if that is not enough, the finest first."""

from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import Column, ColumnElement, Connection, Table, delete, func, select

from homeostat.core.history.records import FIVE_MINUTES, Retention
from homeostat.core.history.window import DAY, HOUR, MINUTE
from homeostat.store import schema

SHARE = 4
"""One of this many parts of a table's time is cut off at a time."""


class Tier(NamedTuple):
    """What ages together: which rows of which table, by when they `begin`, how long one lasts, how long all stay (s).

    `least` is what is never cut, however large the store is.
    """

    table: Table
    begin: Column[int]
    seconds: int
    which: tuple[ColumnElement[bool], ...] = ()
    least: int = 0


def expire(connection: Connection, retention: Retention, now: datetime) -> None:
    """Delete what is past its retention."""
    at = int(now.timestamp())
    for tier in _TIERS:
        connection.execute(delete(tier.table).where(*tier.which, tier.begin < at - _kept(tier, retention)))
    for times in (schema.attempt.c.started_at, schema.decision.c.at):
        connection.execute(delete(times.table).where(times < now - timedelta(seconds=retention.hours)))
    # A series is seen once a day; when it was not for so long, its last hour is gone too.
    connection.execute(delete(schema.series).where(schema.series.c.seen < at - retention.hours - 2 * DAY))


def cut(connection: Connection) -> bool:
    """Delete a part of the oldest of the finest; False when only the newest of everything is left."""
    for table, begin, seconds, which, least in _TIERS:
        ends = (select(function(begin)).where(*which) for function in (func.min, func.max))
        oldest, newest = (connection.execute(query).scalar() for query in ends)
        if oldest is None or newest is None:
            continue
        until = min(oldest + max(seconds, (newest - oldest) // SHARE), newest - least)
        if oldest < until:
            connection.execute(delete(table).where(*which, begin < until))
            return True
    return False


def _kept(tier: Tier, retention: Retention) -> int:
    if tier.table is schema.delivery:
        return retention.deliveries
    return retention.results if tier.table is schema.runs else retention.of(tier.seconds)


_LENGTH, _START = schema.counts.c.seconds, schema.counts.c.start
_TIERS = (
    Tier(schema.runs, schema.runs.c.start, MINUTE),
    Tier(schema.delivery, schema.delivery.c.at, MINUTE, least=HOUR),
    Tier(schema.counts, _START, MINUTE, (_LENGTH == MINUTE,)),
    Tier(schema.counts, _START, FIVE_MINUTES, (_LENGTH == FIVE_MINUTES,)),
    Tier(schema.latencies, schema.latencies.c.start, HOUR),
    Tier(schema.counts, _START, HOUR, (_LENGTH == HOUR,)),
)
"""All that ages, finest first."""
