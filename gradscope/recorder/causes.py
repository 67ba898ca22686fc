"""Gradients by cause: what each term of the loss adds to every layer's gradient, on the steps that are due.

Each term is differentiated by itself, which costs a backward pass a term. All that is kept of it are the products of
every two terms' gradients, layer by layer: shares, sizes and angles follow from them.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from gradscope.recorder.layers import Watched
from gradscope.recorder.measure import Transfer
from gradscope.terms import TermCosine, TermGradient

Products = NDArray[np.float64]
"""[T, T]: the scalar products of every two of T terms' gradients in one layer."""


def products(gradients: Sequence[Sequence[Tensor | None]]) -> Tensor:
    """Scalar products of the terms' gradients of one layer, G_tu = sum over weights of g_t . g_u, in float64.

    Args:
        gradients: of each of T terms, of each weight of the layer; None where the term does not depend on it. At least
            one is there.

    Returns:
        [T, T], on the device of the gradients (on the CPU where that has no float64).
    """
    total: Tensor | None = None
    for of_weight in zip(*gradients, strict=True):
        known = next((g for g in of_weight if g is not None), None)
        if known is not None:
            rows = torch.stack([_flat(torch.zeros_like(known) if g is None else g) for g in of_weight])
            total = rows @ rows.T if total is None else total + rows @ rows.T
    assert total is not None, "a layer without any gradient has no products"
    return total


def _flat(gradient: Tensor) -> Tensor:
    plain = gradient.detach().to_dense() if gradient.is_sparse else gradient.detach()
    plain = plain.cpu() if plain.is_mps else plain
    plain = torch.view_as_real(plain.resolve_conj()) if plain.is_complex() else plain
    return plain.flatten().double()


@dataclass(frozen=True, kw_only=True)
class Split:
    """The products of one layer, perhaps still on their way from a device."""

    layer: int
    terms: Sequence[str]
    n: int
    """Weights of the layer."""
    products: Transfer

    def gradients(self, step: int) -> list[TermGradient]:
        """Share and RMS of each term; waits for the device.

        share_t = g_t . g / |g|^2 with g the sum of all terms' gradients, so the shares of a layer add up to 1.
        """
        found = self.products.wait().double().numpy()
        shares = np.divide(found.sum(1), found.sum(), out=np.full(len(found), np.nan), where=found.sum() != 0)
        sizes = np.sqrt(np.diag(found) / self.n)
        return [
            TermGradient(step=step, layer=self.layer, term=term, share=_finite(share), rms=_finite(rms))
            for term, share, rms in zip(self.terms, shares, sizes, strict=True)
        ]

    def cosines(self, step: int) -> list[TermCosine]:
        """Of every two terms, in -1..1; waits for the device."""
        found = self.products.wait().double().numpy()
        return [
            TermCosine(step=step, layer=self.layer, term=a, other=b, cosine=_cosine(found, i, i + 1 + j))
            for i, a in enumerate(self.terms)
            for j, b in enumerate(self.terms[i + 1 :])
        ]


def _cosine(found: Products, i: int, j: int) -> float | None:
    # by the roots: the product of two squares of small gradients would be 0
    size = math.sqrt(max(found[i, i], 0.0)) * math.sqrt(max(found[j, j], 0.0))
    return _finite(found[i, j] / size) if size else None


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


class Causes:
    """Gathers the terms' gradients of one step; those of several micro-batches add up."""

    def __init__(self) -> None:
        self._sums: dict[str, dict[nn.Parameter, Tensor]] = {}

    def add(self, terms: Mapping[str, Tensor], weights: Sequence[nn.Parameter]) -> None:
        """Differentiate each term by the weights; the graph stays for the backward pass to come.

        Args:
            terms: scalars that add up to the loss.
            weights: those that get a gradient.
        """
        for name, term in terms.items():
            sums = self._sums.setdefault(name, {})
            if not term.requires_grad:  # a constant
                continue
            found = torch.autograd.grad(term, weights, retain_graph=True, allow_unused=True)
            for weight, gradient in zip(weights, found, strict=True):
                if gradient is not None:
                    sums[weight] = gradient if weight not in sums else sums[weight] + gradient

    def take(self, layers: Sequence[Watched]) -> list[Split]:
        """What there is of every layer, by its place in the list, and begin anew."""
        sums, self._sums = self._sums, {}
        names = list(sums)
        found = []
        for index, layer in enumerate(layers):
            gradients = [[sums[name].get(weight) for weight in layer.weights] for name in names]
            if any(g is not None for of_term in gradients for g in of_term):
                n = sum(weight.numel() for weight in layer.weights if weight.requires_grad)
                found.append(Split(layer=index, terms=names, n=n, products=Transfer(products(gradients))))
        return found
