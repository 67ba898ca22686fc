"""What methods do to the gradient before the step: clipping that never rests, pseudo-normalisation that amplifies."""

from collections.abc import Mapping

import numpy as np

from gradscope.analysis.findings.finding import Finding, Page, Severity
from gradscope.analysis.findings.flow import backward, hidden, rise
from gradscope.analysis.findings.learning import from_the_start, has_learned, is_due
from gradscope.analysis.findings.remedies import settings_of
from gradscope.analysis.findings.spell import Spell, median_of, since, spell
from gradscope.analysis.findings.tables import Grid, Numbers, Tables
from gradscope.analysis.findings.thresholds import Thresholds
from gradscope.analysis.findings.updates import converged, resting, typical_ratio
from gradscope.analysis.wording import power, significant
from gradscope.config import ClipNorm, ClipValue
from gradscope.records import Kind

_CUT = 0.98
"""Share of the raw norm below which it was cut."""

_LITTLE = 0.1
"""Share of the raw norm below which clipping is to blame for small steps."""

_ALWAYS = 0.9
"""Of the recorded steps."""

_FEWEST = 5
"""Records before a norm is called constant."""


def global_norm(grid: Grid) -> Numbers:
    """L2 norm of all weights' gradients together at each recorded step; biases are not recorded."""
    return np.asarray(np.sqrt(np.nansum(grid.n * grid.rms**2, axis=1)))


def clipping(tables: Tables, limits: Thresholds) -> list[Finding]:
    """The gradient is cut at nearly every step: seen from the raw one beside it, or from a norm that never changes."""
    grid = tables.grids.get(Kind.GRADIENT)
    if grid is None or len(grid) < _FEWEST:
        return []
    raw = tables.grids.get(Kind.RAW_GRADIENT)
    if raw is not None and len(raw):
        return _cut(tables, limits, grid, raw)
    return _held(tables, limits, grid) if _may_clip(tables) else []


def _may_clip(tables: Tables) -> bool:
    """Whether the settings have clipping, or are not known: a norm may be held by other methods, or by chance."""
    config = settings_of(tables.config)
    return config is None or any(isinstance(method, ClipNorm | ClipValue) for method in config.methods)


def _cut(tables: Tables, limits: Thresholds, grid: Grid, raw: Grid) -> list[Finding]:
    """By what the global norm is smaller than before clipping and methods touched it."""
    row = {int(step): i for i, step in enumerate(raw.steps)}
    before = [
        np.where(raw.n[row[int(s)]] > 0, raw.rms[row[int(s)]], now) if int(s) in row else now
        for s, now in zip(grid.steps, grid.rms, strict=True)
    ]
    left = global_norm(grid) / np.sqrt(np.nansum(grid.n * np.array(before) ** 2, axis=1))
    held = spell(grid.steps, left < _CUT, tables.horizon)
    if held is None or held.until is not None or held.share < _ALWAYS:
        return []
    typical = median_of(left, held)
    what = f"norm is cut to {significant(typical)} of what it was"
    return [_clipped(tables, limits, held, what, 0.5 / typical, left=typical)]


def _held(tables: Tables, limits: Thresholds, grid: Grid) -> list[Finding]:
    largest = np.where(np.isfinite(grid.max_abs), grid.max_abs, 0.0).max(axis=1)
    for what, series in (("norm", global_norm(grid)), ("largest element", largest)):
        recent = series[-2 * _FEWEST :]
        level = float(np.median(recent))
        spread = float(np.ptp(np.quantile(recent, (0.1, 0.9)))) / level if level > 0 else np.inf
        if spread < limits.clipping_spread:
            near = np.abs(series / level - 1) < 2 * limits.clipping_spread
            held = spell(grid.steps, near, tables.horizon) or since(int(grid.steps[-_FEWEST]))
            margin = limits.clipping_spread / max(spread, 1e-9)
            text = f"{what} is {significant(level)}"
            return [_clipped(tables, limits, held, text, margin, left=0.0)]
    return []


def _clipped(tables: Tables, limits: Thresholds, held: Spell, what: str, margin: float, *, left: float) -> Finding:
    """A warning where it makes the steps small: with the share that is `left`, and not without clipping. 0: unknown."""
    ratio = tables.update_ratio
    harmful = False
    if ratio is not None:
        meant = converged(tables, ratio.steps[-1:]) | resting(tables, ratio.steps[-1:])
        size, small = float(np.nanmedian(typical_ratio(ratio)[-_FEWEST:])), _small(tables, limits, left)
        harmful = size < small and (left < _LITTLE or size / left >= small) and not meant[0]
    severity = Severity.WARNING if harmful else Severity.NOTE
    text = (
        f"Clipping is always active: the gradient's {what} at every recorded step"
        f"{', and the steps are small' * harmful}."
    )
    return held.told("clipping", severity, text, margin=margin, page=Page.DECAY, kind=Kind.GRADIENT)


def _small(tables: Tables, limits: Thresholds, left: float) -> float:
    """The size of a step that clipping may be blamed for: a larger one where it hardly learns with a tenth at most."""
    to_blame = 0 < left < _LITTLE and is_due(tables, limits) and not has_learned(tables, limits)
    return limits.slow_update if to_blame else limits.clipping_update


def amplification(tables: Tables, limits: Thresholds) -> list[Finding]:
    """A method that multiplies the error on its way back, and a gradient that grows towards the input."""
    seen = backward(tables)
    if seen is None or not _is_amplified(tables):
        return []
    kind, grid = seen
    decades = -rise(grid)
    over, known = decades >= limits.amplified_decades, np.isfinite(decades)
    # where so large an error soon saturates every layer none is left to be seen: what was seen of it before then holds
    held = from_the_start(tables, limits, grid.steps, over) or spell(grid.steps, over, tables.horizon, known)
    if held is None:
        return []
    size, used = median_of(decades, held), np.flatnonzero(hidden(grid))
    torn = _tears(tables, limits, held)
    factor = f"\N{MULTIPLICATION SIGN}{significant(10 ** (size / used.size))}"
    text = (
        f"Pseudo-normalisation amplifies{_gained(tables)}: {factor} a layer towards the input, so that the first "
        f"layers get {power(round(size))} times what the last do"
        f"{', more than they can bear' if torn else '; the steps stay bearable'}."
    )
    severity = Severity.WARNING if torn else Severity.NOTE
    layers = used[: used.size // 3].tolist()
    margin = size / limits.amplified_decades
    return [held.told("amplification", severity, text, margin=margin, page=Page.DECAY, layers=layers, kind=kind)]


def _gained(tables: Tables) -> str:
    """What the method itself multiplied by, where it was recorded."""
    known = tables.gains.finite if tables.gains else np.array([])
    return f" (by {power(round(float(np.median(known))))} in all)" if known.size else ""


def _tears(tables: Tables, limits: Thresholds, held: Spell) -> bool:
    """Whether steps changed a layer's weights by more than they should in that time, or have written over them."""
    ratio, weight = tables.update_ratio, tables.grids.get(Kind.WEIGHT)
    if weight is not None and len(weight):
        first, last = weight.rms[0], weight.rms[-1]
        if ((first > 0) & (last >= limits.overwritten * first)).any():  # a layer may begin with zeros
            return True
    if ratio is None or len(ratio) <= held.first:
        return False
    middle = np.median(np.nan_to_num(ratio.rms[held.first : held.last + 1]), axis=0)
    return bool(middle.max() > limits.largest_update)


def _is_amplified(tables: Tables) -> bool:
    """Whether a gain was recorded, or the settings say so: older runs have no gains."""
    methods = tables.config.get("methods") or ()
    named = any(isinstance(m, Mapping) and m.get("name") == "pseudo_norm" for m in methods)
    return named or (tables.gains is not None and len(tables.gains) > 0)
