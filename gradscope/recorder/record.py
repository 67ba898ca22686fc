"""One recorded step, on its way from the training thread to the store."""

import threading
from collections.abc import Mapping, Sequence

import numpy as np

from gradscope.recorder import statistics
from gradscope.recorder.causes import Split
from gradscope.recorder.gains import Sent
from gradscope.recorder.groups import Group
from gradscope.recorder.measure import Transfer, encoded
from gradscope.recorder.passes import Shares
from gradscope.recorder.raw import Raw
from gradscope.recorder.statistics import WIDTH, Rows
from gradscope.records import Gain, Kind, LayerStats, NonFinite
from gradscope.terms import TermCosine, TermGradient

_FLOW = (
    (Kind.ACTIVATION, min),
    (Kind.SIGNAL, max),
    (Kind.RAW_GRADIENT, max),
    (Kind.GRADIENT, max),
    (Kind.WEIGHT, min),
)
"""Values flow forward through the activations and backward through signals and gradients: which layer comes first."""


class Record:
    """Everything recorded of a step. Its numbers may still be on a device until somebody asks for `stats`."""

    def __init__(
        self,
        step: int,
        names: Sequence[str],
        kinds: Sequence[Kind],
        groups: Sequence[Group],
        *,
        shares: Mapping[int, Shares] | None = None,
        told: Mapping[tuple[int, str], Sent] | None = None,
        raw: Raw | None = None,
        causes: Sequence[Split] = (),
        overflow: Transfer | None = None,
    ) -> None:
        """
        Args:
            step: the optimiser's.
            names: of the L layers, by index.
            kinds: each gives one row a layer, also where a layer has no such tensor.
            groups: what was measured.
            shares: by layer, of its activation.
            told: by layer and method, what the error was multiplied by.
            raw: the gradients before they were treated; those that differ give rows of their own.
            causes: by layer, what the terms of the loss add to its gradient; none where there is one term only.
            overflow: above 0 if gradient scaling found a gradient that is not finite; None without gradient scaling.
        """
        self.step = step
        self._told = told or {}
        self._causes = causes
        self.n_rows = len(kinds) * len(names) + len(self._told) + (len(raw.touched) if raw else 0)
        self.n_rows += sum(len(c.terms) * (len(c.terms) + 1) // 2 for c in causes)
        """As far as can be said: touching a gradient may have changed it or not."""
        self._names = names
        self._kinds, self._groups, self._shares = kinds, groups, shares or {}
        self._raw, self._overflow = raw, overflow
        self._stats: tuple[LayerStats, ...] | None = None
        self._lock = threading.Lock()

    def stats(self) -> tuple[LayerStats, ...]:
        """As they are stored; the first call waits for the device. Any thread may call."""
        with self._lock:
            if self._stats is None:
                self._stats = self._resolve()
                self._groups, self._raw = (), None
            return self._stats

    def gains(self) -> tuple[Gain, ...]:
        """By what methods changed the error; waits for the device."""
        return tuple(told.resolve(self.step, layer, method) for (layer, method), told in self._told.items())

    def term_gradients(self) -> tuple[TermGradient, ...]:
        """What each term of the loss adds to each layer's gradient; waits for the device."""
        return tuple(found for cause in self._causes for found in cause.gradients(self.step))

    def term_cosines(self) -> tuple[TermCosine, ...]:
        """Of every two terms in each layer; waits for the device."""
        return tuple(found for cause in self._causes for found in cause.cosines(self.step))

    def _resolve(self) -> tuple[LayerStats, ...]:
        rows = np.zeros((len(self._kinds), len(self._names), WIDTH))
        for group in self._groups:
            statistics.add_rows(rows[self._kinds.index(group.kind)], group.layers, group.rows())
        labels = [(kind, layer) for kind in self._kinds for layer in range(len(self._names))]
        every = rows.reshape(-1, WIDTH)
        if self._raw is not None:
            raw, layers = self._raw_rows(self._raw, rows[self._kinds.index(Kind.GRADIENT)])
            every = np.concatenate([every, raw]) if layers else every
            labels += [(Kind.RAW_GRADIENT, layer) for layer in layers]
        return tuple(
            statistics.layer_stats(row, step=self.step, layer=layer, kind=kind, blob=blob, **self._ends(kind, layer))
            for (kind, layer), row, blob in zip(labels, every, encoded(every), strict=True)
        )

    @staticmethod
    def _raw_rows(raw: Raw, treated: Rows) -> tuple[Rows, list[int]]:
        """Rows of the raw gradients that are to be stored, and the layers they belong to."""
        rows = np.zeros_like(treated)
        for group in raw.groups:
            statistics.add_rows(rows, group.layers, group.rows())
        layers = raw.differing(rows, treated)
        return rows[layers], layers

    def _ends(self, kind: Kind, layer: int) -> dict[str, float | None]:
        shares = self._shares.get(layer) if kind is Kind.ACTIVATION else None
        return {} if shares is None else {"saturated": shares.saturated(), "dead": shares.dead()}

    def was_skipped(self) -> bool:
        """Whether gradient scaling kept the optimiser from taking this step; waits for the device."""
        return self._overflow is not None and float(self._overflow.wait()) > 0

    def origin(self) -> tuple[int, Kind] | None:
        """Layer and kind in which the step's first value that is not finite arose.

        It is the first such activation from the input, else the first such signal from the output, else gradient from
        the output.
        """
        bad = {(s.kind, s.layer) for s in self.stats() if s.n_nonfinite}
        for kind, first in _FLOW:
            layers = [layer for k, layer in bad if k is kind]
            if layers:
                return first(layers), Kind.GRADIENT if kind is Kind.RAW_GRADIENT else kind
        return None

    def nonfinite(self) -> NonFinite | None:
        """That as a place; None too if gradient scaling saw it and skipped the step: it is there to try that."""
        origin = self.origin()
        if origin is None or self.was_skipped():
            return None
        layer, kind = origin
        return NonFinite(step=self.step, layer=self._names[layer], kind=str(kind))
