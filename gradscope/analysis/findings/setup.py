"""Slips that show before anything is learned: raw inputs, an activation too many, a loss that does not fit."""

import math

import numpy as np

from gradscope.analysis.findings.finding import Finding, Page, Severity
from gradscope.analysis.findings.spell import since
from gradscope.analysis.findings.tables import Tables
from gradscope.analysis.findings.thresholds import Thresholds
from gradscope.analysis.wording import percent, significant
from gradscope.records import Kind

_EARLY = 10
"""Steps for which the weights can be taken as random."""

_NEAR_CHANCE = 0.2
"""How far from ln K a loss may begin to be a cross entropy that knows nothing."""

_MOSTLY = 0.6
"""Share of the last losses."""

_CONSTANT = 0.95
"""Mean size over RMS above which a layer's outputs are all alike: of Gaussian ones it is 0.8."""

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
    if signal is None or activation is None or not _starts_at(tables, 1):
        return []
    if not len(signal) or signal.steps[0] > _EARLY:
        return []
    n_classes, last = tables.n_outputs, tables.n_layers - 1
    batch = activation.n[0, -1] / n_classes
    share = float(signal.rms[0, -1]) * n_classes * batch / math.sqrt(n_classes - 1)
    zeros = float(signal.zeros[0, -1])
    if zeros >= limits.zero_outputs:
        seen, margin = f"{percent(zeros)} of the gradient there is exactly zero", zeros / limits.zero_outputs
    elif share < limits.shrunk_output:
        seen = f"the gradient there is {significant(share)} of that of a cross entropy on logits"
        margin = limits.shrunk_output / share
    else:
        return []
    text = f"An activation stands between {tables.names[last]} and the loss, which expects logits: {seen}."
    began, page, kind = since(int(signal.steps[0])), Page.LAYERS, Kind.SIGNAL
    return [
        began.told("output_activation", Severity.WARNING, text, margin=margin, page=page, layers=(last,), kind=kind)
    ]


def _starts_at(tables: Tables, sign: int) -> bool:
    """Whether the first loss is about ln K, that of a cross entropy that knows nothing, or its negative."""
    first = tables.loss.finite[:1]
    chance = math.log(tables.n_outputs) if tables.n_outputs > 1 else math.nan
    return bool(first.size and abs(sign * first[0] / chance - 1) < _NEAR_CHANCE)


def wrong_loss(tables: Tables, limits: Thresholds) -> list[Finding]:
    """The loss of a classification is below zero, which no cross entropy can be, or looks at one output alone."""
    loss = tables.loss.finite
    if not loss.size:
        return []
    below = loss < 0
    negated, one_output = _starts_at(tables, -1), _looks_at_one_output(tables, limits)
    if not (negated or one_output or (tables.classifies and below[-5:].mean() >= _MOSTLY)):
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
    """Whether of K outputs all but one have a gradient of exactly zero, as under a likelihood without a softmax.

    Logits that are huge give exact zeros under a softmax as well, and say nothing.
    """
    signal, activation = tables.grids.get(Kind.SIGNAL), tables.grids.get(Kind.ACTIVATION)
    if signal is None or not len(signal) or signal.steps[0] > _EARLY or tables.n_outputs < 2:
        return False
    if activation is not None and len(activation) and not activation.rms[0, -1] < limits.largest_logits:
        return False
    others = 1 - 1 / tables.n_outputs
    return bool(abs(float(signal.zeros[0, -1]) - others) < 0.01) and not _starts_at(tables, 1)
