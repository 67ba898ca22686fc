"""Steps that gradient scaling skipped; how often a run is recorded, and over which time."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column("runs", sa.Column("watched_seconds", sa.Double(), nullable=False, server_default="0"))
    op.add_column("runs", sa.Column("record_every", sa.Integer()))
    op.add_column("runs", sa.Column("record_budget", sa.Double()))
    op.create_table(
        "skipped_steps",
        sa.Column("run_id", _ID, sa.ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True, nullable=False),
        sa.Column("step", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("attempt", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("layer", sa.Integer()),
        sa.Column("kind", sa.String()),
        sa.Column("scale", sa.Double()),
        sqlite_with_rowid=False,
    )
