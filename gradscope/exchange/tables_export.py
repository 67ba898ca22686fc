"""A run as tables, for any program."""

from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from gradscope.exchange.document import document
from gradscope.records import Kind
from gradscope.store import Store
from gradscope.store.notebook import RunReader

HISTOGRAM_COLUMNS = ["layer", "name", "kind", "step", "log2_low", "log2_high", "count"]


def write_csv(store: Store, run_id: int, folder: Path) -> None:
    """Write layer_stats, metrics, skipped_steps, term_gradients, term_cosines and histograms (edges as log2 of the
    magnitude) .csv, and run.json.
    """
    run = _begin(store, run_id, folder)
    for name, table in _tables(run):
        table.to_csv(folder / f"{name}.csv", index=False)
    with (folder / "histograms.csv").open("w", newline="") as file:
        for number, part in enumerate(_histograms(run)):
            part.to_csv(file, index=False, header=number == 0)


def write_parquet(store: Store, run_id: int, folder: Path) -> None:
    """As `write_csv`, in Parquet."""
    import pyarrow as pa
    from pyarrow import parquet

    run = _begin(store, run_id, folder)
    for name, table in _tables(run):
        table.to_parquet(folder / f"{name}.parquet", index=False)
    parts = (pa.Table.from_pandas(part, preserve_index=False) for part in _histograms(run))
    first = next(parts)
    with parquet.ParquetWriter(folder / "histograms.parquet", first.schema) as file:
        file.write_table(first)
        for part in parts:
            file.write_table(part)


def _begin(store: Store, run_id: int, folder: Path) -> RunReader:
    (folder / "run.json").write_text(document(store, run_id) + "\n", encoding="utf-8")
    return RunReader(store, run_id)


def _tables(run: RunReader) -> Iterator[tuple[str, pd.DataFrame]]:
    """Those that fit into memory as a whole."""
    yield "layer_stats", run.layer_stats()
    yield "metrics", run.metrics()
    yield "skipped_steps", run.skipped_steps()
    yield "term_gradients", run.term_gradients()
    yield "term_cosines", run.term_cosines()


def _histograms(run: RunReader) -> Iterator[pd.DataFrame]:
    """Part by part, so that a long run need not fit into memory; first an empty part, for the columns."""
    types = {"layer": "int64", "step": "int64", "log2_low": "float64", "log2_high": "float64", "count": "int64"}
    empty = pd.DataFrame(columns=HISTOGRAM_COLUMNS).astype(types).astype({"name": "str", "kind": "str"})
    yield empty
    layers = run.layers()
    for layer, name in zip(layers["layer"].tolist(), layers["name"].tolist(), strict=True):
        for kind in Kind:
            part = run.histograms(layer, kind)
            if len(part):
                named = part.assign(layer=layer, name=name, kind=str(kind))
                yield named[HISTOGRAM_COLUMNS].astype(empty.dtypes.to_dict())
