"""Exits: what an elastic network costs and is worth up to each of them, and when pictures leave early."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "exits",
        *_key(),
        sa.Column("exit", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("point", sa.String()),
        sa.Column("step", sa.BigInteger(), nullable=False),
        sa.Column("accuracy", sa.Double(), nullable=False),
        sa.Column("loss", sa.Double(), nullable=False),
        sa.Column("calibration_error", sa.Double(), nullable=False),
        sa.Column("macs", sa.BigInteger(), nullable=False),
        sa.Column("macs_asking", sa.BigInteger(), nullable=False),
        sa.Column("parameters", sa.BigInteger(), nullable=False),
        sa.Column("milliseconds", sa.Double(), nullable=False),
        *_origin(),
    )
    op.create_table(
        "exit_sweeps",
        *_key(),
        sa.Column("rule", sa.String(), primary_key=True),
        sa.Column("threshold", sa.Double(), primary_key=True),
        sa.Column("step", sa.BigInteger(), nullable=False),
        sa.Column("accuracy", sa.Double(), nullable=False),
        sa.Column("macs", sa.Double(), nullable=False),
        sa.Column("milliseconds", sa.Double(), nullable=False),
        sa.Column("left", sa.JSON(), nullable=False),
        *_origin(),
    )


def _key() -> list[sa.Column[Any]]:  # Any: columns of several types
    return [
        sa.Column("run_id", _ID, sa.ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True, nullable=False),
        sa.Column("fingerprint", sa.String(), primary_key=True),
        sa.Column("images", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("batch_size", sa.Integer(), primary_key=True, autoincrement=False),
    ]


def _origin() -> list[sa.Column[Any]]:  # Any: as above
    return [
        sa.Column("device", sa.String(), nullable=False),
        sa.Column("computed", sa.DateTime(timezone=True), nullable=False),
    ]
