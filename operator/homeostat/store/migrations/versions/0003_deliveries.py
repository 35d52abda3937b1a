"""The keys of pushed events. Counts need not be whole from here on, in the rows that are there already."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_table(
        "delivery",
        sa.Column("key", sa.LargeBinary(16), primary_key=True),
        sa.Column("at", sa.Integer().with_variant(sa.BigInteger, "postgresql"), nullable=False),
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    op.drop_table("delivery")
