"""What is written to the history store: each function writes on a connection that it is given, and commits nothing."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from sqlalchemy import Connection, Table, case, select

from homeostat.core.history.ledger import Closed
from homeostat.core.history.records import Known, Latencies, Runs
from homeostat.core.history.window import DAY
from homeostat.ports import Record, StoredAttempt, StoredDecision
from homeostat.store import schema
from homeostat.store.database import Database
from homeostat.store.packing import BLOCK, LATENCIES, RUNS, Rows, counts_of, fuller, joined, pack, unpack

Merge = Callable[[Rows, Rows], Rows]
SeriesNumbers = npt.NDArray[np.int64]
AT_ONCE = 500
"""Values in one IN (…): far below SQLite's limit on variables."""


class Writer:
    """Writes records. It remembers the numbers of series, so it must be forgotten when a transaction fails."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._numbers: dict[str, int] = {}
        self._seen: SeriesNumbers = np.zeros(0, dtype=np.int64)

    def add(self, connection: Connection, records: Sequence[Record]) -> None:
        """Write records; what is written twice is there once, and counts never give way to smaller ones."""
        self.introduce(connection, [record for record in records if isinstance(record, Known)])
        for record in records:
            match record:
                case Closed():
                    self._add_counts(connection, record)
                case Runs():
                    self._add_runs(connection, record)
                case Latencies():
                    self._add_latencies(connection, record)
                case StoredAttempt():
                    self._add_attempt(connection, record)
                case StoredDecision():
                    self._add_decision(connection, record)
                case Known():
                    pass

    def numbers_of(self, connection: Connection, names: Sequence[str], seen: int) -> SeriesNumbers:
        """Give the number of each series, numbering new ones; `seen`: when they were there (epoch s).

        Nobody else writes meanwhile.
        """
        if any(name not in self._numbers for name in names):
            self._learn(connection, names, seen)
        numbers = np.array([self._numbers[name] for name in names], dtype=np.int64)
        self._see(connection, numbers[self._seen[numbers] < seen - DAY], seen)
        return numbers

    def _learn(self, connection: Connection, names: Sequence[str], seen: int) -> None:
        """Read the numbers of all series, and give new ones the next."""
        columns = schema.series.c
        rows = list(connection.execute(select(columns.name, columns.id, columns.seen)))
        self._numbers = {row.name: row.id for row in rows}
        newest = max(self._numbers.values(), default=0)
        new = dict.fromkeys(name for name in names if name not in self._numbers)
        numbers = {name: number for number, name in enumerate(new, newest + 1)}
        if numbers:
            values = [{"id": number, "name": name, "seen": seen} for name, number in numbers.items()]
            connection.execute(schema.series.insert(), values)
        self._numbers |= numbers
        self._seen = np.full(newest + len(numbers) + 1, seen, dtype=np.int64)
        for row in rows:
            self._seen[row.id] = row.seen

    def _see(self, connection: Connection, numbers: SeriesNumbers, seen: int) -> None:
        """Note, once a day, that series are still counted: what is not seen for long is forgotten."""
        table = schema.series
        for first in range(0, len(numbers), AT_ONCE):
            some = table.c.id.in_(numbers[first : first + AT_ONCE].tolist())
            connection.execute(table.update().where(some, table.c.seen < seen).values(seen=seen))
        self._seen[numbers] = seen

    def write(
        self,
        connection: Connection,
        table: Table,
        key: Mapping[str, int],
        numbers: SeriesNumbers,
        rows: Rows,
        merge: Merge,
    ) -> dict[int, Rows]:
        """Write the rows of one period, block by block, into what is there already; give what was there by block."""
        order = np.argsort(numbers, kind="stable")
        numbers, rows = numbers[order], rows[order]
        rows["position"] = numbers % BLOCK
        blocks, begins = np.unique(numbers // BLOCK, return_index=True)
        packed = _there(connection, table, key, blocks.tolist())
        there = {block: unpack(packed[block], rows.dtype) for block in packed}
        parts = zip(blocks.tolist(), np.split(rows, begins[1:]), strict=False)
        values = [
            {**key, "block": block, "packed": pack(merge(there.get(block, rows[:0]), part))} for block, part in parts
        ]
        self._upsert(connection, table, values, ["packed"])
        return there

    def introduce(self, connection: Connection, known: Sequence[Known]) -> None:
        """Write whose series there are."""
        if not known:
            return
        numbers = self.numbers_of(connection, [one.series for one in known], 0)
        rows = [
            {"id": number, "name": one.series, "namespace": one.namespace, "object": one.name, "service": one.service,
             "seen": one.seen}
            for number, one in zip(numbers.tolist(), known, strict=True)
        ]  # fmt: skip
        statement = self._database.insert(schema.series)
        changed: dict[str, Any] = {name: statement.excluded[name] for name in ("namespace", "object", "service")}
        seen, there = statement.excluded.seen, schema.series.c.seen
        changed["seen"] = case((seen > there, seen), else_=there)
        connection.execute(statement.on_conflict_do_update(index_elements=["id"], set_=changed), rows)

    def _add_counts(self, connection: Connection, closed: Closed) -> None:
        numbers = self.numbers_of(connection, closed.series, closed.start)
        key = {"seconds": closed.seconds, "start": closed.start}
        self.write(connection, schema.counts, key, numbers, counts_of(*closed.counted), fuller)

    def _add_runs(self, connection: Connection, runs: Runs) -> None:
        rows = np.empty(len(runs.owner), dtype=RUNS)
        for name in ("offset", "verdict", "reason", "seconds"):
            rows[name] = getattr(runs, name)
        numbers = self.numbers_of(connection, runs.series, runs.start)[runs.owner]
        self.write(connection, schema.runs, {"start": runs.start}, numbers, rows, joined)

    def _add_latencies(self, connection: Connection, latencies: Latencies) -> None:
        rows = np.empty(len(latencies), dtype=LATENCIES)
        rows["count"] = latencies.count
        for name, seconds in zip(("p50", "p95", "p99", "longest"), latencies.seconds, strict=True):
            rows[name] = seconds
        numbers = self.numbers_of(connection, latencies.series, latencies.start)
        self.write(connection, schema.latencies, {"start": latencies.start}, numbers, rows, fuller)

    def _add_attempt(self, connection: Connection, attempt: StoredAttempt) -> None:
        row = {
            "id": attempt.id, "owner_uid": attempt.owner, "kind": attempt.kind, "namespace": attempt.namespace,
            "name": attempt.name, "started_at": attempt.started_at, "ended_at": attempt.ended_at,
            "outcome": attempt.outcome, "details": attempt.details,
        }  # fmt: skip
        self._upsert(connection, schema.attempt, [row], ["ended_at", "outcome", "details"])

    def _add_decision(self, connection: Connection, decision: StoredDecision) -> None:
        row = {
            "id": decision.id, "owner_uid": decision.owner, "namespace": decision.namespace, "name": decision.name,
            "at": decision.at, "verdict": decision.verdict, "reason": decision.reason, "details": decision.details,
        }  # fmt: skip
        self._upsert(connection, schema.decision, [row], ["details"])

    def _upsert(
        self, connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]], changed: Sequence[str]
    ) -> None:
        """Insert rows, or change the columns named in those that are there."""
        if rows:
            statement = self._database.insert(table)
            keys = [column.name for column in table.primary_key]
            values = {name: statement.excluded[name] for name in changed}
            connection.execute(statement.on_conflict_do_update(index_elements=keys, set_=values), rows)


def _there(connection: Connection, table: Table, key: Mapping[str, int], blocks: Iterable[int]) -> dict[int, bytes]:
    query = select(table.c.block, table.c.packed)
    for name, value in key.items():
        query = query.where(table.c[name] == value)
    wanted = set(blocks)
    return {row.block: row.packed for row in connection.execute(query) if row.block in wanted}
