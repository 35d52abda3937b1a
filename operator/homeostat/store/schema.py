"""The tables of the history store. A change here comes with a migration in `migrations/versions`."""

from sqlalchemy import JSON, Column, DateTime, Index, Integer, LargeBinary, MetaData, String, Table, text

REVISION = "0002"
"""The newest migration: a database that is at it needs none."""

metadata = MetaData()

revision = Table("alembic_version", metadata, Column("version_num", String(32), primary_key=True))

series = Table(
    "series",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", String(128), nullable=False, unique=True),
    Column("namespace", String(253), nullable=False, server_default=""),
    Column("object", String(253), nullable=False, server_default=""),
    Column("service", String(253), nullable=False, server_default=""),
    Column("seen", Integer, nullable=False, server_default=text("0")),
    Index("series_object", "namespace", "object"),
)
"""What is counted: `check/UID` or `slo/UID`, and the object that it belongs to. `seen` in epoch seconds."""

counts = Table(
    "counts",
    metadata,
    Column("seconds", Integer, primary_key=True, autoincrement=False),
    Column("start", Integer, primary_key=True, autoincrement=False),
    Column("block", Integer, primary_key=True, autoincrement=False),
    Column("packed", LargeBinary, nullable=False),
    sqlite_with_rowid=False,  # the key is the row: these are small
)
"""Buckets: good and total. What comes in one minute is written to one place of the file, and deleted from one."""

latencies = Table(
    "latencies",
    metadata,
    Column("start", Integer, primary_key=True, autoincrement=False),
    Column("block", Integer, primary_key=True, autoincrement=False),
    Column("packed", LargeBinary, nullable=False),
)
"""Percentiles by the hour."""

runs = Table(
    "runs",
    metadata,
    Column("start", Integer, primary_key=True, autoincrement=False),
    Column("block", Integer, primary_key=True, autoincrement=False),
    Column("packed", LargeBinary, nullable=False),
)
"""Raw runs by the minute."""

attempt = Table(
    "attempt",
    metadata,
    Column("id", String(128), primary_key=True),
    Column("owner_uid", String(64), nullable=False),
    Column("kind", String(64), nullable=False),
    Column("namespace", String(253), nullable=False),
    Column("name", String(253), nullable=False),
    Column("started_at", DateTime(timezone=True), nullable=False),
    Column("ended_at", DateTime(timezone=True)),
    Column("outcome", String(64), nullable=False),
    Column("details", JSON, nullable=False),
    Index("attempt_owner_started", "owner_uid", "started_at"),
)
