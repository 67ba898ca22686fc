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


EXPLODED = 10.0
"""Times its first value, above which a loss has exploded: one that only overfits stays below."""

_SEEN_OF_IT = 2.0
"""Times its first value, up to which a loss that exploded is to be seen."""


def exploded(losses: pd.DataFrame) -> dict[int, float]:
    """The runs of which a loss is above `EXPLODED` times the run's own first one, each with that first loss.

    Args:
        losses: curves of one quantity: run, step, value. The first is that of a run's earliest step.

    >>> exploded(pd.DataFrame({"run": [1, 1, 2, 2], "step": [0, 9, 0, 9], "value": [2.5, 3.5, 2.0, 1e11]}))
    {2: 2.0}
    """
    finite = losses[np.isfinite(losses["value"])].sort_values("step", kind="stable")
    ends = finite.groupby("run")["value"].agg(["first", "max"])
    gone = ends[(ends["first"] > 0) & (ends["max"] > EXPLODED * ends["first"])]
    return {int(run): float(first) for run, first in gone["first"].items()}


def ceiling(losses: pd.DataFrame) -> float | None:
    """Where to end an axis of losses so that the runs that exploded do not flatten the others.

    Of a run that exploded twice its first loss is to be seen, of the other runs everything.

    Args:
        losses: see `exploded`.

    Returns:
        None where no run exploded, or every one did.

    >>> ceiling(pd.DataFrame({"run": [1, 1, 2, 2], "step": [0, 9, 0, 9], "value": [2.5, 3.5, 2.0, 1e11]}))
    4.0
    """
    gone = exploded(losses)
    calm = losses.loc[np.isfinite(losses["value"]) & ~losses["run"].isin(list(gone)), "value"]
    if not gone or calm.empty:
        return None
    return max(float(calm.max()), _SEEN_OF_IT * max(gone.values()))


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
