"""What the backward pass was multiplied by, layer by layer."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "gains",
        sa.Column("run_id", _ID, sa.ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True, nullable=False),
        sa.Column("step", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("layer", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("method", sa.String(), primary_key=True),
        sa.Column("gain", sa.Double()),
        sa.Column("share_above_one", sa.Double()),
        sqlite_with_rowid=False,
    )
