"""Students beside their teachers: same answers, distance of the distributions, sizes and times."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "distilled",
        sa.Column("run_id", _ID, sa.ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True, nullable=False),
        sa.Column("fingerprint", sa.String(), primary_key=True),
        sa.Column("teacher_fingerprint", sa.String(), primary_key=True),
        sa.Column("images", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("step", sa.BigInteger(), nullable=False),
        sa.Column("teacher_run", sa.BigInteger()),
        sa.Column("agreement", sa.Double(), nullable=False),
        sa.Column("divergences", sa.JSON(), nullable=False),
        sa.Column("accuracy", sa.Double(), nullable=False),
        sa.Column("teacher_accuracy", sa.Double(), nullable=False),
        sa.Column("parameters", sa.BigInteger(), nullable=False),
        sa.Column("teacher_parameters", sa.BigInteger(), nullable=False),
        sa.Column("macs", sa.BigInteger(), nullable=False),
        sa.Column("teacher_macs", sa.BigInteger(), nullable=False),
        sa.Column("milliseconds", sa.JSON(), nullable=False),
        sa.Column("teacher_milliseconds", sa.JSON(), nullable=False),
        sa.Column("device", sa.String(), nullable=False),
        sa.Column("computed", sa.DateTime(timezone=True), nullable=False),
    )
