"""What is asked of the history store: each function reads on a connection that it is given."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from sqlalchemy import Connection, Row, Table, func, select

from homeostat.core.history.ledger import Closed
from homeostat.core.history.ranges import (
    LENGTHS,
    Cell,
    Grid,
    Step,
    Stretch,
    settle,
    since_oldest,
    starts,
    summed,
    unsettled,
)
from homeostat.core.history.records import Known, Latency, PastRun, Runs, latency_of, past_run
from homeostat.core.history.window import HOUR, MINUTE
from homeostat.core.probing.result import Verdict
from homeostat.ports import StoredAttempt, StoredDecision
from homeostat.store import schema
from homeostat.store.packing import BLOCK, COUNTS, LATENCIES, RUNS, Numbers, Rows, counted, unpack, unpack_counts

Places = npt.NDArray[np.int64]
"""Where a reader has a series, by its number; -1 for those it did not ask for."""
AT_ONCE = 500
"""Values in one IN (…): far below SQLite's limit on variables."""
_NEVER = 1 << 60


# --- whose ----------------------------------------------------------------------------------------------


def known(connection: Connection, namespace: str, name: str) -> list[Known]:
    """Read whose series there are, by namespace and name; "" for any."""
    table = schema.series
    query = select(table).where(table.c.object != "").order_by(table.c.namespace, table.c.object, table.c.seen)
    for column, wanted in ((table.c.namespace, namespace), (table.c.object, name)):
        query = query.where(column == wanted) if wanted else query
    return [Known(row.name, row.namespace, row.object, row.service, row.seen) for row in connection.execute(query)]


def number_of(connection: Connection, series: str) -> int | None:
    """Read the number of a series."""
    return connection.execute(select(schema.series.c.id).where(schema.series.c.name == series)).scalar()


# --- one series -----------------------------------------------------------------------------------------


def span(connection: Connection, number: int, grid: Grid) -> list[Step]:
    """Read a range of one series in steps."""
    oldest = {seconds: _oldest(connection, schema.counts, seconds) for seconds in LENGTHS}
    wanted = since_oldest([(grid.since, grid.until)], min(oldest.values()))
    levels: list[list[Cell]] = []
    for seconds in LENGTHS:
        found = cells(connection, number, seconds, since_oldest(wanted, oldest[seconds]))
        levels.append(found)
        wanted = unsettled(grid, seconds, (cell.start for cell in found), wanted)
    return summed(grid, settle(grid, levels), _latencies(connection, number, grid))


def past_runs(connection: Connection, number: int, wanted: Iterable[Stretch]) -> list[PastRun]:
    """Read raw runs of one series, oldest first."""
    minutes = starts(MINUTE, since_oldest(wanted, _oldest(connection, schema.runs)))
    found = (
        past_run(start, row.tolist()[1:])
        for start, rows in _rows(connection, schema.runs, RUNS, number, minutes)
        for row in rows
    )
    return sorted(run for run in found if run is not None)


def cells(connection: Connection, number: int, seconds: int, wanted: Iterable[Stretch]) -> list[Cell]:
    """Read the buckets of one length of one series that touch what is wanted."""
    read = _rows(connection, schema.counts, COUNTS, number, starts(seconds, wanted), seconds)
    return [
        Cell(start, seconds, total - bad, total, int(observed))
        for start, rows in read
        for bad, total, observed in counted(rows).T.tolist()
    ]


def _latencies(connection: Connection, number: int, grid: Grid) -> Iterator[tuple[int, Latency]]:
    """Read the latencies of hours that fit a step, and of raw runs where none does, with their starts."""
    wanted = since_oldest([(grid.since, grid.until)], _oldest(connection, schema.latencies))
    rows = _rows(connection, schema.latencies, LATENCIES, number, starts(HOUR, wanted))
    hours = {start: Latency(*found.tolist()[0][1:]) for start, found in rows if len(found)}
    yield from ((start, latency) for start, latency in hours.items() if grid.fits(start, HOUR))
    left = unsettled(grid, HOUR, hours, since_oldest([(grid.since, grid.until)], _oldest(connection, schema.runs)))
    by_step: dict[int, list[float]] = {}
    for run in past_runs(connection, number, left):
        if run.verdict is Verdict.PASS and grid.since <= run.at < grid.until:
            by_step.setdefault(int(run.at) // grid.step, []).append(run.seconds)
    for step, seconds in by_step.items():
        latency = latency_of(seconds)
        if latency is not None:
            yield step * grid.step, latency


def _rows(
    connection: Connection,
    table: Table,
    kind: np.dtype[Any],
    number: int,
    at: Sequence[int],
    seconds: int | None = None,
) -> Iterator[tuple[int, Rows]]:
    """Read the rows of one series in the periods that start `at`, with the start."""
    query = select(table.c.start, table.c.packed).where(table.c.block == number // BLOCK)
    query = query if seconds is None else query.where(table.c.seconds == seconds)
    for first in range(0, len(at), AT_ONCE):
        for row in connection.execute(query.where(table.c.start.in_(at[first : first + AT_ONCE]))):
            yield row.start, unpack(row.packed, kind, number % BLOCK)


def _oldest(connection: Connection, table: Table, seconds: int | None = None) -> int:
    """Read the start of the oldest period there is."""
    query = select(func.min(table.c.start))
    query = query if seconds is None else query.where(table.c.seconds == seconds)
    return connection.execute(query).scalar() or _NEVER


# --- all series -----------------------------------------------------------------------------------------


def extent(connection: Connection, seconds: int) -> Stretch:
    """Read from when and up to when there are buckets of a length; (0, 0) when there are none."""
    length, start = schema.counts.c.seconds, schema.counts.c.start
    ends = (select(function(start)).where(length == seconds) for function in (func.min, func.max))
    oldest, newest = (connection.execute(query).scalar() for query in ends)  # both at once would read the whole index
    return (0, 0) if oldest is None or newest is None else (oldest, newest + seconds)


def recorded_until(connection: Connection) -> int:
    """Read where the newest bucket ends (epoch s); 0 when there is none.

    An hour that is being counted into has a row before it ends: a shorter bucket within it says how far it came.
    """
    begin = until = 0
    for seconds in LENGTHS:
        end = extent(connection, seconds)[1]
        if end - seconds >= begin:
            begin, until = end - seconds, end
    return until


def places_of(connection: Connection, series: Sequence[str]) -> Places:
    """Map the numbers of series to their places in `series`."""
    wanted = {name: place for place, name in enumerate(series)}
    rows = list(connection.execute(select(schema.series.c.id, schema.series.c.name)))
    places = np.full(_width(max((row.id for row in rows), default=0)), -1, dtype=np.int64)
    for row in rows:
        places[row.id] = wanted.get(row.name, -1)
    return places


def periods(
    connection: Connection, seconds: int, stretch: Stretch, series: Sequence[str], places: Places
) -> list[Closed]:
    """Read all buckets of one length that begin within a stretch of time, a period of all these series at once."""
    names, found = tuple(series), list(_counted(connection, seconds, stretch))
    starts = np.unique(np.concatenate([part.starts for part in found])) if found else np.zeros(0, dtype=np.int64)
    counted = np.zeros((len(starts), 3, len(names)))
    for part in found:
        at = np.where(part.numbers < len(places), places[np.minimum(part.numbers, len(places) - 1)], -1)
        _place(counted, np.searchsorted(starts, part.starts), at, part.counts)
    return [Closed(start, seconds, names, period) for start, period in zip(starts.tolist(), counted, strict=True)]


def _place(counted: Numbers, which: Places, at: Places, counts: Numbers) -> None:
    """Put the counts of blocks into the periods that they are of, where the reader has their series.

    Mostly these lie side by side, and the same in all periods: then a block is put into all at once.
    """
    first, width = at[:, 0], at.shape[1]
    is_dense = (first >= 0) & (at == first[:, np.newaxis] + np.arange(width)).all(axis=1)
    for begin in np.unique(first[is_dense]).tolist():
        rows = np.flatnonzero(is_dense & (first == begin))
        counted[which[rows], :, begin : begin + width] = counts[:, rows].swapaxes(0, 1)
    for row in np.flatnonzero(~is_dense).tolist():
        is_asked = at[row] >= 0
        counted[which[row]][:, at[row][is_asked]] = counts[:, row, is_asked]


def runs(connection: Connection, start: int, series: Sequence[str], places: Places) -> Runs | None:
    """Read the raw runs of one minute."""
    table = schema.runs
    query = select(table.c.block, table.c.packed).where(table.c.start == start).order_by(table.c.block)
    parts = []
    for row in connection.execute(query):
        rows = unpack(row.packed, RUNS)
        parts.append(_placed(row.block * BLOCK + rows["position"].astype(np.int64), rows, places))
    if not any(len(at) for at, _ in parts):
        return None
    at, rows = np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts])
    columns = (rows[name] for name in ("offset", "verdict", "reason", "seconds"))
    return Runs(start, tuple(series), at.astype(np.uint32), *columns)


def totals(connection: Connection, windows: Sequence[int], now: int) -> dict[str, list[tuple[float, float]]]:
    """Read good and total of every series in the last `windows` (s); to the hour where shorter buckets are gone."""
    rows = list(connection.execute(select(schema.series.c.id, schema.series.c.name)))
    width = _width(max((row.id for row in rows), default=0))
    found = []
    for window in windows:
        sums = np.zeros((2, width))
        for seconds, stretch in _tiles(connection, now - window, now):
            for part in _counted(connection, seconds, stretch):
                bad, total, _ = part.counts
                np.add.at(sums[0], part.numbers, total - bad)
                np.add.at(sums[1], part.numbers, total)
        found.append(sums)
    return {row.name: [(float(sums[0, row.id]), float(sums[1, row.id])) for sums in found] for row in rows}


def _tiles(connection: Connection, since: int, until: int) -> Iterator[tuple[int, Stretch]]:
    """Lay buckets over a range, longest first: hours as far as they go, and shorter ones before and after.

    Longer buckets that have not ended are left out: not all series have a row in them.
    """
    begin = end = None
    for seconds in LENGTHS:
        ended = until if seconds == MINUTE else until // seconds * seconds
        first, last = -(-since // seconds) * seconds, min(extent(connection, seconds)[1], ended)
        if begin is None or end is None:
            yield seconds, (first, last)
            begin, end = first, max(first, last)
            continue
        yield seconds, (first, begin)
        yield seconds, (end, last)
        begin, end = min(begin, first), max(end, last)


class _Part(NamedTuple):
    """Blocks that were read together: `starts` (blocks,), numbers (blocks, series), counts (3, blocks, series)."""

    starts: Places
    numbers: Places
    counts: Numbers


def _counted(connection: Connection, seconds: int, stretch: Stretch) -> Iterator[_Part]:
    """Read all buckets of one length that begin within a stretch."""
    table = schema.counts
    is_within = (table.c.seconds == seconds) & (table.c.start >= stretch[0]) & (table.c.start < stretch[1])
    rows = connection.execute(select(table.c.start, table.c.block, table.c.packed).where(is_within)).all()
    starts, blocks = (np.array([row[place] for row in rows], dtype=np.int64) for place in (0, 1))
    for part in unpack_counts([row[2] for row in rows]):
        numbers = blocks[part.which, np.newaxis] * BLOCK + part.positions
        yield _Part(starts[part.which], np.where(part.positions < BLOCK, numbers, 0), part.counts)


def _placed(numbers: Places, rows: Rows, places: Places) -> tuple[Places, Rows]:
    """Give where the reader has these series, and their rows; those it did not ask for are left out."""
    at = np.where(numbers < len(places), places[np.minimum(numbers, len(places) - 1)], -1)
    return at[at >= 0], rows[at >= 0]


def _width(newest: int) -> int:
    return (newest // BLOCK + 1) * BLOCK


# --- the rest -------------------------------------------------------------------------------------------


def attempts(connection: Connection, owner: str, limit: int) -> list[StoredAttempt]:
    """Read the newest attempts of an owner."""
    table = schema.attempt
    query = select(table).where(table.c.owner_uid == owner).order_by(table.c.started_at.desc()).limit(limit)
    return [_attempt(row) for row in connection.execute(query)]


def attempts_since(
    connection: Connection, kind: str, since: datetime, namespace: str = "", name: str = ""
) -> list[StoredAttempt]:
    """Read the attempts of a kind of owner that were begun since then, oldest first; of a namespace, or of one name."""
    table = schema.attempt
    query = select(table).where(table.c.kind == kind, table.c.started_at >= since).order_by(table.c.started_at)
    query = query.where(table.c.namespace == namespace) if namespace else query
    query = query.where(table.c.name == name) if name else query
    return [_attempt(row) for row in connection.execute(query)]


def decisions(connection: Connection, owner: str, limit: int) -> list[StoredDecision]:
    """Read the newest decisions of a RecoveryPolicy."""
    table = schema.decision
    query = select(table).where(table.c.owner_uid == owner).order_by(table.c.at.desc()).limit(limit)
    return [
        StoredDecision(
            row.id, row.owner_uid, row.namespace, row.name, _utc(row.at), row.verdict, row.reason, row.details
        )
        for row in connection.execute(query)
    ]


def _attempt(row: Row[Any]) -> StoredAttempt:
    return StoredAttempt(
        row.id, row.owner_uid, row.kind, row.namespace, row.name, _utc(row.started_at), _utc(row.ended_at),
        row.outcome, row.details,
    )  # fmt: skip


def _utc(moment: Any) -> Any:  # noqa: ANN401 - a datetime or None, and stays what it was
    """SQLite keeps no zones; what we wrote was UTC."""
    if moment is None:
        return None
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
