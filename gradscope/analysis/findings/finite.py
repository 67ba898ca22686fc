"""Values that are not finite: the first of them and where it arose, and steps that gradient scaling skips."""

import numpy as np

from gradscope.analysis.findings.finding import Finding, Page, Severity
from gradscope.analysis.findings.spell import since
from gradscope.analysis.findings.tables import Tables
from gradscope.analysis.findings.thresholds import Thresholds
from gradscope.analysis.wording import percent
from gradscope.records import Kind, NonFinite, Status

_SPREADING = (Kind.ACTIVATION, Kind.SIGNAL, Kind.GRADIENT, Kind.WEIGHT)
"""In which order a value that is not finite spreads within a step."""


def nonfinite(tables: Tables, limits: Thresholds) -> list[Finding]:
    """NaN or infinity, told with its layer where that was recorded."""
    first = _first(tables)
    if first is None:
        return []
    layer = tables.index_of(first.layer)
    name = first.layer if layer is None else tables.names[layer]
    place = f"the {first.kind} of {name}" if name else f"the {first.kind}"
    early = ", before anything was learned" if first.step == 0 else ""
    text = f"The first value that is not finite is in {place} at step {first.step}{early}."
    began = since(first.step)
    if layer is None:
        return [began.told("nonfinite", Severity.CRITICAL, text, margin=10.0, page=Page.CURVES)]
    kind = next((k for k in Kind if k == first.kind), None)
    page = Page.LAYERS
    return [began.told("nonfinite", Severity.CRITICAL, text, margin=10.0, page=page, layers=(layer,), kind=kind)]


def _first(tables: Tables) -> NonFinite | None:
    """As the run has it, else from the grids, else from the loss."""
    known = tables.nonfinite
    if known is not None and known.layer is not None:
        return known
    seen = [found for kind in _SPREADING if (found := _in_grid(tables, kind)) is not None]
    if seen:
        return min(seen, key=lambda found: found.step)  # of those at one step, the first in the order of spreading
    if known is not None:
        return known
    bad = ~np.isfinite(tables.loss.values)
    if bad.any():
        return NonFinite(step=int(tables.loss.steps[bad.argmax()]), layer=None, kind="loss")
    if tables.status is Status.DIVERGED:
        return NonFinite(step=max(tables.last_step, 0), layer=None, kind="loss")
    return None


def _in_grid(tables: Tables, kind: Kind) -> NonFinite | None:
    grid = tables.grids.get(kind)
    if grid is None or not (grid.nonfinite > 0).any():
        return None
    row = int((grid.nonfinite > 0).any(axis=1).argmax())
    layers = np.flatnonzero(grid.nonfinite[row] > 0)
    # forward values spread towards the output, backward ones towards the input
    layer = int(layers.min() if kind in (Kind.ACTIVATION, Kind.WEIGHT) else layers.max())
    return NonFinite(step=int(grid.steps[row]), layer=(tables.full_names or tables.names)[layer], kind=str(kind))


_WARM_UP = 20
"""Steps in which gradient scaling finds its scale, and to skip a few is as it should be."""


def overflows(tables: Tables, limits: Thresholds) -> list[Finding]:
    """Mixed precision: the optimiser skips steps again and again because scaled gradients overflow."""
    steps = tables.skipped
    at_once = int(np.unique(steps, return_counts=True)[1].max()) if steps.size else 0
    late = steps[steps >= _WARM_UP]
    taken = max(tables.last_step + 1 - _WARM_UP, 1)
    share = late.size / (late.size + taken)
    storm = late.size >= 3 and share >= limits.skipped_share
    if not storm and at_once < limits.skipped_at_once:
        return []
    if storm:
        began, margin = since(int(late[0])), share / limits.skipped_share
        text = f"Gradient scaling overflows: since step {began.since} {percent(share)} of the steps were not taken."
    else:
        began, margin = since(int(steps[0])), at_once / limits.skipped_at_once
        text = f"Gradient scaling overflows: one step was tried {at_once} times, each time with a smaller scale."
    return [began.told("amp_overflow", Severity.WARNING, text, margin=margin, page=Page.LAYERS, kind=Kind.GRADIENT)]
