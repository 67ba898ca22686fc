"""Runs from the event files that TensorBoard reads."""

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import chain, islice
from pathlib import Path
from typing import Any

from gradscope import histogram
from gradscope.errors import ExchangeError
from gradscope.exchange.document import TAG, began, layers_of, parsed
from gradscope.exchange.event_files import Histogram, Item, Other, Point, Settings, event_files, items
from gradscope.exchange.rebin import rebin
from gradscope.exchange.tags import Subject, subject_of
from gradscope.records import Batch, Kind, Layer, LayerStats, Metric, Progress, Status
from gradscope.store import Store, write

ROWS_PER_TRANSACTION = 2000
_ITEMS_OF_SETTINGS = 20
"""Settings stand among the first items of a file."""

_HOW = (
    "Their histograms were laid into bins of half an octave, the values taken to lie evenly within each bucket; "
    "mean magnitudes, and RMS where the file keeps no sum of squares, are estimates from the buckets."
)


@dataclass(frozen=True, kw_only=True)
class Imported:
    """What became of a folder of event files."""

    run_id: int
    name: str
    n_points: int
    n_histograms: int
    n_layers: int
    left_out: Mapping[str, int]
    """How many of what had no place in a store, by its name."""

    def __str__(self) -> str:
        text = f"run {self.run_id} ({self.name}): {self.n_points} points of curves"
        text += f", {self.n_histograms} histograms of {self.n_layers} layers"
        return text + (f"; left out: {_listed(self.left_out)}" if self.left_out else "")


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{what} ({count})" for what, count in counts.items())


def import_logdir(store: Store, logdir: Path) -> Iterator[Imported]:
    """Make a run of every folder at or below `logdir` that holds event files.

    Raises:
        ExchangeError: there is no such folder.
    """
    folders = sorted({file.parent for file in logdir.rglob("*tfevents*") if file.is_file()})
    if not folders:
        raise ExchangeError(f"{logdir} holds no event files; give the folder that `tensorboard --logdir` is given")
    for folder in folders:
        inner = folder.relative_to(logdir)
        yield _import_folder(store, folder, str(inner) if inner.parts else folder.absolute().name)


def _import_folder(store: Store, folder: Path, name: str) -> Imported:
    files = event_files(folder)
    settings, ours = _settings(files)
    config = ours["run"]["config"] if ours else settings
    run_id = write.create_run(
        store,
        name=ours["run"]["name"] if ours else name,
        source="attached",
        config=config,
        status=Status.RUNNING,
        tags=["tensorboard"],
    )
    try:
        found = _Folder(store, run_id, ours)
        for item in chain.from_iterable(items(file) for file in files):
            found.take(item)
        found.close()
    except BaseException as error:
        write.finish(store, run_id, Status.FAILED, error=f"not imported to the end ({type(error).__name__}: {error})")
        raise
    write.edit(store, run_id, note=found.note(folder))
    write.finish(store, run_id, Status.COMPLETED)
    return found.summary(ours["run"]["name"] if ours else name)


# Any: settings are of any type
def _settings(files: list[Path]) -> tuple[dict[str, Any], Mapping[str, Any] | None]:
    """Hyper-parameters, and what an export of our own says of its run."""
    given: dict[str, Any] = {}
    ours = None
    for item in chain.from_iterable(islice(items(file), _ITEMS_OF_SETTINGS) for file in files):
        if isinstance(item, Settings):
            if item.tag == TAG:
                ours = parsed(item.values["text"])
            elif "text" not in item.values:
                given |= item.values
    return given, ours


class _Folder:
    """Takes the items of a folder in order and writes what has a place in a store."""

    # Any: JSON
    def __init__(self, store: Store, run_id: int, ours: Mapping[str, Any] | None) -> None:
        self._store, self._run_id = store, run_id
        self._ours = ours is not None
        self._layers = {layer.name: layer for layer in layers_of(ours)} if ours else {}
        self._subjects: dict[str, Subject | None] = {}
        self._seen: set[tuple[str, int]] = set()
        self._left_out: Counter[str] = Counter()
        self._points: list[Metric] = []
        self._stats: list[LayerStats] = []
        self._n_points = self._n_histograms = 0
        self._first_time = began(ours) if ours else math.inf
        self._last_time = -math.inf
        self._last_step = 0

    def take(self, item: Item) -> None:
        """One item; the order of the items is that of the layers."""
        if isinstance(item, Point):
            self._take_point(item)
        elif isinstance(item, Histogram):
            self._take_histogram(item)
        elif isinstance(item, Other):
            self._left_out[item.what] += 1
        elif item.tag != TAG and "text" in item.values:
            self._left_out["texts"] += 1
        if len(self._points) + len(self._stats) >= ROWS_PER_TRANSACTION:
            self._write()

    def _take_point(self, item: Point) -> None:
        if self._ours and item.tag.partition("/")[0] in _RMS_CURVES:
            return  # the histogram of the layer has it
        if not self._is_new(item):
            self._left_out["points that a later one of the same step replaced"] += 1
        value = item.value if math.isfinite(item.value) else None
        seconds = item.wall_time - self._first_time
        self._points.append(Metric(name=item.tag, step=item.step, value=value, seconds=seconds))

    def _take_histogram(self, item: Histogram) -> None:
        if item.tag not in self._subjects:
            self._subjects[item.tag] = self._subject(item.tag)
        subject = self._subjects[item.tag]
        if subject is None or subject.is_bias:
            self._left_out["histograms of biases" if subject else "histograms of unknown kind"] += 1
            return
        if not self._is_new(item):
            self._left_out["histograms that a later one of the same step replaced"] += 1
        stats = _stats(item, subject.kind, self._index(subject.layer))
        if subject.kind in (Kind.GRADIENT, Kind.WEIGHT) and not self._ours:
            layer = self._layers[subject.layer]
            self._layers[subject.layer] = replace(layer, n_weights=max(layer.n_weights, stats.n))
        self._stats.append(stats)

    def _subject(self, tag: str) -> Subject | None:
        subject = subject_of(tag)
        taken = {(s.kind, s.layer) for s in self._subjects.values() if s and not s.is_bias}
        if subject and (subject.kind, subject.layer) in taken:
            return replace(subject, layer=tag)
        return subject

    def _index(self, name: str) -> int:
        if name not in self._layers:
            self._layers[name] = Layer(index=len(self._layers), name=name, type="unknown", shape=(), n_weights=0)
        return self._layers[name].index

    def _is_new(self, item: Point | Histogram) -> bool:
        self._first_time = min(self._first_time, item.wall_time)
        self._last_time = max(self._last_time, item.wall_time)
        self._last_step = max(self._last_step, item.step)
        new = (item.tag, item.step) not in self._seen
        self._seen.add((item.tag, item.step))
        self._n_points += new and isinstance(item, Point)
        self._n_histograms += new and isinstance(item, Histogram)
        return new

    def _write(self) -> None:
        progress = Progress(last_step=self._last_step)
        write.append(
            self._store,
            self._run_id,
            Batch(stats=tuple(self._stats), metrics=tuple(self._points), progress=progress),
        )
        self._points.clear()
        self._stats.clear()

    def close(self) -> None:
        """Write the rest, and the layers."""
        self._write()
        write.layers(self._store, self._run_id, sorted(self._layers.values(), key=lambda layer: layer.index))

    def note(self, folder: Path) -> str:
        """What the run's page says of its origin."""
        written = ""
        if self._last_time >= self._first_time:
            begin, end = (
                f"{datetime.fromtimestamp(t, UTC):%Y-%m-%d %H:%M}" for t in (self._first_time, self._last_time)
            )
            written = f", written from {begin} to {end} UTC"
        text = f"Imported from the event files in {folder.name}{written}."
        text += f" {_HOW}" if self._n_histograms and not self._ours else ""
        return text + (f" Left out: {_listed(self._left_out)}." if self._left_out else "")

    def summary(self, name: str) -> Imported:
        """What was written and what was not."""
        return Imported(
            run_id=self._run_id,
            name=name,
            n_points=self._n_points,
            n_histograms=self._n_histograms,
            n_layers=len(self._layers),
            left_out=dict(self._left_out),
        )


_RMS_CURVES = {f"{kind}_rms" for kind in Kind}


def _stats(item: Histogram, kind: Kind, layer: int) -> LayerStats:
    binned = rebin(item.buckets)
    n = binned.n
    return LayerStats(
        step=item.step,
        layer=layer,
        kind=kind,
        n=n,
        rms=item.rms if item.rms is not None else _known(math.sqrt(item.buckets.mean_square()), n),
        mean_abs=item.mean_abs if item.mean_abs is not None else _known(item.buckets.mean_abs(), n),
        max_abs=item.max_abs,
        zeros=binned.zeros,
        histogram=histogram.encode(binned.counts) if n else None,
    )


def _known(estimate: float, n: int) -> float | None:
    return estimate if n and math.isfinite(estimate) else None
