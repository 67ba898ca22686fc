"""A run as an event file for TensorBoard."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from gradscope import histogram
from gradscope.errors import ExchangeError
from gradscope.exchange.document import TAG, document, started
from gradscope.records import Kind, Run
from gradscope.store import Store, read

try:
    from tensorboard.compat.proto import event_pb2, summary_pb2, tensor_pb2, types_pb2
    from tensorboard.summary.writer.record_writer import RecordWriter
except ImportError as missing:
    raise ExchangeError("event files need TensorBoard; install it by `pip install tensorboard`") from missing

Message = Any
"""A protocol buffer: TensorBoard publishes no types."""

_EVERYTHING = 2**31


def write_event_file(store: Store, run_id: int, folder: Path) -> None:
    """Write a run into one event file of a folder.

    Curves keep their names, in single precision, as everything that TensorBoard draws. Each layer's histogram of
    magnitudes is `<kind>/<layer>`, with our bins for buckets, zeros in a bucket of their own, and exact moments; its
    RMS is the curve `<kind>_rms/<layer>`, and values that are not finite are counted by `<kind>_nonfinite/<layer>`.
    The text `gradscope/run` is the document that lies beside tables as run.json.
    """
    run = read.run(store, run_id)
    begin = started(run)
    path = folder / f"events.out.tfevents.{int(begin)}.gradscope"
    with path.open("wb") as file:
        writer = RecordWriter(file)
        writer.write(event_pb2.Event(wall_time=begin, file_version="brain.Event:2").SerializeToString())
        for value, step, seconds in _values(store, run):
            summary = summary_pb2.Summary(value=[value])
            event = event_pb2.Event(wall_time=begin + seconds, step=step, summary=summary)
            writer.write(event.SerializeToString())


def _values(store: Store, run: Run) -> Iterator[tuple[Message, int, float]]:
    """(value, step, seconds since the start)."""
    yield _text(TAG, document(store, run.id)), 0, 0.0
    metrics = read.metrics(store, [run.id], max_points=_EVERYTHING).sort_values(["step", "seconds"], kind="stable")
    for point in metrics.itertuples():
        yield _scalar(str(point.name), float(point.value)), int(point.step), float(point.seconds)  # type: ignore[arg-type]
    clock = metrics.groupby("step")["seconds"].min()
    for kind in Kind:
        stats = read.layer_map(store, run.id, kind, _EVERYTHING)
        for layer in stats["layer"].unique():
            rows = stats[(stats["layer"] == layer) & (stats["n"] > 0)]
            for value, step in _of_layer(store, run.id, kind, int(layer), rows):
                yield value, step, _seconds(clock, step)


def _seconds(clock: "pd.Series[float]", step: int) -> float:
    """When a step was, judging by the curves."""
    return float(np.interp(step, clock.index, clock)) if len(clock) else 0.0


def _of_layer(store: Store, run_id: int, kind: Kind, layer: int, rows: pd.DataFrame) -> Iterator[tuple[Message, int]]:
    # Any: a row of a frame
    by_step: Mapping[int, Any] = {row.step: row for row in rows.itertuples()}  # type: ignore[misc]
    for step, row in by_step.items():
        yield _scalar(f"{kind}_rms/{row.name}", row.rms), step
        if row.nan + row.pos_inf + row.neg_inf:
            yield _scalar(f"{kind}_nonfinite/{row.name}", row.nan + row.pos_inf + row.neg_inf), step
    for step, counts in zip(*read.histograms(store, run_id, layer, kind, _EVERYTHING), strict=True):
        row = by_step.get(int(step))
        if row is not None and (row.zeros or counts.any()):
            yield _histogram(f"{kind}/{row.name}", row, counts), int(step)


def _histogram(tag: str, row: Any, counts: histogram.Counts) -> Message:  # Any: a row of a frame
    finite = row.zeros + int(counts.sum())
    filled = np.flatnonzero(counts)
    limits, buckets = ([0.0], [float(row.zeros)]) if row.zeros else ([], [])
    if filled.size:
        edges = 2.0 ** histogram.edges_log2()[filled[0] : filled[-1] + 2]
        edges[-1] = max(edges[-1], row.max_abs)  # the last bin of all is open
        limits += edges.tolist()
        buckets += [0.0, *counts[filled[0] : filled[-1] + 1].astype(float).tolist()]
    proto = summary_pb2.HistogramProto(
        min=min(limits[0], row.max_abs),
        max=row.max_abs,
        num=finite,
        sum=row.mean_abs * finite,
        sum_squares=row.rms**2 * finite,
        bucket_limit=limits,
        bucket=buckets,
    )
    return summary_pb2.Summary.Value(tag=tag, histo=proto)


def _scalar(tag: str, value: float) -> Message:
    # TensorBoard's own loader shows no scalar of double precision
    return summary_pb2.Summary.Value(tag=tag, simple_value=value)


def _text(tag: str, text: str) -> Message:
    plugin = summary_pb2.SummaryMetadata.PluginData(plugin_name="text")
    tensor = tensor_pb2.TensorProto(dtype=types_pb2.DT_STRING, string_val=[text.encode()])
    metadata = summary_pb2.SummaryMetadata(plugin_data=plugin, data_class=summary_pb2.DATA_CLASS_TENSOR)
    return summary_pb2.Summary.Value(tag=tag, tensor=tensor, metadata=metadata)
