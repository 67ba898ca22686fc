"""Learning curves: smoothing, and the best and last value of each."""

import math

import numpy as np
import pandas as pd
from numpy.typing import NDArray


def smooth(values: NDArray[np.float64], weight: float) -> NDArray[np.float64]:
    """Exponential moving average that starts unbiased and steps over what is not finite.

    s_t = sum_{k<=t} w^{t-k} x_k / sum_{k<=t} w^{t-k}, over the finite x_k only; NaN before the first of them.

    Args:
        values: shape (T,).
        weight: w in 0..1 (exclusive), the share that the past keeps at each point; 0 leaves the values as they are.

    Returns:
        Shape (T,); NaN where the value itself is not finite, so that a gap stays a gap.

    >>> smooth(np.array([1.0, 3.0, np.nan, 3.0]), 0.5).round(3).tolist()
    [1.0, 2.333, nan, 2.714]
    """
    if not 0 <= weight < 1:
        raise ValueError(f"weight must lie in 0..1, below 1, not {weight}")
    result = np.full(len(values), np.nan)
    total = mass = 0.0
    for t, value in enumerate(values):
        if math.isfinite(value):
            total, mass = weight * total + value, weight * mass + 1
            result[t] = total / mass
    return result


def smoothed(metrics: pd.DataFrame, weight: float) -> pd.DataFrame:
    """Every curve smoothed for itself: the same frame with a column `smooth`.

    Args:
        metrics: as `gradscope.store.read.metrics` gives it: run, name, step, value.
        weight: see `smooth`.
    """
    parts = [
        curve.assign(smooth=smooth(curve["value"].to_numpy(dtype=np.float64), weight))
        for _, curve in metrics.groupby(["run", "name"], sort=False)
    ]
    return pd.concat(parts) if parts else metrics.assign(smooth=np.array([], dtype=np.float64))


def rises(name: str) -> bool:
    """Whether more of it is better: an accuracy or a mean average precision, and not a loss."""
    return name.endswith(("accuracy", "_map", "exact_match"))


def best_and_last(metrics: pd.DataFrame) -> pd.DataFrame:
    """Columns: run, name, best (least loss, greatest accuracy), best_step, last, last_step; finite values only."""
    rows = []
    for (run, name), curve in metrics[np.isfinite(metrics["value"])].groupby(["run", "name"]):
        at = curve["value"].idxmax() if rises(str(name)) else curve["value"].idxmin()
        best, last = curve.loc[at], curve.iloc[-1]
        rows.append((run, name, best["value"], best["step"], last["value"], last["step"]))
    return pd.DataFrame(rows, columns=["run", "name", "best", "best_step", "last", "last_step"])
