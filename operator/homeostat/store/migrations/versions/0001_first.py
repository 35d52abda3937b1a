"""The first tables: series, SLI buckets, probe results, attempts."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

SECONDS = sa.Integer().with_variant(sa.BigInteger, "postgresql")


def upgrade() -> None:
    op.create_table(
        "series",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("name", sa.String(128), nullable=False, unique=True),
    )
    op.create_table(
        "sli_bucket",
        sa.Column("series_id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("seconds", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("start", SECONDS, primary_key=True, autoincrement=False),
        sa.Column("good", sa.Integer, nullable=False),
        sa.Column("total", sa.Integer, nullable=False),
        sa.Column("observed", sa.Integer, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "probe_result",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("check_uid", sa.String(64), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("verdict", sa.String(16), nullable=False),
        sa.Column("reason", sa.String(64), nullable=False),
        sa.Column("seconds", sa.Float, nullable=False),
        sa.Column("target", sa.String(253), nullable=False),
    )
    op.create_index("probe_result_check_at", "probe_result", ["check_uid", "at"])
    op.create_index("probe_result_at", "probe_result", ["at"])
    op.create_table(
        "attempt",
        sa.Column("id", sa.String(128), primary_key=True),
        sa.Column("owner_uid", sa.String(64), nullable=False),
        sa.Column("kind", sa.String(64), nullable=False),
        sa.Column("namespace", sa.String(253), nullable=False),
        sa.Column("name", sa.String(253), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True)),
        sa.Column("outcome", sa.String(64), nullable=False),
        sa.Column("details", sa.JSON, nullable=False),
    )
    op.create_index("attempt_owner_started", "attempt", ["owner_uid", "started_at"])


def downgrade() -> None:
    for table in ("attempt", "probe_result", "sli_bucket", "series"):
        op.drop_table(table)
