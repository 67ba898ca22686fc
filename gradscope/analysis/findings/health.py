"""How every layer was over the training: what a diagnosis at each step would have said of it."""

import pandas as pd

from gradscope.analysis.findings import Finding, Severity, Tables, Thresholds, causes

HEALTHY, NOTED, WARNING, CRITICAL = "healthy", "note", "warning", "critical"

COLUMNS = ["step", "layer", "name", "n_weights", "health", "why"]


def health(tables: Tables, limits: Thresholds | None = None, at_most: int = 24) -> pd.DataFrame:
    """The state of each layer at some of the recorded steps, as it was known then.

    Args:
        tables: of one run.
        limits: where findings begin.
        at_most: steps that are looked at, spread evenly over the training; the first and the last are among them.

    Returns:
        Columns: step, layer, name, n_weights, health (healthy, note, warning, critical), why (names of
        the findings that concern the layer).
    """
    rows = []
    for step in _spread(tables.steps, at_most):
        found = [f for f in causes(tables.until(step), limits) if f.until is None]
        rows += [(step, i, tables.names[i], tables.n_weights[i], *_of_layer(i, found)) for i in range(tables.n_layers)]
    return pd.DataFrame(rows, columns=COLUMNS)


def _spread(steps: list[int], at_most: int) -> list[int]:
    """The recorded steps nearest to equal distances."""
    if len(steps) <= at_most:
        return steps
    wanted = [steps[0] + (steps[-1] - steps[0]) * i / (at_most - 1) for i in range(at_most)]
    return sorted({min(steps, key=lambda s: abs(s - w)) for w in wanted})


def _of_layer(layer: int, found: list[Finding]) -> tuple[str, str]:
    mine = [f for f in found if layer in f.layers]
    worst = max((f.severity for f in mine), key=lambda s: s.rank, default=None)
    words = {None: HEALTHY, Severity.NOTE: NOTED, Severity.WARNING: WARNING, Severity.CRITICAL: CRITICAL}
    return words[worst], ", ".join(f.name.replace("_", " ") for f in mine)
