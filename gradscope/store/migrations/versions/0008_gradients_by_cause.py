"""What each term of the loss adds to every layer's gradient."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "term_gradients",
        sa.Column("run_id", _ID, sa.ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True, nullable=False),
        sa.Column("step", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("layer", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("term", sa.String(), primary_key=True),
        sa.Column("share", sa.Double()),
        sa.Column("rms", sa.Double()),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "term_cosines",
        sa.Column("run_id", _ID, sa.ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True, nullable=False),
        sa.Column("step", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("layer", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("term", sa.String(), primary_key=True),
        sa.Column("other", sa.String(), primary_key=True),
        sa.Column("cosine", sa.Double()),
        sqlite_with_rowid=False,
    )
