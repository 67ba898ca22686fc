"""One recorded step, on its way from the training thread to the store."""

import math
import threading
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gradscope.recorder import statistics
from gradscope.recorder.measure import Measured, Transfer, encoded
from gradscope.recorder.statistics import WIDTH, Rows
from gradscope.records import Kind, LayerStats, NonFinite


@dataclass(frozen=True, kw_only=True)
class Part:
    """One kind of tensor of one layer: the rows that together describe it."""

    layer: int
    kind: Kind
    rows: Sequence[tuple[Measured, int]] = ()
    """(measurement, row in it); none where the tensor does not exist."""
    shares: Transfer | None = None
    """(saturated, dead), NaN where not measured."""

    def together(self) -> Rows:
        """One row, shape (WIDTH,)."""
        return statistics.together(np.array([m.rows()[row] for m, row in self.rows]).reshape(-1, WIDTH))

    def saturated_and_dead(self) -> tuple[float | None, float | None]:
        """Each in 0..1, or None."""
        if self.shares is None:
            return None, None
        saturated, dead = (None if math.isnan(v) else v for v in self.shares.wait().tolist())
        return saturated, dead


class Record:
    """Everything recorded of a step. Its numbers may still be on a device until somebody asks for `stats`."""

    def __init__(self, step: int, names: Sequence[str], parts: Sequence[Part]) -> None:
        self.step = step
        self.n_rows = len(parts)
        self._names = names
        self._parts = parts
        self._stats: tuple[LayerStats, ...] | None = None
        self._lock = threading.Lock()

    def stats(self) -> tuple[LayerStats, ...]:
        """As they are stored; the first call waits for the device. Any thread may call."""
        with self._lock:
            if self._stats is None:
                self._stats = self._resolve()
                self._parts = ()
            return self._stats

    def _resolve(self) -> tuple[LayerStats, ...]:
        rows = [part.together() for part in self._parts]
        blobs = encoded(np.array(rows).reshape(-1, WIDTH))
        made = []
        for part, row, blob in zip(self._parts, rows, blobs, strict=True):
            saturated, dead = part.saturated_and_dead()
            where = {"step": self.step, "layer": part.layer}
            made.append(statistics.layer_stats(row, **where, kind=part.kind, blob=blob, saturated=saturated, dead=dead))
        return tuple(made)

    def nonfinite(self) -> NonFinite | None:
        """Where the step's first value that is not finite arose.

        Values flow forward through the activations and backward through signals and gradients, so it is the first such
        activation from the input, else the first such signal from the output, else gradient from the output.
        """
        bad = {(s.kind, s.layer) for s in self.stats() if s.n_nonfinite}
        for kind, first in ((Kind.ACTIVATION, min), (Kind.SIGNAL, max), (Kind.GRADIENT, max), (Kind.WEIGHT, min)):
            layers = [layer for k, layer in bad if k is kind]
            if layers:
                return NonFinite(step=self.step, layer=self._names[first(layers)], kind=str(kind))
        return None
