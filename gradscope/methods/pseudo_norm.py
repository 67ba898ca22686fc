r"""Pseudo-normalised gradients (Bu, Jiang, Lu & Zhang 2026, Entropy 28(1) 57, doi 10.3390/e28010057).

The backward pass multiplies the error at layer l by f'(z_l). Where |f'| <= 1, as in tanh, a product of many such
factors vanishes. The method divides the derivative of every k-th activation by its root mean square (eq. 14):

    r_l = sqrt(mean_i f'(z_l,i)^2),     d_l = (W_(l+1)^T d_(l+1)) * f'(z_l) / r_l

The forward pass is unchanged, so **the result is not the gradient of the loss**, and it is not meant to be: it is a
direction of descent with a gain of 1 / r_l for everything below. "Pseudo", because no mean is subtracted.

Two forms, which send the same error down to whatever lies below a group of k layers:

* direct: in the plain chain of factors (eq. 15) the f' at the top of each group is replaced by f' / r;
* dual: the second feedback path of figure 1 (eq. 18-19). It crosses a group with f' / r at its top and hands on, while
  the first, local path serves the group's own weights with the plain f'. r is one number (for each sample), so it
  commutes with the linear maps in between: the two paths are ordinary backpropagation with a gain 1 / r at the
  *input* of the group, and no second pass is needed. The group's own weight gradients are smaller by r than in the
  direct form; exactly so where r runs over the batch.

The paper does not say whether the mean runs over a layer's outputs for one sample or for the batch; its equations are
for one sample, so that is the default.

In anybody's loop: replace `torch.tanh(z)` by `pseudo_norm(z, TANH)`, or `nn.Tanh()` by `PseudoNormalised(nn.Tanh())`;
for the dual form give it a `FeedbackPath(lowest_layer_of_the_group)`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from gradscope.config import PseudoNorm
from gradscope.errors import ConfigError
from gradscope.methods import slopes
from gradscope.methods.base import Method
from gradscope.methods.fused import fused
from gradscope.methods.gain_node import Listener
from gradscope.models.activations import find_activations, layer_before

Scope = Literal["sample", "batch"]

_SELU_SCALE, _SELU_ALPHA = 1.0507009873554805, 1.6732632423543772  # Klambauer et al. 2017, the values of torch


@dataclass(frozen=True, kw_only=True)
class Smooth:
    """An activation with a derivative that varies smoothly."""

    function: Callable[[Tensor], Tensor]
    derivative: Callable[[Tensor], Tensor]
    """From the saved tensor, the activation's output, or its input where the output does not tell the derivative, to a
    new tensor, which is changed in place afterwards."""
    saves: Literal["output", "input"] = "output"
    kind: int | None = None
    """Its number in `gradscope.methods.slopes`, where it has a compiled backward pass."""


def _gelu_derivative(z: Tensor) -> Tensor:
    density = torch.exp(-0.5 * z * z) * 0.3989422804014327  # 1 / sqrt(2 pi)
    below: Tensor = torch.special.ndtr(z)
    return below + z * density


def _silu_derivative(z: Tensor) -> Tensor:
    s = torch.sigmoid(z)
    return s * (1 + z * (1 - s))


def _selu_derivative(y: Tensor) -> Tensor:
    return torch.where(y > 0, _SELU_SCALE, y + _SELU_SCALE * _SELU_ALPHA)


def _tanh_derivative(y: Tensor) -> Tensor:
    return torch.addcmul(y.new_ones(()), y, y, value=-1)


def _sigmoid_derivative(y: Tensor) -> Tensor:
    return torch.addcmul(y, y, y, value=-1)


def _elu_derivative(y: Tensor) -> Tensor:
    return torch.where(y > 0, 1.0, y + 1)


def _softplus_derivative(y: Tensor) -> Tensor:
    return -torch.expm1(-y)


TANH = Smooth(function=torch.tanh, derivative=_tanh_derivative, kind=slopes.TANH)
SIGMOID = Smooth(function=torch.sigmoid, derivative=_sigmoid_derivative, kind=slopes.SIGMOID)
SMOOTH: Mapping[type[nn.Module], Smooth] = {
    nn.Tanh: TANH,
    nn.Sigmoid: SIGMOID,
    nn.ELU: Smooth(function=functional.elu, derivative=_elu_derivative),
    nn.SELU: Smooth(function=torch.selu, derivative=_selu_derivative),
    nn.Softplus: Smooth(function=functional.softplus, derivative=_softplus_derivative),
    nn.GELU: Smooth(function=functional.gelu, derivative=_gelu_derivative, saves="input"),
    nn.SiLU: Smooth(function=functional.silu, derivative=_silu_derivative, saves="input"),
}
"""The activations that can be pseudo-normalised, with their default settings. A piecewise linear one (ReLU)
cannot: its derivative takes two values, the RMS only counts the active units, dividing by it would undo sparsity."""


def rms(derivative: Tensor, scope: Scope = "sample") -> Tensor:
    """RMS of the derivative, r = sqrt(mean f'^2) (eq. 14): at least 1e-12, and at most 1 where |f'| <= 1.

    Args:
        derivative: f'(z), [B, ...].
        scope: `sample`: one mean over all outputs of the layer for each of the B samples; `batch`: one over everything.

    Returns:
        [B, 1, ...] or [1, 1, ...], float32 or wider.
    """
    dims = tuple(range(1 if scope == "sample" else 0, derivative.dim()))
    norm: Tensor = torch.linalg.vector_norm(derivative, dim=dims, keepdim=True, dtype=_wide(derivative.dtype))
    return norm.div_((derivative.numel() / norm.numel()) ** 0.5).clamp_min_(slopes.SMALLEST_RMS)


def _wide(dtype: torch.dtype) -> torch.dtype:
    """Of the gains of elements of that type."""
    return torch.float32 if dtype in {torch.bfloat16, torch.float16} else dtype


def gain(derivative: Tensor, scope: Scope = "sample") -> Tensor:
    """1 / r, the factor by which the error that leaves the layer downwards grows; shapes as in `rms`."""
    return rms(derivative, scope).reciprocal_()


Treatment = Callable[[Tensor, Tensor, Smooth, Scope], tuple[Tensor, Tensor]]
"""From what was saved [B, ...], the error [B, ...], the activation and the scope to the error that goes on and the
gain, of any shape. In place: on a CPU fresh memory costs more than the arithmetic, so it needs no more than tanh."""


def direct(saved: Tensor, error: Tensor, smooth: Smooth, scope: Scope) -> tuple[Tensor, Tensor]:
    """The direct form: the error times f' / r."""
    derivative = smooth.derivative(saved)
    gains = gain(derivative, scope)
    return derivative.mul_(error).mul_(gains), gains


def local(saved: Tensor, error: Tensor, smooth: Smooth, scope: Scope) -> tuple[Tensor, Tensor]:
    """At the top of a group in the dual form: the error times f', because the gain takes the other path."""
    derivative = smooth.derivative(saved)
    gains = gain(derivative, scope)
    return derivative.mul_(error), gains


@dataclass(frozen=True, kw_only=True)
class _How:
    """All that a backward pass has to know beside its tensors."""

    smooth: Smooth
    scope: Scope
    applied: bool
    """Whether the error takes the gain with it: not in the dual form."""
    listeners: Sequence[Listener]

    def treat(self, saved: Tensor, error: Tensor) -> tuple[Tensor, Tensor | None]:
        """The form as it is quickest on that device; see `Treatment`. The gain may be None where nobody asks for it."""
        kind = self.smooth.kind
        # a compiler that traces this cannot look into the loop
        if kind is not None and not torch.compiler.is_compiling():
            told = bool(self.listeners) or not self.applied
            treated = slopes.treat(saved, error, kind, self.scope, applied=self.applied, told=told)
            if treated is not None:
                return treated
        return fused(direct if self.applied else local, saved.device.type)(saved, error, self.smooth, self.scope)


class _PseudoNormFunction(torch.autograd.Function):
    """Behind a large matrix every name that is looked up costs a cache miss or two: few are, and few are handed on."""

    @staticmethod
    def forward(ctx: Any, z: Tensor, wire: Tensor | None, how: _How) -> Tensor:  # Any: torch gives its context no type
        y = how.smooth.function(z)
        ctx.save_for_backward(y if how.smooth.saves == "output" else z)
        ctx.how = how
        return y

    @staticmethod
    def backward(ctx: Any, error: Tensor) -> tuple[Tensor | None, ...]:
        if torch.is_grad_enabled():  # always going through that guard would cost as much as a small layer's arithmetic
            return _guarded(ctx, error)
        (saved,) = ctx.saved_tensors
        how: _How = ctx.how
        out, gains = how.treat(saved, error)
        if gains is None:
            return out, None, None
        if how.listeners:
            _tell(how, saved, gains)
        return out, None if how.applied else gains.flatten(), None


_guarded = torch.autograd.function.once_differentiable(_PseudoNormFunction.backward)


def _tell(how: _How, saved: Tensor, gains: Tensor) -> None:
    above = how.smooth.derivative(saved).abs_() * gains.reshape(-1, *[1] * (saved.dim() - 1)) > 1
    for tell in how.listeners:
        tell(gains.mean(), above.count_nonzero() / above.numel())


def pseudo_norm(
    z: Tensor,
    smooth: Smooth = TANH,
    scope: Scope = "sample",
    wire: Tensor | None = None,
    listeners: Sequence[Listener] = (),
) -> Tensor:
    """f(z) forward; backward, the error times f'(z) / RMS(f'(z)) instead of f'(z). Not the true gradient.

    Args:
        z: Pre-activations [B, ...].
        smooth: The activation f; one of `SMOOTH.values()` or your own.
        scope: What one RMS runs over, see `rms`.
        wire: Of a `FeedbackPath`: the dual form, in which the gain 1 / r goes there and the error leaves without it.
        listeners: Told the gain in each backward pass.

    Returns:
        f(z), [B, ...]. Only the tensor that plain autograd would keep is saved for the backward pass.
    """
    return _treated(z, wire, _How(smooth=smooth, scope=scope, applied=wire is None, listeners=listeners))


def _treated(z: Tensor, wire: Tensor | None, how: _How) -> Tensor:
    out: Tensor = _PseudoNormFunction.apply(z, wire, how)
    return out


class _EntryFunction(torch.autograd.Function):
    """The bottom of a group in the dual form: the tensor itself [B, ...], and the wire for the activation at the top.

    The wire is zeros; its "gradient" is the gain, which autograd so carries from the top of the group to here, where
    the error takes it. That needs no state of its own, whatever order, repetition or compilation the passes go through.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, scope: Scope) -> tuple[Tensor, Tensor]:  # Any: as above
        ctx.set_materialize_grads(False)
        return x.view_as(x), x.new_zeros(len(x) if scope == "sample" else 1, dtype=_wide(x.dtype))

    @staticmethod
    def backward(ctx: Any, error: Tensor | None, gain: Tensor | None) -> tuple[Tensor | None, None]:
        if torch.is_grad_enabled():
            return _guarded_entry(ctx, error, gain)
        if error is None or gain is None:  # nothing came down, or nothing is known of the derivative at the top
            return error, None
        # in place: the layer behind the entry made this error for nobody else
        return error.mul_(gain.reshape(-1, *[1] * (error.dim() - 1))), None


_guarded_entry = torch.autograd.function.once_differentiable(_EntryFunction.backward)


class FeedbackPath:
    """The second feedback path across one group: the entry in front of its lowest layer, the wire to its top.

    Args:
        lowest: a Linear or Conv2d.
        scope: that of the activation at the top.
    """

    def __init__(self, lowest: nn.Module, scope: Scope = "sample") -> None:
        self.scope = scope
        self._wire: Tensor | None = None
        lowest.register_forward_pre_hook(self)

    def __call__(self, layer: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...] | None:
        """The hook: the layer's inputs, the first behind the entry."""
        if not layer.training:
            return None
        x, self._wire = _EntryFunction.apply(inputs[0], self.scope)
        return (x, *inputs[1:])

    def take_wire(self) -> Tensor:
        """The wire of the forward pass in progress; given away, because it would keep that pass's memory alive."""
        wire, self._wire = self._wire, None
        if wire is None:
            raise ConfigError(
                "pseudo_norm in its dual form met the top of a group before its lowest layer; "
                "choose methods.pseudo_norm.form=direct for this model"
            )
        return wire


class PseudoNormalised(nn.Module):
    """An activation module with a pseudo-normalised backward pass while training.

    In eval mode it is the plain activation with its true gradient, because whoever differentiates a trained network
    (an attribution map, an adversarial picture) asks about the function and not about how it was trained.

    Args:
        activation: one of the kinds in `SMOOTH`.
        scope: what one RMS runs over, see `rms`.
        path: the path that takes the gain, in the dual form; without it the error takes it here, the direct form.
    """

    def __init__(self, activation: nn.Module, scope: Scope = "sample", path: FeedbackPath | None = None) -> None:
        super().__init__()
        if type(activation) not in SMOOTH:
            raise ConfigError(_not_smooth(activation))
        self.activation = activation
        self.scope = scope
        self.path = path
        self.gain_listeners: list[Listener] = []
        smooth = SMOOTH[type(activation)]
        self._how = _How(smooth=smooth, scope=scope, applied=path is None, listeners=self.gain_listeners)

    gain_of = PseudoNorm.model_fields["name"].default

    def forward(self, z: Tensor) -> Tensor:
        """[B, ...] to [B, ...]."""
        if self.training:
            return _treated(z, self.path.take_wire() if self.path else None, self._how)
        out: Tensor = self.activation(z)
        return out

    def extra_repr(self) -> str:
        """The form and what one RMS runs over, in the printed model."""
        return f"form={'dual' if self.path else 'direct'}, scope={self.scope}"


def _not_smooth(activation: nn.Module) -> str:
    names = ", ".join(kind.__name__ for kind in SMOOTH)
    return (
        f"pseudo_norm needs a smooth activation ({names}), not {type(activation).__name__}; "
        "choose another activation or leave pseudo_norm out"
    )


def chosen(n_activations: int, every: int) -> list[int]:
    """Which of the activations, numbered from the input, are normalised: the uppermost of each group of `every`.

    Groups are counted from the output and only complete ones take part. With 9 activations and every=2 these are number
    9, 7, 5 and 3 from the input, as in figure 1 of the paper: the first layer stays plain.

    >>> chosen(9, 2)
    [8, 6, 4, 2]
    """
    return [i for i in range(n_activations - 1, -1, -every) if i - every + 1 >= 0]


class PseudoNormMethod(Method):
    """Replaces every k-th activation module of the model, counted from the output."""

    def __init__(self, settings: PseudoNorm) -> None:
        self.settings = settings

    def adapt(self, model: nn.Module, generator: torch.Generator) -> nn.Module:
        """Wrap the activations in place; ConfigError where one is not smooth or there are fewer than `every`."""
        every = self.settings.every
        activations = list(find_activations(model))
        indices = chosen(len(activations), every)
        if not indices:
            raise ConfigError(
                f"pseudo_norm with every={every} needs at least as many activations, the model has "
                f"{len(activations)}; lower methods.pseudo_norm.every, deepen the model or leave pseudo_norm out"
            )
        for i in indices:
            name, activation = activations[i]
            path = self._path(model, activations[i - every + 1][0])
            parent, _, child = name.rpartition(".")
            setattr(model.get_submodule(parent), child, PseudoNormalised(activation, self.settings.scope, path))
        return model

    def _path(self, model: nn.Module, lowest: str) -> FeedbackPath | None:
        """Across the group whose lowest activation has that name; None in the direct form."""
        if self.settings.form == "direct":
            return None
        layer = layer_before(model, lowest)
        if layer is None:
            raise ConfigError(
                f"pseudo_norm in its dual form finds no Linear or Conv2d before the activation {lowest}; "
                "choose methods.pseudo_norm.form=direct"
            )
        return FeedbackPath(layer, self.settings.scope)
