"""Slips that show before anything is learned: raw inputs, an activation too many, a loss that does not fit."""

import math

import numpy as np

from gradscope.analysis.findings.finding import Finding, Page, Severity
from gradscope.analysis.findings.remedies import settings_of
from gradscope.analysis.findings.spell import since
from gradscope.analysis.findings.tables import Tables
from gradscope.analysis.findings.thresholds import Thresholds
from gradscope.analysis.wording import percent, significant
from gradscope.records import Kind

_EARLY = 10
"""Steps for which the weights can be taken as random."""

_NEAR_CHANCE = 0.2
"""How far from ln K a loss may begin, as a share of it, to be a cross entropy that knows nothing."""

_SURE_OF_NOTHING = 2.0
"""Times ln K up to which it may begin to be one whose logits are somewhat large."""

_MOSTLY = 0.6
"""Share of the last losses."""

_CONSTANT = 0.95
"""Mean size over RMS above which a layer's outputs are all alike: of Gaussian ones it is 0.8."""

_EXACTLY = 0.01
"""How near a share is to be what it would be."""

_WEIGHTED = ("Linear", "Conv1d", "Conv2d", "Conv3d")


def input_scale(tables: Tables, limits: Thresholds) -> list[Finding]:
    """What goes into the first layer is far from 1 in size: pictures in 0..255, or data in odd units.

    For random weights w, RMS(w x) = RMS(w) RMS(x) sqrt(fan-in), from which RMS(x) is known without recording inputs,
    unless large biases drown w x: then all outputs are alike.
    """
    activation, weight = tables.grids.get(Kind.ACTIVATION), tables.grids.get(Kind.WEIGHT)
    if activation is None or weight is None or not len(activation) or activation.steps[0] > _EARLY:
        return []
    if tables.types[0] not in _WEIGHTED:
        return []
    fan_in = math.prod(tables.shapes[0][1:])
    size = float(activation.rms[0, 0] / (weight.rms[0, 0] * math.sqrt(fan_in))) if weight.rms[0, 0] > 0 else math.nan
    alike = float(activation.mean_abs[0, 0] / activation.rms[0, 0]) > _CONSTANT
    if alike or not 0 < size < math.inf or limits.smallest_input <= size <= limits.largest_input:
        return []
    text = (
        f"The inputs are not normalised: what goes into {tables.names[0]} has an RMS of about {significant(size)}, "
        "where about 1 is usual."
    )
    margin = max(size / limits.largest_input, limits.smallest_input / size)
    began, page, kind = since(int(activation.steps[0])), Page.LAYERS, Kind.ACTIVATION
    return [began.told("input_scale", Severity.WARNING, text, margin=margin, page=page, layers=(0,), kind=kind)]


def output_activation(tables: Tables, limits: Thresholds) -> list[Finding]:
    """Something stands between the output layer and a cross entropy that expects logits.

    With K classes, B pictures and a network that knows nothing yet, softmax and cross entropy send back
    (p - y) / B with an RMS of sqrt(K - 1) / (K B); a second softmax or a sigmoid in between shrinks it, a rectifier
    makes many elements exactly zero.
    """
    signal, activation = tables.grids.get(Kind.SIGNAL), tables.grids.get(Kind.ACTIVATION)
    if signal is None or activation is None or not len(signal) or signal.steps[0] > _EARLY:
        return []
    last, start, share, zeros = tables.n_layers - 1, _start(tables), _output_share(tables), float(signal.zeros[0, -1])
    may_be = 1 - _NEAR_CHANCE < start < _SURE_OF_NOTHING and not _looks_at_one_output(tables, limits)
    if zeros >= limits.zero_outputs and may_be:
        seen, margin = f"{percent(zeros)} of the gradient there is exactly zero", zeros / limits.zero_outputs
    elif 0 < share < limits.shrunk_output and abs(start - 1) < _NEAR_CHANCE:
        seen = f"the gradient there is {significant(share)} of that of a cross entropy on logits"
        margin = limits.shrunk_output / share
    else:
        return []
    text = f"An activation stands between {tables.names[last]} and the loss, which expects logits: {seen}."
    began, page, kind = since(int(signal.steps[0])), Page.LAYERS, Kind.SIGNAL
    return [
        began.told("output_activation", Severity.WARNING, text, margin=margin, page=page, layers=(last,), kind=kind)
    ]


def _start(tables: Tables) -> float:
    """The first loss in units of ln K, that of a cross entropy that knows nothing; NaN: unknown."""
    first, k = tables.loss.finite[:1], tables.n_outputs
    return float(first[0]) / math.log(k) if first.size and k > 1 else math.nan


def _output_share(tables: Tables) -> float:
    """RMS of the first gradient at the output layer over that of a cross entropy that knows nothing; NaN: unknown."""
    signal, activation = tables.grids.get(Kind.SIGNAL), tables.grids.get(Kind.ACTIVATION)
    k = tables.n_outputs
    if signal is None or activation is None or k < 2 or not min(len(signal), len(activation)):
        return math.nan
    return float(signal.rms[0, -1] * activation.n[0, -1]) / math.sqrt(k - 1)


def wrong_loss(tables: Tables, limits: Thresholds) -> list[Finding]:
    """The loss of a classification is below zero, which no cross entropy can be, or looks at one output alone."""
    loss = tables.loss.finite
    if not loss.size:
        return []
    below = loss < 0
    negated, one_output = abs(_start(tables) + 1) < _NEAR_CHANCE, _looks_at_one_output(tables, limits)
    classifies = tables.classifies or settings_of(tables.config) is not None  # no accuracy is logged before an epoch
    if not (negated or one_output or (classifies and below[-5:].mean() >= _MOSTLY)):
        return []
    if below.any():
        text = (
            f"The loss is below zero ({significant(float(loss[-1]))}), which no cross entropy can be: its sign is "
            "wrong, or it takes something else than what the network puts out."
        )
        began = since(int(tables.loss.steps[np.isfinite(tables.loss.values)][below.argmax()]))
    else:
        text = (
            "The loss looks at the output of the right class alone and not at the others: it expects logarithms of "
            "probabilities, and is given something else."
        )
        began = since(0)
    return [began.told("wrong_loss", Severity.CRITICAL, text, margin=10.0, page=Page.CURVES)]


def _looks_at_one_output(tables: Tables, limits: Thresholds) -> bool:
    """Whether the gradient of K outputs is -1/B at one and exactly zero at the others: a likelihood without a softmax.

    Logits that are huge give exact zeros under a softmax as well, and say nothing.
    """
    signal, activation = tables.grids.get(Kind.SIGNAL), tables.grids.get(Kind.ACTIVATION)
    if signal is None or not len(signal) or signal.steps[0] > _EARLY or tables.n_outputs < 2:
        return False
    if activation is not None and len(activation) and not activation.rms[0, -1] < limits.largest_logits:
        return False
    k, share = tables.n_outputs, _output_share(tables)
    of_that_size = math.isnan(share) or abs(share / math.sqrt(k / (k - 1)) - 1) < _EXACTLY
    return bool(abs(float(signal.zeros[0, -1]) - (1 - 1 / k)) < _EXACTLY and of_that_size)
