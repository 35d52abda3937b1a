"""What many series had in one period becomes one packed row; raw runs and latencies; series have names."""

import zlib
from datetime import UTC, datetime
from typing import Any

import numpy as np
import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

SECONDS = sa.Integer().with_variant(sa.BigInteger, "postgresql")
BLOCK = 256
OLD = np.dtype([("series", "<u2"), ("start", "<u4"), ("good", "<u4"), ("total", "<u4"), ("observed", "<u1")])
ROWS = """
    SELECT series_id % 256, start, min(good, 2147483647), min(total, 2147483647), min(observed, 255) FROM sli_bucket
    WHERE series_id BETWEEN ? AND ? AND seconds = ? AND 0 <= good AND good <= total AND observed >= 0
    AND start BETWEEN 0 AND 4294967295
"""


def upgrade() -> None:
    for name, kind in (("namespace", sa.String(253)), ("object", sa.String(253)), ("service", sa.String(253))):
        op.add_column("series", sa.Column(name, kind, nullable=False, server_default=""))
    op.add_column("series", sa.Column("seen", SECONDS, nullable=False, server_default=sa.text("0")))
    op.create_index("series_object", "series", ["namespace", "object"])
    op.get_bind().execute(sa.text("UPDATE series SET seen = :now"), {"now": int(datetime.now(UTC).timestamp())})
    counts = op.create_table(
        "counts",
        sa.Column("seconds", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("start", SECONDS, primary_key=True, autoincrement=False),
        sa.Column("block", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("packed", sa.LargeBinary, nullable=False),
        sqlite_with_rowid=False,
    )
    for name in ("latencies", "runs"):
        op.create_table(
            name,
            sa.Column("start", SECONDS, primary_key=True, autoincrement=False),
            sa.Column("block", sa.Integer, primary_key=True, autoincrement=False),
            sa.Column("packed", sa.LargeBinary, nullable=False),
        )
    if op.get_bind().dialect.name == "sqlite":  # no other database is as old as that
        _pack_all(counts)
    op.drop_table("probe_result")
    op.drop_table("sli_bucket")


def downgrade() -> None:
    raise NotImplementedError("packed rows are not unpacked: keep a copy of the file")


def _pack_all(counts: sa.Table) -> None:
    """Pack the buckets of BLOCK series and one length at a time: of 10,000 checks that is a quarter of a million rows."""
    database: Any = op.get_bind().connection.driver_connection
    newest = database.execute("SELECT max(series_id) FROM sli_bucket").fetchone()[0]
    for block in range(0 if newest is None else newest // BLOCK + 1):
        for seconds in (60, 300, 3600):
            rows = database.execute(ROWS, (block * BLOCK, block * BLOCK + BLOCK - 1, seconds))
            found = np.fromiter(rows, dtype=OLD)
            found = found[np.lexsort((found["series"], found["start"]))]
            starts, begins = np.unique(found["start"], return_index=True)
            packed = [
                {"seconds": seconds, "start": start, "block": block, "packed": _pack(part)}
                for start, part in zip(starts.tolist(), np.split(found, begins[1:]), strict=False)
            ]
            if packed:
                op.bulk_insert(counts, packed)


def _pack(part: np.ndarray) -> bytes:
    columns = (
        np.diff(part["series"], prepend=np.uint16(0)),
        part["total"] - part["good"],
        part["total"],
        part["observed"],
    )
    return zlib.compress(b"".join(column.tobytes() for column in columns), 1)
