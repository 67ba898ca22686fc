"""Tasks: what is computed on a run beside its training."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _moment(name: str, *, nullable: bool = True) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def upgrade() -> None:
    op.create_table(
        "tasks",
        sa.Column("id", _ID, primary_key=True, autoincrement=True),
        sa.Column("run_id", _ID, sa.ForeignKey("runs.id", ondelete="CASCADE"), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("settings", sa.JSON(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        _moment("created", nullable=False),
        _moment("started"),
        _moment("ended"),
        _moment("heartbeat"),
        sa.Column("done", sa.Integer(), nullable=False),
        sa.Column("total", sa.Integer()),
        sa.Column("phase", sa.String()),
        sa.Column("stop_requested", sa.Boolean(), nullable=False),
        sa.Column("error", sa.String()),
        sa.Column("host", sa.String()),
        sa.Column("pid", sa.Integer()),
        sqlite_autoincrement=True,
    )
    op.create_index("tasks_by_status", "tasks", ["status"])
    op.create_index("tasks_by_run", "tasks", ["run_id"])
