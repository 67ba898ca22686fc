r"""One exact forward and backward pass of a fully connected net, plain and pseudo-normalised (Bu et al. 2026).

    z_l = s W_l a_(l-1) + t b_l,   a_l = f(z_l),   d_l = (s W_(l+1)^T d_(l+1)) * f'(z_l),   dC/dW_l = d_l a_(l-1)^T

with weight scale s and bias scale t. Pseudo-normalisation divides f'(z_l) by r_l, its root mean square over the layer's
units: one number for each sample (or for the batch). A number commutes with the linear maps of the backward pass, so a
treated error is the plain error times the gains 1 / r of the normalised layers above it, and one pass serves every
treatment. That it agrees with the two methods of `gradscope.methods` on the same weights is tested.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from gradscope.config import PseudoNorm

Array = NDArray[np.float64]
Activation = Literal["tanh", "sigmoid"]
Scope = Literal["sample", "batch"]

SMALLEST_RMS = 1e-12
"""As in the method: it keeps 0 / 0 from becoming NaN where a layer is saturated beyond any derivative."""


@dataclass(frozen=True, kw_only=True)
class Net:
    """A fully connected net; every layer but the last is followed by the activation, the last by softmax."""

    weights: tuple[Array, ...]
    """W_l, [out, in], from the input."""
    biases: tuple[Array, ...]
    """b_l, [out]."""
    activation: Activation = "tanh"


@dataclass(frozen=True, kw_only=True)
class Passes:
    """What a net computes on its way forward and back, without any treatment; N samples, L layers."""

    inputs: tuple[Array, ...]
    """a_(l-1), [N, in] of each layer: L of them."""
    outputs: tuple[Array, ...]
    """z_l, [N, out]: L of them."""
    derivatives: tuple[Array, ...]
    """f'(z_l), [N, out], of the L - 1 hidden layers."""
    errors: tuple[Array, ...]
    """d_l = dC/dz_l for the mean loss, [N, out]: L of them."""


@dataclass(frozen=True, kw_only=True)
class Flow:
    """Root mean squares of a treated pass, layer by layer from the input."""

    gradient: Array
    """Of dC/dW_l, shape (L,)."""
    signal: Array
    """Of dC/dz_l, shape (L,)."""
    activation: Array
    """Of z_l, shape (L,)."""


def normalised(n_hidden: int, every: int) -> list[int]:
    """The hidden layers, numbered from 0 at the input, that are normalised: the uppermost of each group of `every`.

    Groups are counted from the output and only complete ones take part.

    >>> normalised(9, 2), normalised(3, 1)
    ([8, 6, 4, 2], [2, 1, 0])
    """
    return [i for i in range(n_hidden - 1, -1, -every) if i - every + 1 >= 0]


def _tanh(z: Array) -> tuple[Array, Array]:
    y = np.tanh(z)
    return y, 1 - y * y


def _sigmoid(z: Array) -> tuple[Array, Array]:
    y = 0.5 * (1 + np.tanh(0.5 * z))  # exp(-z) would overflow
    return y, y * (1 - y)


_ACTIVATIONS: Mapping[Activation, Callable[[Array], tuple[Array, Array]]] = {"tanh": _tanh, "sigmoid": _sigmoid}


def passes(
    net: Net,
    images: Array,
    labels: NDArray[np.int64],
    weight_scale: float | Array = 1.0,
    bias_scale: float | Array = 1.0,
) -> Passes:
    """Forward and back through the net with softmax and mean cross entropy.

    Args:
        net: The net.
        images: [N, in].
        labels: [N], in 0..K-1.
        weight_scale: Multiplies every weight: a number, or [N, 1], one for each sample.
        bias_scale: Multiplies every bias, likewise.
    """
    function = _ACTIVATIONS[net.activation]
    inputs, outputs, derivatives = [images], [], []
    for weight, bias in zip(net.weights, net.biases, strict=True):
        z = weight_scale * (inputs[-1] @ weight.T) + bias_scale * bias
        outputs.append(z)
        if len(outputs) < len(net.weights):
            y, derivative = function(z)
            inputs.append(y)
            derivatives.append(derivative)
    errors = [_softmax_error(outputs[-1], labels)]
    for weight, derivative in zip(net.weights[:0:-1], reversed(derivatives), strict=True):
        errors.append(weight_scale * (errors[-1] @ weight) * derivative)
    return Passes(
        inputs=tuple(inputs), outputs=tuple(outputs), derivatives=tuple(derivatives), errors=tuple(reversed(errors))
    )


def _softmax_error(logits: Array, labels: NDArray[np.int64]) -> Array:
    """dC/dz of the mean cross entropy, [N, K]: (softmax(z) - one-hot) / N."""
    exponential = np.exp(logits - logits.max(axis=1, keepdims=True))
    error: Array = exponential / exponential.sum(axis=1, keepdims=True)
    error[np.arange(len(labels)), labels] -= 1
    return error / len(labels)


def rms(values: Array) -> float:
    """Root mean square over everything."""
    return float(np.sqrt(np.mean(np.square(values))))


def derivative_rms(derivative: Array, scope: Scope = "sample") -> Array:
    """RMS of f' over a layer, sqrt(mean f'^2) (eq. 14), [N, 1], or [1, 1] per batch; at least 1e-12."""
    axes = 1 if scope == "sample" else (0, 1)
    r: Array = np.sqrt(np.mean(np.square(derivative), axis=axes, keepdims=True))
    return np.maximum(r, SMALLEST_RMS)


def multipliers(found: Passes, treatment: PseudoNorm | None) -> list[Array]:
    """By what the treatment multiplies the plain error of each of the L layers: [N, 1] or [1, 1] each.

    A normalised layer u multiplies every layer below it. In the direct form its own error too; in the dual form none of
    its own group, whose gradients come from the local path.
    """
    begins = {} if treatment is None else _gains_by_first_layer(found, treatment)
    factor = np.ones((1, 1))
    factors = [factor]
    with np.errstate(over="ignore"):  # an explosion is a result
        for layer in range(len(found.derivatives) - 1, -1, -1):
            factor = factor * begins[layer] if layer in begins else factor
            factors.append(factor)
    return factors[::-1]


def _gains_by_first_layer(found: Passes, treatment: PseudoNorm) -> dict[int, Array]:
    """The gain of each normalised layer by the uppermost layer whose error it multiplies."""
    own = treatment.every if treatment.form == "dual" else 0
    chosen = normalised(len(found.derivatives), treatment.every)
    return {u - own: 1 / derivative_rms(found.derivatives[u], treatment.scope) for u in chosen}


def flow(found: Passes, treatment: PseudoNorm | None = None) -> Flow:
    """RMS of gradients, signals and outputs under a treatment (None = plain). Infinite where it passes 1e308."""
    with np.errstate(over="ignore", invalid="ignore"):
        errors = [m * d for m, d in zip(multipliers(found, treatment), found.errors, strict=True)]
        gradients = [rms(d.T @ a) for d, a in zip(errors, found.inputs, strict=True)]
        signals = [rms(d) for d in errors]
    return Flow(
        gradient=np.array(gradients),
        signal=np.array(signals),
        activation=np.array([rms(z) for z in found.outputs]),
    )


def gains(found: Passes, scope: Scope = "sample") -> Array:
    """1 / r of each hidden layer, the mean over the samples, shape (L - 1,); at least 1 where f' <= 1."""
    return np.array([float(np.mean(1 / derivative_rms(d, scope))) for d in found.derivatives])


def shares_above_one(found: Passes, scope: Scope = "sample") -> Array:
    """Share in 0..1 of the elements of f' / r above 1, shape (L - 1,).

    The paper expects about 0.32, the share of a Gaussian beyond its own RMS; f' is not Gaussian.
    """
    return np.array([float(np.mean(d > derivative_rms(d, scope))) for d in found.derivatives])
