"""The first schema."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _run_id(*, primary: bool = True) -> sa.Column[int]:
    return sa.Column("run_id", _ID, sa.ForeignKey("runs.id", ondelete="CASCADE"), primary_key=primary, nullable=False)


def _moment(name: str, *, nullable: bool = True) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def upgrade() -> None:
    _runs()
    _layers_and_metrics()
    _statistics()


def _runs() -> None:
    op.create_table(
        "runs",
        sa.Column("id", _ID, primary_key=True, autoincrement=True),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("config", sa.JSON(), nullable=False),
        sa.Column("tags", sa.JSON(), nullable=False),
        sa.Column("note", sa.String(), nullable=False),
        _moment("created", nullable=False),
        _moment("started"),
        _moment("ended"),
        _moment("heartbeat"),
        sa.Column("last_step", sa.Integer(), nullable=False),
        sa.Column("epoch", sa.Double()),
        sa.Column("total_steps", sa.Integer()),
        sa.Column("samples_per_second", sa.Double()),
        sa.Column("phase", sa.String()),
        sa.Column("val_accuracy", sa.Double()),
        sa.Column("val_loss", sa.Double()),
        sa.Column("best_val_accuracy", sa.Double()),
        sa.Column("test_accuracy", sa.Double()),
        sa.Column("test_loss", sa.Double()),
        sa.Column("seed", sa.Integer()),
        sa.Column("git_commit", sa.String()),
        sa.Column("versions", sa.JSON(), nullable=False),
        sa.Column("device", sa.String()),
        sa.Column("host", sa.String()),
        sa.Column("pid", sa.Integer()),
        sa.Column("data_fingerprint", sa.String()),
        sa.Column("n_parameters", sa.BigInteger()),
        sa.Column("stop_requested", sa.Boolean(), nullable=False),
        sa.Column("error", sa.String()),
        sa.Column("nonfinite_step", sa.Integer()),
        sa.Column("nonfinite_layer", sa.String()),
        sa.Column("nonfinite_kind", sa.String()),
        sa.Column("lost_rows", sa.Integer(), nullable=False),
        sa.Column("recorder_seconds", sa.Double(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("runs_by_status", "runs", ["status"])


def _layers_and_metrics() -> None:
    op.create_table(
        "layers",
        _run_id(),
        sa.Column("layer", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("type", sa.String(), nullable=False),
        sa.Column("shape", sa.JSON(), nullable=False),
        sa.Column("n_weights", sa.BigInteger(), nullable=False),
        sa.Column("trainable", sa.Boolean(), nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "metrics",
        _run_id(),
        sa.Column("name", sa.String(), primary_key=True),
        sa.Column("step", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("value", sa.Double()),
        sa.Column("epoch", sa.Double()),
        sa.Column("seconds", sa.Double(), nullable=False),
        sqlite_with_rowid=False,
    )


def _statistics() -> None:
    op.create_table(
        "layer_stats",
        _run_id(),
        sa.Column("step", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("layer", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("kind", sa.String(), primary_key=True),
        sa.Column("n", sa.BigInteger(), nullable=False),
        sa.Column("rms", sa.Double()),
        sa.Column("mean_abs", sa.Double()),
        sa.Column("max_abs", sa.Double()),
        sa.Column("zeros", sa.BigInteger(), nullable=False),
        sa.Column("nan", sa.BigInteger(), nullable=False),
        sa.Column("pos_inf", sa.BigInteger(), nullable=False),
        sa.Column("neg_inf", sa.BigInteger(), nullable=False),
        sa.Column("saturated", sa.Double()),
        sa.Column("dead", sa.Double()),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "layer_histograms",
        sa.Column("id", _ID, primary_key=True),
        _run_id(primary=False),
        sa.Column("step", sa.BigInteger(), nullable=False),
        sa.Column("layer", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("counts", sa.LargeBinary(), nullable=False),
        sa.UniqueConstraint("run_id", "layer", "kind", "step", name="layer_histograms_key"),
    )
