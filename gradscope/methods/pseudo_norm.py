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
  direct form; exactly so where r runs over the batch. Where that input is what one activation gives and nothing else
  uses, its backward pass takes the gain with its own derivative: then not even the error is gone over a second time.

r follows from the forward pass alone. So in the dual form an error that enters a group from its side (of an early exit,
of a distillation that compares hidden layers) takes that group's gain too, on its way out at the entry; in the direct
form it does not, having come past no normalised activation.

The paper does not say whether the mean runs over a layer's outputs for one sample or for the batch; its equations are
for one sample, so that is the default.

In anybody's loop: replace `torch.tanh(z)` by `pseudo_norm(z, TANH)`, or `nn.Tanh()` by `PseudoNormalised(nn.Tanh())`;
for the dual form give it a `FeedbackPath(lowest_layer_of_the_group)`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, is_grad_enabled, nn
from torch.compiler import is_compiling

from gradscope.config import PseudoNorm
from gradscope.errors import ConfigError
from gradscope.methods import slopes
from gradscope.methods.base import Method
from gradscope.methods.feedback_path import Crossing, FeedbackPath, amplify_, wide
from gradscope.methods.fused import fused
from gradscope.methods.gain_node import Listener
from gradscope.methods.slopes import Scope
from gradscope.methods.smooth import SMOOTH, TANH, Smooth, smooth_of
from gradscope.models.activations import find_activations, layer_before
from gradscope.models.feeding import fed_by_one


def rms(derivative: Tensor, scope: Scope = "sample") -> Tensor:
    """RMS of the derivative, r = sqrt(mean f'^2) (eq. 14): at least 1e-12, and at most 1 where |f'| <= 1.

    Args:
        derivative: f'(z), [B, ...].
        scope: `sample`: one mean over all outputs of the layer for each of the B samples; `batch`: one over everything.

    Returns:
        [B, 1, ...] or [1, 1, ...], float32 or wider.
    """
    rows = len(derivative) if scope == "sample" else 1
    each = derivative.numel() // max(rows, 1)
    norm = torch.linalg.vector_norm(derivative.reshape(rows, each), dim=1, dtype=wide(derivative.dtype))
    found: Tensor = norm.div_(max(each, 1) ** 0.5).clamp_min_(slopes.SMALLEST_RMS)
    return found.reshape(rows, *[1] * (derivative.dim() - 1))


def gain(derivative: Tensor, scope: Scope = "sample") -> Tensor:
    """1 / r, the factor by which the error that leaves the layer downwards grows; shapes as in `rms`."""
    return rms(derivative, scope).reciprocal_()


Treatment = Callable[[Tensor, Tensor, Smooth, Scope, Tensor | None], tuple[Tensor, Tensor | None]]
"""From what was saved [B, ...], the error [B, ...], the activation, the scope and the gain that comes down the path of
the group above ([B], [1] or None) to the error that goes on and the layer's own gain, of any shape. In place: on a CPU
fresh memory costs more than the arithmetic, so it needs no more than tanh."""


def direct(
    saved: Tensor, error: Tensor, smooth: Smooth, scope: Scope, above: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """The direct form: the error times f' / r."""
    derivative = smooth.derivative(saved)
    gains = gain(derivative, scope)
    return amplify_(derivative.mul_(error).mul_(gains), above), gains


def local(
    saved: Tensor, error: Tensor, smooth: Smooth, scope: Scope, above: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """At the top of a group in the dual form: the error times f', because the gain takes the other path."""
    derivative = smooth.derivative(saved)
    gains = gain(derivative, scope)
    return amplify_(derivative.mul_(error), above), gains


def plain(
    saved: Tensor, error: Tensor, smooth: Smooth, scope: Scope, above: Tensor | None = None
) -> tuple[Tensor, None]:
    """Below a group in the dual form and at the top of none: the error times f'."""
    return amplify_(smooth.derivative(saved).mul_(error), above), None


@dataclass(frozen=True, kw_only=True)
class _How:
    """All that every backward pass of an activation has to know beside its tensors."""

    smooth: Smooth
    scope: Scope
    treatment: Treatment
    listeners: Sequence[Listener] = ()

    def treat(self, saved: Tensor, error: Tensor, above: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """The treatment as it is quickest on that device. The gain may be None where nobody asks for it."""
        kind = self.smooth.kind
        # a compiler that traces this cannot look into the loop
        if kind is not None and not is_compiling():
            applied = self.treatment is direct
            told = self.treatment is local or bool(self.listeners)
            treated = slopes.treat(saved, error, kind, self.scope, applied=applied, told=told, above=above)
            if treated is not None:
                return treated
        return fused(self.treatment, saved.device.type)(saved, error, self.smooth, self.scope, above)

    @torch.no_grad()
    def gain(self, z: Tensor, y: Tensor) -> Tensor:
        """1 / r of pre-activations z and outputs y, both [B, ...]: [B] or [1]."""
        return gain(self.smooth.derivative(y if self.smooth.saves == "output" else z), self.scope).flatten()

    def tell(self, saved: Tensor, gains: Tensor) -> None:
        """Every listener the mean gain and the share of derivatives above 1 after normalisation."""
        above = self.smooth.derivative(saved).abs_() * gains.reshape(-1, *[1] * (saved.dim() - 1)) > 1
        for tell in self.listeners:
            tell(gains.mean(), above.count_nonzero() / above.numel())


class _Passage(NamedTuple):
    """What one pass through an activation brings to its backward pass, beside its tensors."""

    how: _How
    own: Crossing | None = None
    """At the top of a group in the dual form: that group's crossing, where the gain is left."""
    above: Crossing | None = None
    """At an entry: the crossing of the group above, whose gain the error takes."""


class _PseudoNormFunction(torch.autograd.Function):
    """An activation with one of the treatments.

    At the top of a group in the dual form that has no crossing the gain becomes the gradient of the wire.

    Behind a large matrix every name that is looked up costs a cache miss or two: few are, and few are handed on.
    """

    @staticmethod
    def forward(ctx: Any, z: Tensor, wire: Tensor | None, passage: _Passage) -> Tensor:  # Any: torch has no type for it
        smooth = passage.how.smooth
        y = smooth.function(z)
        ctx.save_for_backward(y if smooth.saves == "output" else z)
        ctx.passage = passage
        return y

    @staticmethod
    def backward(ctx: Any, error: Tensor) -> tuple[Tensor | None, ...]:
        if is_grad_enabled():  # always going through that guard would cost as much as a small layer's arithmetic
            return _guarded(ctx, error)
        (saved,) = ctx.saved_tensors
        how, own, above = ctx.passage
        out, gains = how.treat(saved, error, above.gain if above else None)
        if gains is None:
            return out, None, None
        if how.listeners:
            how.tell(saved, gains)
        if how.treatment is direct:
            return out, None, None
        if own is None:
            return out, gains.flatten(), None
        own.gain = gains.flatten()
        return out, None, None


_guarded = torch.autograd.function.once_differentiable(_PseudoNormFunction.backward)


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
        smooth: The activation f; `TANH`, that of `smooth_of(module)`, or your own.
        scope: What one RMS runs over, see `rms`.
        wire: [B], or [1] where the scope is the batch: the gain 1 / r becomes its gradient, and the error leaves
            without it.
        listeners: Told the gain in each backward pass.

    Returns:
        f(z), [B, ...]. Only the tensor that plain autograd would keep is saved for the backward pass.
    """
    how = _How(smooth=smooth, scope=scope, treatment=direct if wire is None else local, listeners=listeners)
    out: Tensor = _PseudoNormFunction.apply(z, wire, _Passage(how))
    return out


class _Treated(nn.Module):
    """An activation module with a treatment of its backward pass while training."""

    def __init__(
        self,
        activation: nn.Module,
        scope: Scope,
        treatment: Treatment,
        path: FeedbackPath | None,
        entry: FeedbackPath | None,
        listeners: Sequence[Listener] = (),
    ) -> None:
        super().__init__()
        smooth = smooth_of(activation)
        if smooth is None:
            raise ConfigError(_not_smooth(activation))
        self.activation = activation
        self.path = path
        self.entry = entry
        self._how = _How(smooth=smooth, scope=scope, treatment=treatment, listeners=listeners)

    def forward(self, z: Tensor) -> Tensor:
        """[B, ...] to [B, ...]."""
        if not self.training:
            if self.entry and not is_compiling():
                self.entry.open()  # nobody takes the gain of the group above
            out: Tensor = self.activation(z)
            return out
        if is_compiling():
            out = _PseudoNormFunction.apply(z, self.path.take_wire() if self.path else None, _Passage(self._how))
            return self.entry.wired(out) if self.entry else out
        own, above = self.path.take() if self.path else None, self.entry.open() if self.entry else None
        out = _PseudoNormFunction.apply(z, None, _Passage(self._how, own, above))
        if own and self.path and self.path.ahead and is_grad_enabled():
            own.gain = self._how.gain(z, out)
        return out


class PseudoNormalised(_Treated):
    """An activation module with a pseudo-normalised backward pass while training.

    In eval mode it is the plain activation with its true gradient, because whoever differentiates a trained network
    (an attribution map, an adversarial picture) asks about the function and not about how it was trained.

    Args:
        activation: one of the kinds in `SMOOTH`, with any settings.
        scope: what one RMS runs over, see `rms`.
        path: the path that takes the gain, in the dual form; without it the error takes it here, the direct form.
        entry: the path of the group above, if all that this activation gives goes to that group's lowest layer.
    """

    gain_of = PseudoNorm.model_fields["name"].default

    def __init__(
        self,
        activation: nn.Module,
        scope: Scope = "sample",
        path: FeedbackPath | None = None,
        entry: FeedbackPath | None = None,
    ) -> None:
        listeners: list[Listener] = []
        super().__init__(activation, scope, local if path else direct, path, entry, listeners)
        self.gain_listeners = listeners

    def extra_repr(self) -> str:
        """The form and what one RMS runs over, in the printed model."""
        return f"form={'dual' if self.path else 'direct'}, scope={self._how.scope}"


class PathEntry(_Treated):
    """A plain activation, below a group and at the top of none, where the path of that group begins.

    Args:
        activation: one of the kinds in `SMOOTH`.
        entry: the path of the group above, to whose lowest layer all goes that this activation gives.
    """

    def __init__(self, activation: nn.Module, entry: FeedbackPath) -> None:
        super().__init__(activation, entry.scope, plain, None, entry)


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
        self._enters_at_top_only = True
        """Whether the whole error comes from above, and none into the midst of the network."""

    def beside(self, others: Sequence[Method]) -> None:
        """Look whether another method judges hidden layers: the dual form then knows its gains ahead."""
        self._enters_at_top_only = not any(method.judges_hidden for method in others)

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
        tops = [activations[i][0] for i in indices]
        paths, entries = self._paths(model, tops, [activations[i - every + 1][0] for i in indices])
        modules = dict(activations)
        for name in tops:
            treated = PseudoNormalised(modules[name], self.settings.scope, paths.get(name), entries.pop(name, None))
            _replace(model, name, treated)
        for name, path in entries.items():
            _replace(model, name, PathEntry(modules[name], path))
        return model

    def _paths(
        self, model: nn.Module, tops: Sequence[str], lowest: Sequence[str]
    ) -> tuple[dict[str, FeedbackPath], dict[str, FeedbackPath]]:
        """By names of activations: the path that ends at each top of a group, and those that begin at an activation.

        None in the direct form.
        """
        paths: dict[str, FeedbackPath] = {}
        entries: dict[str, FeedbackPath] = {}
        if self.settings.form == "direct":
            return paths, entries
        feeders = fed_by_one(model) if self._enters_at_top_only else {}
        names = {module: name for name, module in model.named_modules()}
        for top, below in zip(tops, lowest, strict=True):
            layer = layer_before(model, below)
            if layer is None:
                raise ConfigError(
                    f"pseudo_norm in its dual form finds no Linear or Conv2d before the activation {below}; "
                    "choose methods.pseudo_norm.form=direct"
                )
            feeder = feeders.get(names[layer])
            takes_it = feeder is not None and smooth_of(model.get_submodule(feeder)) is not None
            in_front_of = None if takes_it else layer
            paths[top] = FeedbackPath(in_front_of, self.settings.scope, ahead=not self._enters_at_top_only)
            if feeder is not None and takes_it:
                entries[feeder] = paths[top]
        return paths, entries


def _replace(model: nn.Module, name: str, module: nn.Module) -> None:
    parent, _, child = name.rpartition(".")
    setattr(model.get_submodule(parent), child, module)
