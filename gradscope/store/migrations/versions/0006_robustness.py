"""Robustness: how a run's network did on disturbed test pictures."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "robustness",
        sa.Column("run_id", _ID, sa.ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True, nullable=False),
        sa.Column("fingerprint", sa.String(), primary_key=True),
        sa.Column("kind", sa.String(), primary_key=True),
        sa.Column("level", sa.Double(), primary_key=True),
        sa.Column("seed", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("draws", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("images", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("step", sa.BigInteger(), nullable=False),
        sa.Column("accuracy", sa.Double(), nullable=False),
        sa.Column("deviation", sa.Double()),
        sa.Column("accuracies", sa.JSON(), nullable=False),
        sa.Column("per_class", sa.JSON(), nullable=False),
        sa.Column("right", sa.LargeBinary(), nullable=False),
        sa.Column("device", sa.String(), nullable=False),
        sa.Column("settings", sa.JSON(), nullable=False),
        sa.Column("computed", sa.DateTime(timezone=True), nullable=False),
    )
