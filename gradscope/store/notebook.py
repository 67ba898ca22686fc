"""Reading a store from a notebook: `gradscope.open("runs.db").run(3).layer_stats()`."""

import os
from collections.abc import Iterable

import pandas as pd

from gradscope import histogram, records
from gradscope.records import Kind
from gradscope.store import read, read_terms
from gradscope.store.engine import Store, open_store


class RunReader:
    """One run's records as tidy DataFrames."""

    def __init__(self, store: Store, run_id: int) -> None:
        self._store = store
        self.info: records.Run = read.run(store, run_id)

    def __repr__(self) -> str:
        return f"<run {self.info.id} {self.info.name!r}, {self.info.status}, step {self.info.progress.last_step}>"

    def layers(self) -> pd.DataFrame:
        """Columns: run, layer, name, type, shape, n_weights, trainable, depth (0..1)."""
        return read.layers(self._store, [self.info.id])

    def layer_stats(self, kinds: Iterable[str] = tuple(Kind)) -> pd.DataFrame:
        """Every recorded step of every layer.

        Columns: step, layer, name, kind, depth (0..1), n, rms, mean_abs, max_abs, zeros, nan, pos_inf, neg_inf,
        saturated, dead, run.
        """
        whole = 2**62
        known = [_kind(k) for k in kinds]
        frames = [read.layer_map(self._store, self.info.id, k, whole).assign(kind=str(k)) for k in known]
        frame = pd.concat(frames, ignore_index=True).sort_values(["step", "layer", "kind"], ignore_index=True)
        first = ["step", "layer", "name", "kind"]
        return frame[first + [c for c in frame.columns if c not in {*first, "run"}] + ["run"]]

    def metrics(self) -> pd.DataFrame:
        """Every point of every curve. Columns: run, name, step, epoch, value (NaN = not finite), seconds."""
        return read.metrics(self._store, [self.info.id], max_points=2**31)

    def histograms(self, layer: int | str, kind: str = Kind.GRADIENT) -> pd.DataFrame:
        """A layer's histograms, by index or name. Columns: step, log2_low, log2_high (edges of |x|), count."""
        steps, counts = read.histograms(self._store, self.info.id, self._index(layer), _kind(kind), 2**62)
        row, bin_ = counts.nonzero()
        edges = histogram.edges_log2()
        return pd.DataFrame(
            {"step": steps[row], "log2_low": edges[bin_], "log2_high": edges[bin_ + 1], "count": counts[row, bin_]}
        )

    def amplification(self) -> pd.DataFrame:
        """How much stronger each layer's gradient is after clipping and methods than before, at every recorded step.

        Columns: run, step, layer, name, depth (0..1), raw_rms, rms, amplification (NaN = unknown), changed.
        """
        return read.amplification(self._store, [self.info.id], 2**62)

    def term_gradients(self) -> pd.DataFrame:
        """What each term of the loss adds to every layer's gradient, at every recorded step.

        Columns: run, step, layer, name, depth (0..1), term, share (those of a layer add up to 1), rms.
        """
        return read_terms.term_series(self._store, self.info.id, 2**62)

    def term_cosines(self) -> pd.DataFrame:
        """The cosine between every two terms' gradients in every layer, at every recorded step.

        Columns: run, step, layer, name, depth (0..1), term, other, cosine.
        """
        return read_terms.cosine_series(self._store, self.info.id, 2**62)

    def skipped_steps(self) -> pd.DataFrame:
        """Attempts at a step that gradient scaling (AMP) skipped.

        Columns: run, step, attempt, layer (NaN = unknown), name, kind, scale.
        """
        return read.skipped_steps(self._store, [self.info.id])

    def _index(self, layer: int | str) -> int:
        known = self.layers()
        match = known.loc[known["layer" if isinstance(layer, int) else "name"] == layer, "layer"]
        if match.empty:
            raise ValueError(f"run {self.info.id} has no layer {layer!r}; it has {', '.join(known['name'])}")
        return int(match.iloc[0])


def _kind(name: str) -> Kind:
    if name not in list(Kind):
        raise ValueError(f"kind {name!r} is unknown; use one of {', '.join(Kind)}")
    return Kind(name)


class StoreReader:
    """A store's runs, for reading."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def __repr__(self) -> str:
        return f"<GradScope store {self._store.shown!r}>"

    def runs(self) -> pd.DataFrame:
        """One row a run, newest first: id, name, status, source, preset, last_step, epoch, results, tags, created."""
        return pd.DataFrame([_summary(r) for r in read.runs(self._store)], columns=_SUMMARY)

    def run(self, run_id: int) -> RunReader:
        """One run, or RunNotFound."""
        return RunReader(self._store, run_id)


_SUMMARY = [
    *("id", "name", "status", "source", "preset", "last_step", "epoch", "val_accuracy", "best_val_accuracy"),
    *("test_accuracy", "val_map", "best_val_map", "test_map", "tags", "created"),
]


def _summary(run: records.Run) -> dict[str, object]:
    return {
        "id": run.id,
        "name": run.name,
        "status": str(run.status),
        "source": run.source,
        "preset": run.config.get("preset"),
        "last_step": run.progress.last_step,
        "epoch": run.progress.epoch,
        "val_accuracy": run.results.val_accuracy,
        "best_val_accuracy": run.results.best_val_accuracy,
        "test_accuracy": run.results.test_accuracy,
        "val_map": run.results.val_map,
        "best_val_map": run.results.best_val_map,
        "test_map": run.results.test_map,
        "tags": list(run.tags),
        "created": run.created,
    }


def open_runs(store: str | os.PathLike[str] | None = None) -> StoreReader:
    """The store of that path or URL (default: `GRADSCOPE_STORE`, else `runs.db`), for reading; raises StoreError."""
    return StoreReader(open_store(store))
