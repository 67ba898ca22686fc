"""The only SELECT: a question about runs, answered as a value or as a tidy DataFrame with documented columns.

Values that are not finite are stored as NULL and read as NaN. Long series are thinned by a stride that doubles as they
grow and always keep their last point, so that the points already drawn of a live run stay where they are.
"""

from collections.abc import Iterable, Sequence
from dataclasses import fields
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sqlalchemy import ColumnElement, Select, case, func, literal, or_, select

from gradscope import histogram
from gradscope.errors import RunNotFound
from gradscope.records import Kind, NonFinite, Pace, Progress, Provenance, Results, Run, Status
from gradscope.store.engine import Store
from gradscope.store.schema import GainRow, HistogramRow, LayerRow, MetricRow, RunRow, SkippedRow, StatsRow

METRIC_COLUMNS = ["run", "name", "step", "epoch", "value", "seconds"]
LAYER_COLUMNS = ["run", "layer", "name", "type", "shape", "n_weights", "trainable", "depth"]
STATS_COLUMNS = [
    *("run", "step", "layer", "name", "depth", "n", "rms", "mean_abs", "max_abs"),
    *("zeros", "nan", "pos_inf", "neg_inf", "saturated", "dead"),
]
_STATS_NUMBERS = STATS_COLUMNS[5:]
SKIPPED_COLUMNS = ["run", "step", "attempt", "layer", "name", "kind", "scale"]
AMPLIFICATION_COLUMNS = ["run", "step", "layer", "name", "depth", "raw_rms", "rms", "amplification", "changed"]
GAIN_COLUMNS = ["run", "step", "layer", "name", "depth", "method", "gain", "share_above_one"]
_RUN = list(RunRow.__table__.columns)


def runs(store: Store) -> list[Run]:
    """Every run, newest first."""
    return _runs(store, select(*_RUN).order_by(RunRow.id.desc()))


def run(store: Store, run_id: int) -> Run:
    """One run, or RunNotFound."""
    found = _runs(store, select(*_RUN).where(RunRow.id == run_id))
    if not found:
        raise RunNotFound(f"run {run_id} is not in the store {store.shown}; `gradscope runs` lists what is")
    return found[0]


def unfinished(store: Store) -> dict[int, Status]:
    """Status of every run that is queued, running or stopping, by id, oldest first. Cheap enough to ask at 5 Hz."""
    going = [s for s in Status if not s.is_final]
    statement = select(RunRow.id, RunRow.status).where(RunRow.status.in_(going)).order_by(RunRow.id)
    with store.reader.connect() as connection:
        return {int(run_id): Status(status) for run_id, status in connection.execute(statement)}


def _runs(store: Store, statement: Select[*tuple[Any, ...]]) -> list[Run]:
    with store.reader.connect() as connection:
        rows = connection.execute(statement).mappings()
        return [_run(dict(row)) for row in rows]


def _run(row: dict[str, Any]) -> Run:
    def part(kind: type[Any]) -> Any:  # Any: whichever dataclass was asked for
        return kind(**{f.name: row[f.name] for f in fields(kind)})

    nonfinite = None
    if row["nonfinite_step"] is not None:
        nonfinite = NonFinite(step=row["nonfinite_step"], layer=row["nonfinite_layer"], kind=row["nonfinite_kind"])
    same = {f.name: row[f.name] for f in fields(Run) if f.name in row}
    kinds: dict[str, type[Any]] = {"progress": Progress, "results": Results, "provenance": Provenance, "pace": Pace}
    parts = {name: part(kind) for name, kind in kinds.items()}
    return Run(**{**same, **parts, "status": Status(row["status"]), "tags": tuple(row["tags"]), "nonfinite": nonfinite})


def revision(store: Store, run_ids: Iterable[int]) -> tuple[tuple[int, int], ...]:
    """(run, revision) of each run that exists: equal as long as nothing of theirs changed. The key of a cached read."""
    statement = select(RunRow.id, RunRow.revision).where(RunRow.id.in_(list(run_ids))).order_by(RunRow.id)
    with store.reader.connect() as connection:
        return tuple((int(a), int(b)) for a, b in connection.execute(statement))


def fingerprint(store: Store) -> tuple[int, int, int]:
    """(number of runs, greatest id, sum of revisions): equal as long as nothing in the list of runs changed."""
    statement = select(func.count(RunRow.id), func.max(RunRow.id), func.sum(RunRow.revision))
    with store.reader.connect() as connection:
        count, greatest, revisions = connection.execute(statement).one()
        return int(count), int(greatest or 0), int(revisions or 0)


def metrics(
    store: Store, run_ids: Iterable[int], names: Sequence[str] | None = None, max_points: int = 1000
) -> pd.DataFrame:
    """Curves, each thinned to at most about max_points points.

    Columns: run, name, step, epoch (may be NaN), value (NaN = not finite), seconds (since the run's start).
    """
    place = func.row_number().over(partition_by=(MetricRow.run_id, MetricRow.name), order_by=MetricRow.step)
    many = func.count().over(partition_by=(MetricRow.run_id, MetricRow.name))
    chosen = [MetricRow.run_id.in_(list(run_ids))]
    if names is not None:
        chosen.append(MetricRow.name.in_(list(names)))
    point = [
        MetricRow.run_id.label("run"),
        MetricRow.name,
        MetricRow.step,
        MetricRow.epoch,
        MetricRow.value,
        MetricRow.seconds,
    ]
    inner = select(*point, (place - 1).label("place"), many.label("many")).where(*chosen).subquery()
    stride = _doubling_stride(inner.c.many, max_points)
    kept = or_(inner.c.place % stride == 0, inner.c.place == inner.c.many - 1)
    statement = select(*inner.c[*METRIC_COLUMNS]).where(kept).order_by(inner.c.run, inner.c.name, inner.c.step)
    return table_of(store, statement, METRIC_COLUMNS, floats=("epoch", "value", "seconds"))


def _doubling_stride(many: ColumnElement[int], max_points: int) -> ColumnElement[int]:
    """The smallest power of two that leaves at most max_points of `many` points (up to 2^20 times as many)."""
    doublings = reversed(range(20))
    return case(*[(many > max_points * 2**power, 2 ** (power + 1)) for power in doublings], else_=1)


def layers(store: Store, run_ids: Iterable[int]) -> pd.DataFrame:
    """The layers of runs from input to output.

    Columns: run, layer, name, type, shape (list of int), n_weights, trainable, depth (layer / (L - 1), in 0..1).
    """
    columns = [LayerRow.run_id.label("run"), LayerRow.layer, LayerRow.name, LayerRow.type, LayerRow.shape]
    statement = (
        select(*columns, LayerRow.n_weights, LayerRow.trainable)
        .where(LayerRow.run_id.in_(list(run_ids)))
        .order_by(LayerRow.run_id, LayerRow.layer)
    )
    frame = table_of(store, statement, LAYER_COLUMNS[:-1])
    last = frame.groupby("run")["layer"].transform("max").clip(lower=1) if len(frame) else 1
    return frame.assign(depth=(frame["layer"] / last).astype(float))


def steps(store: Store, run_ids: Iterable[int]) -> pd.DataFrame:
    """Every recorded step of runs. Columns: run, step."""
    found = [(run_id, step) for run_id in run_ids for step in _steps(store, run_id)]
    return pd.DataFrame(found, columns=["run", "step"], dtype="int64")


def _steps(store: Store, run_id: int) -> list[int]:
    """Recorded steps in order. Jumps along the key from step to step: DISTINCT would read every row of the run."""
    first = select(func.min(StatsRow.step).label("step")).where(StatsRow.run_id == run_id)
    walk = first.cte("walk", recursive=True)
    after = select(func.min(StatsRow.step)).where(StatsRow.run_id == run_id, StatsRow.step > walk.c.step)
    walk = walk.union_all(select(after.scalar_subquery()).where(walk.c.step.is_not(None)))
    with store.reader.connect() as connection:
        return [int(s) for (s,) in connection.execute(select(walk.c.step).where(walk.c.step.is_not(None)))]


def profile(store: Store, run_ids: Iterable[int], kind: Kind, step: int | None = None) -> pd.DataFrame:
    """Every layer of each run at one recorded step: the nearest at or below `step`, the latest if None.

    Columns: run, step, layer, name, depth (0..1), n (elements measured), rms, mean_abs, max_abs (NaN = no finite
    element), zeros, nan, pos_inf, neg_inf (counts), saturated, dead (shares in 0..1, NaN = does not apply).
    """
    at = [(run_id, _step_at_or_below(store, run_id, kind, step)) for run_id in run_ids]
    chosen = [(StatsRow.run_id == run_id) & (StatsRow.step == found) for run_id, found in at if found is not None]
    return _stats(store, or_(*chosen) if chosen else literal(False), kind)


def _step_at_or_below(store: Store, run_id: int, kind: Kind, step: int | None) -> int | None:
    # order by the key and stop at the first: max() over a filtered kind would read the whole run
    statement = select(StatsRow.step).where(StatsRow.run_id == run_id, StatsRow.kind == kind)
    if step is not None:
        statement = statement.where(StatsRow.step <= step)
    with store.reader.connect() as connection:
        found = connection.execute(statement.order_by(StatsRow.step.desc()).limit(1)).scalar()
        return None if found is None else int(found)


def layer_map(store: Store, run_id: int, kind: Kind, max_steps: int = 300) -> pd.DataFrame:
    """Every layer of a run over its recorded steps, thinned to at most max_steps. Columns as `profile`."""
    return _stats(store, (StatsRow.run_id == run_id) & _kept(store, run_id, StatsRow.step, max_steps), kind)


def _kept(store: Store, run_id: int, column: Any, max_steps: int) -> ColumnElement[bool]:  # Any: a mapped attribute
    """That a row's step remains after thinning. A list of all steps may be longer than SQLite takes."""
    steps = _steps(store, run_id)
    return column.in_(thinned(steps, max_steps)) if len(steps) > max_steps else literal(True)


def thinned(steps: Sequence[int], at_most: int) -> list[int]:
    """Every 1st, 2nd, 4th, 8th, ... of the steps, so that at most about `at_most` remain, and always the last."""
    stride = 1
    while len(steps) > at_most * stride:
        stride *= 2
    kept = list(steps[::stride])
    return kept if not steps or kept[-1] == steps[-1] else [*kept, steps[-1]]


def _stats(store: Store, chosen: ColumnElement[bool], kind: Kind) -> pd.DataFrame:
    numbers = [getattr(StatsRow, name) for name in _STATS_NUMBERS]
    statement = (
        select(StatsRow.run_id.label("run"), StatsRow.step, StatsRow.layer, *numbers)
        .where(chosen, StatsRow.kind == kind)
        .order_by(StatsRow.run_id, StatsRow.step, StatsRow.layer)
    )
    floats = ("rms", "mean_abs", "max_abs", "saturated", "dead")
    frame = table_of(store, statement, ["run", "step", "layer", *_STATS_NUMBERS], floats=floats)
    return named(store, frame)[STATS_COLUMNS]


def named(store: Store, frame: pd.DataFrame) -> pd.DataFrame:
    """The rows, of columns run and layer among others, with name and depth (0..1) of their layer; NaN = not known."""
    if frame.empty:
        return frame.assign(name=frame["layer"], depth=0.0)  # for the sake of the columns
    run_ids = [int(run_id) for run_id in frame["run"].unique()]
    statement = select(LayerRow.run_id, LayerRow.layer, LayerRow.name).where(LayerRow.run_id.in_(run_ids))
    with store.reader.connect() as connection:
        names = {(run_id, layer): name for run_id, layer, name in connection.execute(statement)}
    last: dict[int, int] = {}
    for run_id, layer in names:
        last[run_id] = max(layer, last.get(run_id, 1))  # a single layer lies at 0
    places = list(zip(frame["run"], frame["layer"], strict=True))
    depths = [layer / last[run_id] if (run_id, layer) in names else np.nan for run_id, layer in places]
    return frame.assign(name=[names.get(place, np.nan) for place in places], depth=depths)


def update_ratio(store: Store, run_id: int, layer: int, max_steps: int = 300) -> pd.DataFrame:
    """How much of a layer's weights a step changes: RMS(update) / RMS(weight). Columns: step, ratio (NaN = unknown)."""
    kept = _kept(store, run_id, StatsRow.step, max_steps)
    of_layer = (StatsRow.run_id == run_id) & (StatsRow.layer == layer) & kept
    update, weight = (_stats(store, of_layer, k)[["step", "rms"]] for k in (Kind.UPDATE, Kind.WEIGHT))
    both = update.merge(weight, on="step", suffixes=("_update", "_weight"))
    ratio = both["rms_update"] / both["rms_weight"].where(both["rms_weight"] > 0)
    return pd.DataFrame({"step": both["step"], "ratio": ratio})


def amplification(store: Store, run_ids: Iterable[int], max_steps: int = 300) -> pd.DataFrame:
    """How much stronger each layer's gradient is after clipping and methods than the backward pass left it.

    Amplification = RMS(gradient) / RMS(raw gradient): above 1 it was strengthened, below 1 it was clipped. A raw
    gradient is stored only where it differs, so a layer without one has an amplification of exactly 1. What acts inside
    the backward pass (pseudo-normalising) has changed the raw gradient already and does not show here.

    Args:
        store: to be read.
        run_ids: of the runs.
        max_steps: to which the recorded steps of each run are thinned.

    Columns: run, step, layer, name, depth (0..1), raw_rms and rms (nats per unit weight, NaN = unknown), amplification
    (NaN = unknown, or the raw gradient is 0), changed (whether it was treated).
    """
    frames = [_amplification(store, run_id, max_steps) for run_id in run_ids]
    filled = [frame for frame in frames if not frame.empty]
    return pd.concat(filled, ignore_index=True) if filled else pd.DataFrame(columns=AMPLIFICATION_COLUMNS)


def _amplification(store: Store, run_id: int, max_steps: int) -> pd.DataFrame:
    treated = layer_map(store, run_id, Kind.GRADIENT, max_steps)
    raw = layer_map(store, run_id, Kind.RAW_GRADIENT, max_steps)[["step", "layer", "rms"]]
    both = treated.merge(raw.rename(columns={"rms": "raw_rms"}), on=["step", "layer"], how="left", indicator="found")
    changed = both["found"] == "both"
    raw_rms = both["raw_rms"].where(changed, both["rms"])
    ratio = both["rms"] / raw_rms.where(raw_rms > 0)
    return both.assign(raw_rms=raw_rms, amplification=ratio, changed=changed)[AMPLIFICATION_COLUMNS]


def gains(store: Store, run_ids: Iterable[int], step: int | None = None) -> pd.DataFrame:
    """By what methods multiplied the back-propagated error at each layer, at one recorded step of each run.

    Args:
        store: to be read.
        run_ids: of the runs; those without such a method have no rows.
        step: the nearest at or below it is read, of each run; the latest if None.

    Columns: run, step, layer, name, depth (0..1), method (such as pseudo_norm), gain (mean over the samples; of
    pseudo_norm 1 / RMS(f'); NaN = not finite), share_above_one (of the derivatives after normalisation, in 0..1; NaN =
    the method has none).
    """
    below = literal(True) if step is None else GainRow.step <= step
    at = {run_id: select(GainRow.step).where(GainRow.run_id == run_id, below) for run_id in run_ids}
    newest = {run_id: steps.order_by(GainRow.step.desc()).limit(1).scalar_subquery() for run_id, steps in at.items()}
    chosen = [(GainRow.run_id == run_id) & (GainRow.step == found) for run_id, found in newest.items()]
    return _gains(store, or_(*chosen) if chosen else literal(False))


def gain_series(store: Store, run_id: int, max_steps: int = 300) -> pd.DataFrame:
    """The same of a run over its recorded steps, thinned to at most max_steps. Columns as `gains`."""
    return _gains(store, (GainRow.run_id == run_id) & _kept(store, run_id, GainRow.step, max_steps))


def _gains(store: Store, chosen: ColumnElement[bool]) -> pd.DataFrame:
    numbers = [GainRow.step, GainRow.layer, GainRow.method, GainRow.gain, GainRow.share_above_one]
    order = (GainRow.run_id, GainRow.step, GainRow.layer, GainRow.method)
    statement = select(GainRow.run_id.label("run"), *numbers).where(chosen).order_by(*order)
    columns = [name for name in GAIN_COLUMNS if name not in {"name", "depth"}]
    frame = table_of(store, statement, columns, floats=("gain", "share_above_one"))
    return named(store, frame)[GAIN_COLUMNS]


def skipped_steps(store: Store, run_ids: Iterable[int]) -> pd.DataFrame:
    """Every attempt at a step that the optimiser did not take, because gradient scaling (AMP) had overflowed.

    Columns: run, step (the number it would have had), attempt (0, 1, ... of those at one step), layer (float) and name
    of the layer where it overflowed (NaN and None = unknown), kind (what overflowed in it: activation, signal or
    gradient), scale (of the loss; NaN = unknown).
    """
    same = (LayerRow.run_id == SkippedRow.run_id) & (LayerRow.layer == SkippedRow.layer)
    statement = (
        select(SkippedRow.run_id.label("run"), SkippedRow.step, SkippedRow.attempt, SkippedRow.layer, LayerRow.name)
        .add_columns(SkippedRow.kind, SkippedRow.scale)
        .join(LayerRow, same, isouter=True)
        .where(SkippedRow.run_id.in_(list(run_ids)))
        .order_by(SkippedRow.run_id, SkippedRow.step, SkippedRow.attempt)
    )
    return table_of(store, statement, SKIPPED_COLUMNS, floats=("layer", "scale"))


def histograms(
    store: Store, run_id: int, layer: int, kind: Kind, max_steps: int = 300
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """A layer's histograms over its recorded steps, thinned to at most max_steps.

    Returns:
        steps, shape (S,), and counts, shape (S, gradscope.histogram.BINS).
    """
    statement = (
        select(HistogramRow.step, HistogramRow.counts)
        .where(HistogramRow.run_id == run_id, HistogramRow.layer == layer, HistogramRow.kind == kind)
        .where(_kept(store, run_id, HistogramRow.step, max_steps))
        .order_by(HistogramRow.step)
    )
    with store.reader.connect() as connection:
        rows = connection.execute(statement).all()
    counts = [histogram.decode(blob) for _, blob in rows]
    shape = (len(rows), histogram.BINS)
    return np.array([s for s, _ in rows], dtype=np.int64), np.array(counts, dtype=np.int64).reshape(shape)


def table_of(
    store: Store, statement: Select[*tuple[Any, ...]], columns: list[str], floats: Sequence[str] = ()
) -> pd.DataFrame:  # Any: the row's type is the columns'
    """The rows of a statement under these names; those of `floats` as numbers, NULL as NaN."""
    with store.reader.connect() as connection:
        rows = connection.execute(statement).all()
    frame = pd.DataFrame.from_records([tuple(r) for r in rows], columns=columns)
    # a column that holds only NULLs would come out as objects
    return frame.astype(dict.fromkeys(floats, "float64"))
