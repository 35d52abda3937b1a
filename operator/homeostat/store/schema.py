"""The tables of the history store. A change here comes with a migration in `migrations/versions`."""

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    DateTime,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    text,
)

REVISION = "0004"
"""The newest migration: a database that is at it needs none."""

Seconds = Integer().with_variant(BigInteger, "postgresql")
"""Epoch seconds. An integer of SQLite has 64 bits as it is."""

metadata = MetaData()

revision = Table(
    "alembic_version",
    metadata,
    Column("version_num", String(32), nullable=False),
    PrimaryKeyConstraint("version_num", name="alembic_version_pkc"),
)

series = Table(
    "series",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("name", String(128), nullable=False, unique=True),
    Column("namespace", String(253), nullable=False, server_default=""),
    Column("object", String(253), nullable=False, server_default=""),
    Column("service", String(253), nullable=False, server_default=""),
    Column("seen", Seconds, nullable=False, server_default=text("0")),
    Index("series_object", "namespace", "object"),
)
"""What is counted: `check/UID`, `slo/UID`, `slo/UID/GROUP` or `slice/UID`, and the object that it belongs to.

`id` is one more than the newest, given by whoever writes: a sequence would leave holes, and blocks would be sparse.
"""

counts = Table(
    "counts",
    metadata,
    Column("seconds", Integer, primary_key=True, autoincrement=False),
    Column("start", Seconds, primary_key=True, autoincrement=False),
    Column("block", Integer, primary_key=True, autoincrement=False),
    Column("packed", LargeBinary, nullable=False),
    sqlite_with_rowid=False,  # the key is the row: these are small
)
"""Buckets: bad and total. What comes in one minute is written to one place of the file, and deleted from one."""

latencies = Table(
    "latencies",
    metadata,
    Column("start", Seconds, primary_key=True, autoincrement=False),
    Column("block", Integer, primary_key=True, autoincrement=False),
    Column("packed", LargeBinary, nullable=False),
)
"""Percentiles by the hour."""

runs = Table(
    "runs",
    metadata,
    Column("start", Seconds, primary_key=True, autoincrement=False),
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

decision = Table(
    "decision",
    metadata,
    Column("id", String(128), primary_key=True),
    Column("owner_uid", String(64), nullable=False),
    Column("namespace", String(253), nullable=False),
    Column("name", String(253), nullable=False),
    Column("at", DateTime(timezone=True), nullable=False),
    Column("verdict", String(64), nullable=False),
    Column("reason", String(64), nullable=False),
    Column("details", JSON, nullable=False),
    Index("decision_owner_at", "owner_uid", "at"),
)
"""What RecoveryPolicies decided: each decision once, when it became another."""

delivery = Table(
    "delivery",
    metadata,
    Column("key", LargeBinary(16), primary_key=True),
    Column("at", Seconds, nullable=False),
    sqlite_with_rowid=False,
)
"""Keys of pushed events that were counted: each a digest of the objective and the key, as keys may be long."""
