"""Two terms of a loss side by side: the angle between their gradients, and how they compare in size."""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True)
class TermPair:
    """Of two terms, at S recorded steps of L layers; NaN where one of them has no gradient."""

    term: str
    other: str
    steps: NDArray[np.int64]
    """Shape (S,), rising."""
    cosine: NDArray[np.float64]
    """In -1..1, shape (S, L); below 0 they pull against each other."""
    balance: NDArray[np.float64]
    """RMS of the smaller gradient over that of the larger, in 0..1, shape (S, L)."""

    def until(self, step: int) -> "TermPair":
        """What was known at that step."""
        return self.at(self.steps <= step)

    def at(self, chosen: NDArray[np.bool_]) -> "TermPair":
        """Some of its records; `chosen` is of shape (S,)."""
        return replace(self, steps=self.steps[chosen], cosine=self.cosine[chosen], balance=self.balance[chosen])


def term_pairs(gradients: pd.DataFrame, cosines: pd.DataFrame, n_layers: int) -> tuple[TermPair, ...]:
    """Every two terms of one run.

    Args:
        gradients: from `gradscope.store.read_terms.term_series`.
        cosines: from `gradscope.store.read_terms.cosine_series`.
        n_layers: L.
    """
    pairs = cosines[["term", "other"]].drop_duplicates().itertuples(index=False)
    return tuple(_pair(gradients, cosines, str(a), str(b), n_layers) for a, b in pairs)


def _pair(gradients: pd.DataFrame, cosines: pd.DataFrame, term: str, other: str, n_layers: int) -> TermPair:
    rows = cosines[(cosines["term"] == term) & (cosines["other"] == other)]
    steps = np.unique(rows["step"].to_numpy(dtype=np.int64))
    first, second = (_grid(gradients[gradients["term"] == name], "rms", steps, n_layers) for name in (term, other))
    with np.errstate(divide="ignore", invalid="ignore"):
        balance = np.minimum(first, second) / np.maximum(first, second)
    cosine = _grid(rows, "cosine", steps, n_layers)
    return TermPair(term=term, other=other, steps=steps, cosine=cosine, balance=balance)


def _grid(rows: pd.DataFrame, column: str, steps: NDArray[np.int64], n_layers: int) -> NDArray[np.float64]:
    known = rows[rows["step"].isin(steps)]
    values = np.full((steps.size, n_layers), np.nan)
    place = np.searchsorted(steps, known["step"].to_numpy())
    values[place, known["layer"].to_numpy(dtype=np.int64)] = known[column].to_numpy(dtype=np.float64)
    return values
