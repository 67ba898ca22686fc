"""One recorded step, on its way from the training thread to the store."""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from gradscope.recorder import statistics
from gradscope.recorder.gains import Told
from gradscope.recorder.measure import Measured, encoded
from gradscope.recorder.passes import Shares
from gradscope.recorder.statistics import WIDTH
from gradscope.records import Gain, Kind, LayerStats, NonFinite


@dataclass(slots=True)
class Group:
    """Tensors of one kind that were measured together."""

    kind: Kind
    layers: Sequence[int]
    """Of each row of `measured`, the layer it belongs to; rows of one layer add up."""
    measured: Measured


class Record:
    """Everything recorded of a step. Its numbers may still be on a device until somebody asks for `stats`."""

    def __init__(
        self,
        step: int,
        names: Sequence[str],
        kinds: Sequence[Kind],
        groups: Sequence[Group],
        shares: Mapping[int, Shares],
        told: Mapping[tuple[int, str], Told] | None = None,
    ) -> None:
        """
        Args:
            step: the optimiser's.
            names: of the L layers, by index.
            kinds: each gives one row a layer, also where a layer has no such tensor.
            groups: what was measured.
            shares: by layer, of its activation.
            told: by layer and method, what the error was multiplied by.
        """
        self.step = step
        self._told = told or {}
        self.n_rows = len(kinds) * len(names) + len(self._told)
        self._names = names
        self._kinds, self._groups, self._shares = kinds, groups, shares
        self._stats: tuple[LayerStats, ...] | None = None
        self._lock = threading.Lock()

    def stats(self) -> tuple[LayerStats, ...]:
        """As they are stored; the first call waits for the device. Any thread may call."""
        with self._lock:
            if self._stats is None:
                self._stats = self._resolve()
                self._groups = ()
            return self._stats

    def gains(self) -> tuple[Gain, ...]:
        """By what methods changed the error; waits for the device."""
        return tuple(told.resolve(self.step, layer, method) for (layer, method), told in self._told.items())

    def _resolve(self) -> tuple[LayerStats, ...]:
        rows = np.zeros((len(self._kinds), len(self._names), WIDTH))
        for group in self._groups:
            statistics.add_rows(rows[self._kinds.index(group.kind)], group.layers, group.measured.rows())
        blobs = iter(encoded(rows.reshape(-1, WIDTH)))
        return tuple(
            statistics.layer_stats(
                row, step=self.step, layer=layer, kind=kind, blob=next(blobs), **self._ends(kind, layer)
            )
            for kind, its in zip(self._kinds, rows, strict=True)
            for layer, row in enumerate(its)
        )

    def _ends(self, kind: Kind, layer: int) -> dict[str, float | None]:
        shares = self._shares.get(layer) if kind is Kind.ACTIVATION else None
        return {} if shares is None else {"saturated": shares.saturated(), "dead": shares.dead()}

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
