"""Tensors of one kind that are measured together, and which layers they belong to."""

from collections.abc import Sequence
from dataclasses import dataclass

from gradscope.recorder import statistics
from gradscope.recorder.measure import Measured, Transfer, measure
from gradscope.recorder.sharded import part
from gradscope.recorder.statistics import Rows
from gradscope.recorder.weights import OfLayers
from gradscope.records import Kind


@dataclass(slots=True)
class Group:
    """Tensors of one kind that were measured together."""

    kind: Kind
    layers: Sequence[int]
    """Of each row of `measured`, the layer it belongs to; rows of one layer add up."""
    measured: Measured
    scale: Transfer | None = None
    """What gradient scaling had multiplied all of them by; None where it had not."""

    def rows(self) -> Rows:
        """Shape (T, WIDTH), unscaled; waits for the device if need be."""
        rows = self.measured.rows()
        return rows if self.scale is None else statistics.divided(rows, float(self.scale.wait()))


def groups_of(kind: Kind, tensors: OfLayers) -> list[Group]:
    """Measures tensors; those of all layers that lie on one device, and are shared with the same, at once."""
    parts = [part(t) for _, t in tensors]
    places = [(t.device, sharing) for t, sharing in parts]
    groups = []
    for place in dict.fromkeys(places):  # in the same order in every process
        its = [i for i, other in enumerate(places) if other == place]
        groups.append(Group(kind, [tensors[i][0] for i in its], measure([parts[i][0] for i in its], place[1])))
    return groups
