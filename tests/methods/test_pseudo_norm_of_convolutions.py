"""Pseudo-normalised gradients of a convolutional network against the equations written out by hand."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from gradscope.config import Initialisation, PseudoNorm
from gradscope.methods import build_methods
from gradscope.methods.smooth import SMOOTH


def six_layers_with_convolutions(kind: type[nn.Module], *settings: PseudoNorm) -> nn.Sequential:
    """Three convolutions, then three dense layers, five activations between them; inputs [B, 2, 4, 3]."""
    convolutions = [m for i in (2, 3, 3) for m in (nn.Conv2d(i, 3, 3, padding=1), kind())]
    dense = [nn.Flatten(), nn.Linear(36, 7), kind(), nn.Linear(7, 7), kind(), nn.Linear(7, 4)]
    model: nn.Module = nn.Sequential(*convolutions, *dense).double()
    for method in build_methods([Initialisation(bias_std=0.3), *settings]):
        model = method.adapt(model, torch.Generator().manual_seed(5))
    assert isinstance(model, nn.Sequential)
    return model


class ConvolutionsByHand:
    """The network above forward and back by equations 16 and 17 of the paper, without autograd but for f' itself."""

    def __init__(self, kind: type[nn.Module], x: Tensor, labels: Tensor) -> None:
        layers = [m for m in six_layers_with_convolutions(kind) if isinstance(m, nn.Linear | nn.Conv2d)]
        self.w = {n: m.weight.detach() for n, m in enumerate(layers, 1)}
        self.a, self.slope = {0: x}, {}
        for n, layer in enumerate(layers, 1):
            z = layer(self.a[n - 1] if n < 4 else self.a[n - 1].flatten(1)).detach().requires_grad_()
            self.a[n] = kind()(z).detach()
            (self.slope[n],) = torch.autograd.grad(kind()(z).sum(), z)
        self.top = (z.detach().softmax(1) - functional.one_hot(labels, 4)) / len(labels)

    def down(self, error: Tensor, n: int) -> Tensor:
        """Through layer n + 1, to the shape of activation n: a convolution by the kernels turned half a circle."""
        if n < 3:
            return functional.conv2d(error, self.w[n + 1].flip(2, 3).transpose(0, 1), padding=1)
        return (error @ self.w[n + 1]).reshape(self.a[n].shape)

    def weight_gradient(self, error: Tensor, n: int) -> Tensor:
        below = self.a[n - 1]
        if n < 4:
            return functional.conv2d(below.transpose(0, 1), error.transpose(0, 1), padding=1).transpose(0, 1)
        return error.T @ below.flatten(1)

    def direct(self, r: dict[int, Tensor]) -> list[Tensor]:
        error, found = self.top, [self.weight_gradient(self.top, 6)]
        for n in range(5, 0, -1):
            error = self.down(error, n) * self.slope[n] / r.get(n, 1.0)
            found.append(self.weight_gradient(error, n))
        return found[::-1]

    def dual(self, r: dict[int, Tensor]) -> list[Tensor]:
        """Two errors at layers 5 to 2: the local one d for the weights, the combination e that goes on."""
        handed_on, found = self.top, [self.weight_gradient(self.top, 6)]
        for n in (5, 3):
            d = self.down(handed_on, n) * self.slope[n]
            e = self.down(handed_on, n) * (self.slope[n] / r[n])
            d_below = self.down(d, n - 1) * self.slope[n - 1]
            found += [self.weight_gradient(d, n), self.weight_gradient(d_below, n - 1)]
            handed_on = self.down(e, n - 1) * self.slope[n - 1]
        return [self.weight_gradient(self.down(handed_on, 1) * self.slope[1], 1), *found[::-1]]


@pytest.mark.parametrize("scope", ["sample", "batch"])
@pytest.mark.parametrize("kind", SMOOTH, ids=lambda k: k.__name__)
def test_both_forms_of_a_convolutional_network_equal_the_hand_written_equations(
    kind: type[nn.Module], scope: str
) -> None:
    x = torch.randn(5, 2, 4, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    labels = torch.tensor([0, 3, 1, 2, 0])
    hand = ConvolutionsByHand(kind, x, labels)
    dims = {n: tuple(range(1 if scope == "sample" else 0, hand.slope[n].dim())) for n in (5, 3)}
    r = {n: (hand.slope[n] ** 2).mean(dims[n], keepdim=True).sqrt() for n in (5, 3)}
    found = {}
    for form, expected in (("direct", hand.direct(r)), ("dual", hand.dual(r))):
        model = six_layers_with_convolutions(kind, PseudoNorm.model_validate({"form": form, "scope": scope}))
        functional.cross_entropy(model(x), labels).backward()
        found[form] = [m.weight.grad for m in model.modules() if isinstance(m, nn.Linear | nn.Conv2d)]
        for got, wanted in zip(found[form], expected, strict=True):
            torch.testing.assert_close(got, wanted, rtol=0, atol=1e-12)
    if scope == "batch":
        predicted = [1.0, r[3].item(), r[3].item(), r[5].item(), r[5].item(), 1.0]
        for dual, direct, ratio in zip(found["dual"], found["direct"], predicted, strict=True):
            torch.testing.assert_close(dual, ratio * direct, rtol=1e-10, atol=1e-14)
