"""What TensorBoard's event files hold, as plain values: curves and histograms, nothing sampled away."""

import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gradscope.errors import ExchangeError
from gradscope.exchange.rebin import Buckets

try:
    from google.protobuf.message import DecodeError
    from tensorboard.compat.proto import event_pb2
    from tensorboard.plugins.hparams import plugin_data_pb2
    from tensorboard.summary.writer.record_writer import masked_crc32c
    from tensorboard.util import tensor_util
except ImportError as missing:
    raise ExchangeError("event files need TensorBoard; install it by `pip install tensorboard`") from missing

Message = Any
"""A protocol buffer: TensorBoard publishes no types."""


@dataclass(frozen=True, kw_only=True)
class Point:
    """A value of a curve."""

    tag: str
    step: int
    wall_time: float
    """Seconds since 1970."""
    value: float
    """May be NaN or infinite."""


@dataclass(frozen=True, kw_only=True)
class Histogram:
    """Values of a tensor at a step."""

    tag: str
    step: int
    wall_time: float
    buckets: Buckets
    rms: float | None
    """Exact, from the sum of squares; None where the file does not keep it."""
    mean_abs: float | None
    """Exact; None where the file does not keep it (values of both signs)."""
    max_abs: float | None
    """None without values."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Hyper-parameters, or a text."""

    tag: str
    values: dict[str, Any]  # Any: settings are of any type


@dataclass(frozen=True, kw_only=True)
class Other:
    """Something that has no place in a store."""

    what: str
    """Such as `images`."""


Item = Point | Histogram | Settings | Other


def event_files(folder: Path) -> list[Path]:
    """The event files in a folder, oldest first."""
    return sorted(f for f in folder.iterdir() if f.is_file() and "tfevents" in f.name)


def items(file: Path) -> Iterator[Item]:
    """Everything in one event file, in order. A record that is damaged or cut off ends it, and is told as `Other`."""
    plugins: dict[str, str] = {}
    try:
        for record in _records(file):
            yield from _of_event(event_pb2.Event.FromString(record), plugins)
    except (EOFError, DecodeError):
        yield Other(what=f"what follows a damaged or unfinished record in {file.name}")


def _records(file: Path) -> Iterator[bytes]:
    """Serialised events: length (8 bytes), its checksum (4), data, their checksum (4).

    TensorBoard's own reader ends at a damaged record as at the end of the file, so nobody would be told of it. The
    checksum of the data is not looked at: in Python it takes longer than everything else.
    """
    with file.open("rb") as stream:
        while header := stream.read(12):
            if len(header) < 12 or struct.pack("<I", masked_crc32c(header[:8])) != header[8:]:
                raise EOFError
            (length,) = struct.unpack("<Q", header[:8])
            data = stream.read(length + 4)
            if len(data) < length + 4:
                raise EOFError
            yield data[:-4]


def _of_event(event: Message, plugins: dict[str, str]) -> Iterator[Item]:
    what = event.WhichOneof("what")
    if what == "summary":
        for value in event.summary.value:
            # TensorFlow writes what a tag is with its first value only
            plugins.setdefault(value.tag, value.metadata.plugin_data.plugin_name)
            yield _of_value(value, event.step, event.wall_time, plugins[value.tag])
    elif what in ("graph_def", "meta_graph_def", "tagged_run_metadata"):
        yield Other(what="graphs")


def _of_value(value: Message, step: int, wall_time: float, plugin: str) -> Item:
    form = value.WhichOneof("value")
    if form == "simple_value":
        return Point(tag=value.tag, step=step, wall_time=wall_time, value=float(value.simple_value))
    if form == "histo":
        return _of_histo(value.tag, value.histo, step, wall_time)
    if plugin == "hparams":
        return _of_hparams(value)
    if form != "tensor":
        return Other(what=f"{form or 'empty value'}s")
    array = tensor_util.make_ndarray(value.tensor)
    if plugin == "scalars" and array.size == 1:
        return Point(tag=value.tag, step=step, wall_time=wall_time, value=float(array.item()))
    if plugin == "histograms" and array.ndim == 2 and array.shape[1] == 3:
        return _of_table(value.tag, array, step, wall_time)
    if plugin == "text" and array.size == 1:
        return Settings(tag=value.tag, values={"text": array.item().decode("utf-8", "replace")})
    return Other(what=f"{plugin or 'tensor'} summaries".replace("images summaries", "images"))


def _of_histo(tag: str, proto: Message, step: int, wall_time: float) -> Histogram:
    """One of `SummaryWriter.add_histogram`: upper edges, counts, and moments that are exact."""
    right = np.array(proto.bucket_limit, dtype=np.float64)
    counts = np.array(proto.bucket, dtype=np.float64)
    left = np.concatenate([[-math.inf], right[:-1]])
    kept = counts > 0
    buckets = _within(left[kept], right[kept], counts[kept], proto.min, proto.max)
    known = proto.num > 0 and (proto.sum_squares > 0 or proto.min == proto.max == 0)
    return Histogram(
        tag=tag,
        step=step,
        wall_time=wall_time,
        buckets=buckets,
        rms=math.sqrt(proto.sum_squares / proto.num) if known else None,
        mean_abs=proto.sum / proto.num if known and proto.min >= 0 else None,
        max_abs=_largest(buckets),
    )


def _within(left: Message, right: Message, counts: Message, smallest: float, largest: float) -> Buckets:
    """Buckets cut to where the values are; without that knowledge the outermost end at their inner edges."""
    if not counts.size:
        return Buckets(left=left, right=right, counts=counts)
    cut_left, cut_right = np.maximum(left, smallest), np.minimum(right, largest)
    fits = cut_left <= cut_right
    left, right = np.where(fits, cut_left, left), np.where(fits, cut_right, right)
    ends = np.finfo(np.float64).max
    left = np.where(left <= -ends, right, left)
    right = np.asarray(np.where(right >= ends, left, right))
    return Buckets(left=left, right=right, counts=counts)


def _of_table(tag: str, table: Message, step: int, wall_time: float) -> Histogram:
    """One of TensorFlow 2: rows of left edge, right edge, count, and nothing else."""
    kept = np.asarray(table[table[:, 2] > 0], dtype=np.float64)
    buckets = Buckets(left=kept[:, 0], right=kept[:, 1], counts=kept[:, 2])
    return Histogram(
        tag=tag, step=step, wall_time=wall_time, buckets=buckets, rms=None, mean_abs=None, max_abs=_largest(buckets)
    )


def _largest(buckets: Buckets) -> float | None:
    return float(max(-buckets.left[0], buckets.right[-1], 0.0)) if buckets.counts.size else None


def _of_hparams(value: Message) -> Item:
    data = plugin_data_pb2.HParamsPluginData.FromString(value.metadata.plugin_data.content)
    if not data.HasField("session_start_info"):
        return Settings(tag=value.tag, values={})
    given = data.session_start_info.hparams
    return Settings(tag=value.tag, values={name: getattr(v, v.WhichOneof("kind")) for name, v in given.items()})
