"""The tables of a store. docs/schema.md describes them for people who query with plain SQL."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    DateTime,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    TypeDecorator,
    UniqueConstraint,
)
from sqlalchemy.engine import Dialect
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class UtcDateTime(TypeDecorator[datetime]):
    """A moment in UTC; SQLite keeps no time zone, so it is put back on reading."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """To UTC, without the zone that SQLite's text form cannot hold."""
        if value is None or dialect.name != "sqlite":
            return value
        return value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """From UTC."""
        return value if value is None or value.tzinfo else value.replace(tzinfo=UTC)


class Base(DeclarativeBase):
    """The one metadata; JSON columns hold plain values only."""

    type_annotation_map = {  # noqa: RUF012  (read once by SQLAlchemy)
        datetime: UtcDateTime,
        dict[str, Any]: JSON,
        list[str]: JSON,
        bytes: LargeBinary,
        float: Double,
    }


_Id = BigInteger().with_variant(Integer, "sqlite")


def _run_key(*, primary: bool = True) -> Mapped[int]:
    return mapped_column(_Id, ForeignKey("runs.id", ondelete="CASCADE"), primary_key=primary)


class RunRow(Base):
    """A training."""

    __tablename__ = "runs"
    __table_args__ = (Index("runs_by_status", "status"), {"sqlite_autoincrement": True})

    id: Mapped[int] = mapped_column(_Id, primary_key=True, autoincrement=True)
    name: Mapped[str]
    status: Mapped[str]
    source: Mapped[str]
    config: Mapped[dict[str, Any]]
    tags: Mapped[list[str]]
    note: Mapped[str] = mapped_column(default="")
    created: Mapped[datetime]
    started: Mapped[datetime | None]
    ended: Mapped[datetime | None]
    heartbeat: Mapped[datetime | None]

    last_step: Mapped[int] = mapped_column(default=-1)
    epoch: Mapped[float | None]
    total_steps: Mapped[int | None]
    samples_per_second: Mapped[float | None]
    phase: Mapped[str | None]
    seconds: Mapped[float | None]

    val_accuracy: Mapped[float | None]
    val_loss: Mapped[float | None]
    best_val_accuracy: Mapped[float | None]
    test_accuracy: Mapped[float | None]
    test_loss: Mapped[float | None]
    val_map: Mapped[float | None]
    best_val_map: Mapped[float | None]
    test_map: Mapped[float | None]

    seed: Mapped[int | None]
    git_commit: Mapped[str | None]
    versions: Mapped[dict[str, Any]]
    device: Mapped[str | None]
    host: Mapped[str | None]
    pid: Mapped[int | None]
    data_fingerprint: Mapped[str | None]
    n_parameters: Mapped[int | None] = mapped_column(BigInteger)

    waits_for: Mapped[int | None] = mapped_column(BigInteger)
    stop_requested: Mapped[bool] = mapped_column(default=False)
    error: Mapped[str | None]
    nonfinite_step: Mapped[int | None]
    nonfinite_layer: Mapped[str | None]
    nonfinite_kind: Mapped[str | None]
    lost_rows: Mapped[int] = mapped_column(default=0)
    recorder_seconds: Mapped[float] = mapped_column(default=0.0)
    watched_seconds: Mapped[float] = mapped_column(default=0.0)
    record_every: Mapped[int | None]
    record_budget: Mapped[float | None]
    revision: Mapped[int] = mapped_column(default=0)


class LayerRow(Base):
    """A layer of a run's network."""

    __tablename__ = "layers"
    __table_args__ = ({"sqlite_with_rowid": False},)

    run_id: Mapped[int] = _run_key()
    layer: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    name: Mapped[str]
    type: Mapped[str]
    shape: Mapped[list[Any]] = mapped_column(JSON)
    n_weights: Mapped[int] = mapped_column(BigInteger)
    trainable: Mapped[bool]


class MetricRow(Base):
    """One point of a named curve."""

    __tablename__ = "metrics"
    __table_args__ = ({"sqlite_with_rowid": False},)

    run_id: Mapped[int] = _run_key()
    name: Mapped[str] = mapped_column(primary_key=True)
    step: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    value: Mapped[float | None]
    epoch: Mapped[float | None]
    seconds: Mapped[float]


class StatsRow(Base):
    """One kind of tensor of one layer at one step, in numbers; clustered by run, step, layer."""

    __tablename__ = "layer_stats"
    __table_args__ = ({"sqlite_with_rowid": False},)

    run_id: Mapped[int] = _run_key()
    step: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    layer: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    kind: Mapped[str] = mapped_column(primary_key=True)
    n: Mapped[int] = mapped_column(BigInteger)
    rms: Mapped[float | None]
    mean_abs: Mapped[float | None]
    max_abs: Mapped[float | None]
    zeros: Mapped[int] = mapped_column(BigInteger)
    nan: Mapped[int] = mapped_column(BigInteger)
    pos_inf: Mapped[int] = mapped_column(BigInteger)
    neg_inf: Mapped[int] = mapped_column(BigInteger)
    saturated: Mapped[float | None]
    dead: Mapped[float | None]


class HistogramRow(Base):
    """The same tensor's histogram, `gradscope.histogram.encode`; read by layer over steps."""

    __tablename__ = "layer_histograms"
    __table_args__ = (UniqueConstraint("run_id", "layer", "kind", "step", name="layer_histograms_key"),)

    id: Mapped[int] = mapped_column(_Id, primary_key=True)
    run_id: Mapped[int] = _run_key(primary=False)
    step: Mapped[int] = mapped_column(BigInteger)
    layer: Mapped[int]
    kind: Mapped[str]
    counts: Mapped[bytes]


class GainRow(Base):
    """By what a method changed the back-propagated error at a layer, at one step."""

    __tablename__ = "gains"
    __table_args__ = ({"sqlite_with_rowid": False},)

    run_id: Mapped[int] = _run_key()
    step: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    layer: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    method: Mapped[str] = mapped_column(primary_key=True)
    gain: Mapped[float | None]
    share_above_one: Mapped[float | None]


class TermGradientRow(Base):
    """What a term of the loss adds to a layer's gradient, at one step."""

    __tablename__ = "term_gradients"
    __table_args__ = ({"sqlite_with_rowid": False},)

    run_id: Mapped[int] = _run_key()
    step: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    layer: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    term: Mapped[str] = mapped_column(primary_key=True)
    share: Mapped[float | None]
    rms: Mapped[float | None]


class TermCosineRow(Base):
    """The angle between the gradients of two terms of the loss in a layer, at one step."""

    __tablename__ = "term_cosines"
    __table_args__ = ({"sqlite_with_rowid": False},)

    run_id: Mapped[int] = _run_key()
    step: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    layer: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    term: Mapped[str] = mapped_column(primary_key=True)
    other: Mapped[str] = mapped_column(primary_key=True)
    cosine: Mapped[float | None]


class SkippedRow(Base):
    """A step that the optimiser did not take, because gradient scaling had overflowed."""

    __tablename__ = "skipped_steps"
    __table_args__ = ({"sqlite_with_rowid": False},)

    run_id: Mapped[int] = _run_key()
    step: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    attempt: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    layer: Mapped[int | None]
    kind: Mapped[str | None]
    scale: Mapped[float | None]


class TaskRow(Base):
    """Something to be computed on a run beside its training."""

    __tablename__ = "tasks"
    __table_args__ = (
        Index("tasks_by_status", "status"),
        Index("tasks_by_run", "run_id"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(_Id, primary_key=True, autoincrement=True)
    run_id: Mapped[int] = _run_key(primary=False)
    kind: Mapped[str]
    settings: Mapped[dict[str, Any]]
    status: Mapped[str]
    created: Mapped[datetime]
    started: Mapped[datetime | None]
    ended: Mapped[datetime | None]
    heartbeat: Mapped[datetime | None]
    done: Mapped[int] = mapped_column(default=0)
    total: Mapped[int | None]
    phase: Mapped[str | None]
    stop_requested: Mapped[bool] = mapped_column(default=False)
    error: Mapped[str | None]
    host: Mapped[str | None]
    pid: Mapped[int | None]


class AttributionRow(Base):
    """Attributions of some test pictures by one method; the maps themselves are a file in the run's folder."""

    __tablename__ = "attributions"
    __table_args__ = (Index("attributions_by_run", "run_id", "fingerprint"),)

    id: Mapped[int] = mapped_column(_Id, primary_key=True)
    run_id: Mapped[int] = _run_key(primary=False)
    fingerprint: Mapped[str]
    step: Mapped[int] = mapped_column(BigInteger)
    part: Mapped[str]
    method: Mapped[str]
    target: Mapped[str]
    places: Mapped[list[Any]] = mapped_column(JSON)
    file: Mapped[str | None]
    refusal: Mapped[str | None]
    seconds: Mapped[float]
    created: Mapped[datetime]


class RobustnessRow(Base):
    """How a run's network did on test pictures disturbed in one way at one strength."""

    __tablename__ = "robustness"

    run_id: Mapped[int] = _run_key()
    fingerprint: Mapped[str] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(primary_key=True)
    level: Mapped[float] = mapped_column(primary_key=True)
    seed: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    draws: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    images: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    step: Mapped[int] = mapped_column(BigInteger)
    accuracy: Mapped[float]
    deviation: Mapped[float | None]
    accuracies: Mapped[list[Any]] = mapped_column(JSON)
    per_class: Mapped[dict[str, Any]]
    right: Mapped[bytes]
    device: Mapped[str]
    settings: Mapped[dict[str, Any]]
    computed: Mapped[datetime]


class ExitRow(Base):
    """What a run's network costs and is worth up to one of its exits."""

    __tablename__ = "exits"

    run_id: Mapped[int] = _run_key()
    fingerprint: Mapped[str] = mapped_column(primary_key=True)
    images: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    batch_size: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    exit: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    point: Mapped[str | None]
    step: Mapped[int] = mapped_column(BigInteger)
    accuracy: Mapped[float]
    loss: Mapped[float]
    calibration_error: Mapped[float]
    macs: Mapped[int] = mapped_column(BigInteger)
    macs_asking: Mapped[int] = mapped_column(BigInteger)
    parameters: Mapped[int] = mapped_column(BigInteger)
    milliseconds: Mapped[float]
    device: Mapped[str]
    computed: Mapped[datetime]


class ExitSweepRow(Base):
    """A run's network whose pictures leave at the first exit that is sure enough."""

    __tablename__ = "exit_sweeps"

    run_id: Mapped[int] = _run_key()
    fingerprint: Mapped[str] = mapped_column(primary_key=True)
    images: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    batch_size: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    rule: Mapped[str] = mapped_column(primary_key=True)
    threshold: Mapped[float] = mapped_column(primary_key=True)
    step: Mapped[int] = mapped_column(BigInteger)
    accuracy: Mapped[float]
    macs: Mapped[float]
    milliseconds: Mapped[float]
    left: Mapped[list[Any]] = mapped_column(JSON)
    device: Mapped[str]
    computed: Mapped[datetime]


class DistilledRow(Base):
    """A student beside its teacher."""

    __tablename__ = "distilled"

    run_id: Mapped[int] = _run_key()
    fingerprint: Mapped[str] = mapped_column(primary_key=True)
    teacher_fingerprint: Mapped[str] = mapped_column(primary_key=True)
    images: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    step: Mapped[int] = mapped_column(BigInteger)
    teacher_run: Mapped[int | None] = mapped_column(BigInteger)
    agreement: Mapped[float]
    divergences: Mapped[dict[str, Any]]
    accuracy: Mapped[float]
    teacher_accuracy: Mapped[float]
    parameters: Mapped[int] = mapped_column(BigInteger)
    teacher_parameters: Mapped[int] = mapped_column(BigInteger)
    macs: Mapped[int] = mapped_column(BigInteger)
    teacher_macs: Mapped[int] = mapped_column(BigInteger)
    milliseconds: Mapped[dict[str, Any]]
    teacher_milliseconds: Mapped[dict[str, Any]]
    device: Mapped[str]
    computed: Mapped[datetime]
