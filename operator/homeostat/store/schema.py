"""The tables of the history store. A change here comes with a migration in `migrations/versions`."""

from sqlalchemy import JSON, Column, DateTime, Float, Index, Integer, MetaData, String, Table

metadata = MetaData()

series = Table(
    "series",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", String(128), nullable=False, unique=True),
)

bucket = Table(
    "sli_bucket",
    metadata,
    Column("series_id", Integer, primary_key=True, autoincrement=False),
    Column("seconds", Integer, primary_key=True, autoincrement=False),
    Column("start", Integer, primary_key=True, autoincrement=False),
    Column("good", Integer, nullable=False),
    Column("total", Integer, nullable=False),
    Column("observed", Integer, nullable=False),
    sqlite_with_rowid=False,  # the key is the row: 20 bytes instead of 60
)

result = Table(
    "probe_result",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("check_uid", String(64), nullable=False),
    Column("at", DateTime(timezone=True), nullable=False),
    Column("verdict", String(16), nullable=False),
    Column("reason", String(64), nullable=False),
    Column("seconds", Float, nullable=False),
    Column("target", String(253), nullable=False, default=""),
    Index("probe_result_check_at", "check_uid", "at"),
    Index("probe_result_at", "at"),
)

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
