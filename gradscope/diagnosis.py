"""A run of a store, diagnosed: reads its tables and applies the rules of `gradscope.analysis.findings`."""

import numpy as np
import pandas as pd

from gradscope.analysis.exits import has_exits, without_heads
from gradscope.analysis.findings import Finding, Tables, Thresholds, diagnose
from gradscope.analysis.findings.pairs import term_pairs
from gradscope.analysis.findings.tables import total_gain
from gradscope.records import Kind, Run
from gradscope.store import Store, read, read_terms

MAX_STEPS = 300
"""Recorded steps that are looked at, evenly thinned; the first and the last are among them."""


def tables_of(store: Store, run: Run, max_steps: int = MAX_STEPS) -> Tables:
    """What a store knows of a run, as the rules take it."""
    of_network = without_heads if has_exits(run.config) else _as_they_are
    layers = of_network(read.layers(store, [run.id]))
    series = (of(store, run.id, max_steps) for of in (read_terms.term_series, read_terms.cosine_series))
    shares, cosines = (of_network(rows) for rows in series)
    return Tables.of(
        layers,
        {kind: of_network(read.layer_map(store, run.id, kind, max_steps)) for kind in Kind},
        read.metrics(store, [run.id], max_points=4 * max_steps),
        skipped=np.sort(read.skipped_steps(store, [run.id])["step"].to_numpy(dtype=np.int64)),
        gains=total_gain(read.gain_series(store, run.id, max_steps)),
        terms=term_pairs(shares, cosines, len(layers)),
        config=run.config,
        status=run.status,
        total_steps=run.progress.total_steps,
        nonfinite=run.nonfinite,
    )


def _as_they_are(rows: pd.DataFrame) -> pd.DataFrame:
    return rows


def diagnose_run(store: Store, run_id: int, limits: Thresholds | None = None) -> list[Finding]:
    """What is wrong with a run, the worst first; RunNotFound if it is not in the store."""
    return diagnose(tables_of(store, read.run(store, run_id)), limits)
