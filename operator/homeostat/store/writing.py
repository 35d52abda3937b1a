"""What is written to the history store: each function writes on a connection that it is given, and commits nothing."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from sqlalchemy import Connection, Table, func, select
from sqlalchemy.dialects.sqlite import insert

from homeostat.core.history import Known, Latencies, Runs
from homeostat.core.ledger import Closed
from homeostat.ports import Record, StoredAttempt
from homeostat.store import schema
from homeostat.store.packing import BLOCK, COUNTS, LATENCIES, RUNS, Rows, fuller, joined, pack, replaced, unpack

Merge = Callable[[Rows, Rows], Rows]


class Writer:
    """Writes records. It remembers the numbers of series, so it must be forgotten when a transaction fails."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def add(self, connection: Connection, records: Sequence[Record]) -> None:
        """Write records; what is written twice is there once."""
        self._introduce(connection, [record for record in records if isinstance(record, Known)])
        for record in records:
            match record:
                case Closed():
                    self._add_counts(connection, record)
                case Runs():
                    self._add_runs(connection, record)
                case Latencies():
                    self._add_latencies(connection, record)
                case StoredAttempt():
                    _add_attempt(connection, record)
                case Known():
                    pass

    def _introduce(self, connection: Connection, known: Sequence[Known]) -> None:
        if not known:
            return
        rows = [
            {"name": one.series, "namespace": one.namespace, "object": one.name, "service": one.service,
             "seen": one.seen}
            for one in known
        ]  # fmt: skip
        statement = insert(schema.series)
        changed: dict[str, Any] = {name: statement.excluded[name] for name in ("namespace", "object", "service")}
        changed["seen"] = func.max(schema.series.c.seen, statement.excluded.seen)
        connection.execute(statement.on_conflict_do_update(index_elements=["name"], set_=changed), rows)

    def _add_counts(self, connection: Connection, closed: Closed) -> None:
        good, total, observed = closed.counted
        rows = np.empty(len(closed), dtype=COUNTS)
        rows["total"] = np.minimum(total, 0xFFFFFFFF)
        rows["bad"] = np.minimum(total - good, 0xFFFFFFFF)
        rows["observed"] = observed
        numbers = self._numbers_of(connection, closed.series, closed.start)
        key = {"seconds": closed.seconds, "start": closed.start}
        _write(connection, schema.counts, key, numbers, rows, replaced)

    def _add_runs(self, connection: Connection, runs: Runs) -> None:
        rows = np.empty(len(runs.owner), dtype=RUNS)
        for name in ("offset", "verdict", "reason", "seconds"):
            rows[name] = getattr(runs, name)
        numbers = self._numbers_of(connection, runs.series, runs.start)[runs.owner]
        _write(connection, schema.runs, {"start": runs.start}, numbers, rows, joined)

    def _add_latencies(self, connection: Connection, latencies: Latencies) -> None:
        rows = np.empty(len(latencies), dtype=LATENCIES)
        rows["count"] = latencies.count
        for name, seconds in zip(("p50", "p95", "p99", "longest"), latencies.seconds, strict=True):
            rows[name] = seconds
        numbers = self._numbers_of(connection, latencies.series, latencies.start)
        _write(connection, schema.latencies, {"start": latencies.start}, numbers, rows, fuller)

    def _numbers_of(self, connection: Connection, names: Sequence[str], seen: int) -> npt.NDArray[np.int64]:
        """Give the number of each series, numbering new ones."""
        unknown = [name for name in names if name not in self._numbers]
        if unknown:
            new = insert(schema.series).on_conflict_do_nothing()
            connection.execute(new, [{"name": name, "seen": seen} for name in unknown])
            rows = connection.execute(select(schema.series.c.name, schema.series.c.id))
            self._numbers = {row.name: row.id for row in rows}
        return np.array([self._numbers[name] for name in names], dtype=np.int64)


def _write(
    connection: Connection,
    table: Table,
    key: Mapping[str, int],
    numbers: npt.NDArray[np.int64],
    rows: Rows,
    merge: Merge,
) -> None:
    """Write the rows of one period, block by block, into what is there already."""
    order = np.argsort(numbers, kind="stable")
    numbers, rows = numbers[order], rows[order]
    rows["position"] = numbers % BLOCK
    blocks, begins = np.unique(numbers // BLOCK, return_index=True)
    there = _there(connection, table, key, blocks.tolist())
    values = []
    for block, part in zip(blocks.tolist(), np.split(rows, begins[1:]), strict=False):
        old = unpack(there[block], rows.dtype) if block in there else rows[:0]
        values.append({**key, "block": block, "packed": pack(merge(old, part))})
    if values:
        statement = insert(table)
        keys = [column.name for column in table.primary_key]
        replacement = {"packed": statement.excluded.packed}
        connection.execute(statement.on_conflict_do_update(index_elements=keys, set_=replacement), values)


def _there(connection: Connection, table: Table, key: Mapping[str, int], blocks: Iterable[int]) -> dict[int, bytes]:
    query = select(table.c.block, table.c.packed)
    for name, value in key.items():
        query = query.where(table.c[name] == value)
    wanted = set(blocks)
    return {row.block: row.packed for row in connection.execute(query) if row.block in wanted}


def _add_attempt(connection: Connection, attempt: StoredAttempt) -> None:
    row = {
        "id": attempt.id, "owner_uid": attempt.owner, "kind": attempt.kind, "namespace": attempt.namespace,
        "name": attempt.name, "started_at": attempt.started_at, "ended_at": attempt.ended_at,
        "outcome": attempt.outcome, "details": attempt.details,
    }  # fmt: skip
    statement = insert(schema.attempt).values(row)
    changed = {name: statement.excluded[name] for name in ("ended_at", "outcome", "details")}
    connection.execute(statement.on_conflict_do_update(index_elements=["id"], set_=changed))
