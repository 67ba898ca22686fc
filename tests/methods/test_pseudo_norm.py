"""Pseudo-normalised gradients against the equations written out by hand."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from gradscope.config import Initialisation, Mlp, PaperCnn, PseudoNorm, Resnet
from gradscope.errors import ConfigError
from gradscope.methods import build_methods
from gradscope.methods.pseudo_norm import (
    SIGMOID,
    SMOOTH,
    TANH,
    PseudoNormalised,
    Smooth,
    chosen,
    gain,
    pseudo_norm,
    rms,
)
from gradscope.models import build_model

SMOOTH_ACTIVATIONS = pytest.mark.parametrize("kind", SMOOTH, ids=lambda k: k.__name__)


def normals(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("per", ["sample", "batch"])
def test_the_direct_form_equals_the_hand_written_equations(per: str) -> None:
    """Six layers, tanh in 1..5, softmax cross entropy in 6; tanh 5 and 3 are normalised (Bu et al. 2026, figure 1)."""
    model = build_model(Mlp(depth=6, width=7), (1, 2, 3), 4, seed=3).double()
    for method in build_methods([PseudoNorm.model_validate({"every": 2, "per": per})]):
        model = method.adapt(model, torch.Generator())
    x, y = normals(5, 1, 2, 3), torch.tensor([0, 3, 1, 2, 0])
    functional.cross_entropy(model(x), y).backward()

    linears = [m for m in model.modules() if isinstance(m, nn.Linear)]
    a = [x.flatten(1)]
    for linear in linears[:-1]:
        a.append(torch.tanh(a[-1] @ linear.weight.T + linear.bias))
    logits = a[-1] @ linears[-1].weight.T + linears[-1].bias
    d = (logits.softmax(1) - functional.one_hot(y, 4)) / len(y)
    for number in range(6, 0, -1):  # d is the error at z of this layer
        torch.testing.assert_close(linears[number - 1].weight.grad, d.T @ a[number - 1], rtol=0, atol=1e-12)
        torch.testing.assert_close(linears[number - 1].bias.grad, d.sum(0), rtol=0, atol=1e-12)
        if number > 1:
            derivative = 1 - a[number - 1] ** 2
            if number - 1 in {5, 3}:
                mean = (derivative**2).mean(1, keepdim=True) if per == "sample" else (derivative**2).mean()
                derivative = derivative / mean.sqrt()
            d = (d @ linears[number - 1].weight) * derivative


@pytest.mark.parametrize("per", ["sample", "batch"])
def test_in_a_convolution_the_mean_runs_over_channels_and_pixels(per: str) -> None:
    z = normals(3, 2, 4, 5).requires_grad_()
    error = normals(3, 2, 4, 5, seed=1)
    pseudo_norm(z, TANH, per).backward(error)  # type: ignore[arg-type]
    f = 1 - torch.tanh(z.detach()) ** 2
    mean = torch.stack([(s**2).mean() for s in f]).reshape(3, 1, 1, 1) if per == "sample" else (f**2).mean()
    torch.testing.assert_close(z.grad, error * f / mean.sqrt(), rtol=1e-12, atol=0)


@SMOOTH_ACTIVATIONS
def test_the_forward_pass_is_the_plain_activation(kind: type[nn.Module]) -> None:
    z = normals(4, 6)
    assert torch.equal(PseudoNormalised(kind())(z), kind()(z))


@SMOOTH_ACTIVATIONS
def test_the_derivative_is_that_of_autograd(kind: type[nn.Module]) -> None:
    z = torch.cat([normals(50) * 3, torch.tensor([-20.0, 0.5, 15.0])]).double().requires_grad_()
    y = kind()(z)
    y.sum().backward()
    smooth = SMOOTH[kind]
    saved = y if smooth.saves == "output" else z
    torch.testing.assert_close(smooth.derivative(saved).detach(), z.grad, rtol=1e-8, atol=1e-12)


@SMOOTH_ACTIVATIONS
def test_gradcheck_passes_without_it_and_fails_with_it(kind: type[nn.Module]) -> None:
    z = normals(3, 5).requires_grad_()
    assert torch.autograd.gradcheck(kind(), (z,))
    assert not torch.autograd.gradcheck(PseudoNormalised(kind()), (z,), raise_exception=False)


@SMOOTH_ACTIVATIONS
def test_in_eval_mode_the_gradient_is_the_true_one(kind: type[nn.Module]) -> None:
    assert torch.autograd.gradcheck(PseudoNormalised(kind()).eval(), (normals(3, 5).requires_grad_(),))


@pytest.mark.parametrize("smooth", [TANH, SIGMOID], ids=["tanh", "sigmoid"])
@pytest.mark.parametrize("per", ["sample", "batch"])
def test_the_gain_is_at_least_one(smooth: Smooth, per: str) -> None:
    derivative = smooth.derivative(smooth.function(normals(20, 30) * 4))
    assert gain(derivative, per).min() >= 1  # type: ignore[arg-type]


def test_the_gain_of_tanh_tends_to_one_at_zero() -> None:
    z = normals(20, 30) * 1e-6
    torch.testing.assert_close(rms(TANH.derivative(torch.tanh(z))), torch.ones(20, 1).double(), rtol=0, atol=1e-9)


def test_a_completely_saturated_layer_gives_zeros_and_no_nan() -> None:
    z = torch.full((2, 3), 50.0, requires_grad=True)
    pseudo_norm(z).sum().backward()
    assert z.grad is not None
    assert z.grad.tolist() == [[0.0] * 3] * 2


def test_half_precision_keeps_its_type_and_takes_the_mean_in_float32() -> None:
    z = torch.linspace(-2, 2, 12).reshape(2, 6)
    half, full = z.bfloat16().requires_grad_(), z.clone().requires_grad_()
    pseudo_norm(half).sum().backward()
    pseudo_norm(full).sum().backward()
    assert half.grad is not None
    assert half.grad.dtype == torch.bfloat16
    torch.testing.assert_close(half.grad.float(), full.grad, rtol=0.02, atol=0.02)


def test_it_keeps_no_more_tensors_than_plain_autograd() -> None:
    def saved(activation: nn.Module) -> int:
        kept: list[Tensor] = []
        with torch.autograd.graph.saved_tensors_hooks(lambda t: (kept.append(t), t)[1], lambda t: t):
            activation(torch.randn(4, 4, requires_grad=True))
        return len(kept)

    assert saved(PseudoNormalised(nn.Tanh())) == saved(nn.Tanh()) == 1


@pytest.mark.parametrize(
    ("n", "every", "expected"),
    [
        (9, 2, [8, 6, 4, 2]),
        (5, 2, [4, 2]),
        (9, 1, [8, 7, 6, 5, 4, 3, 2, 1, 0]),
        (9, 3, [8, 5, 2]),
        (1, 2, []),
        (0, 1, []),
    ],
)
def test_which_activations_are_chosen(n: int, every: int, expected: list[int]) -> None:
    assert chosen(n, every) == expected


def test_in_the_papers_network_tanh_9_7_5_and_3_are_normalised() -> None:
    (method,) = build_methods([PseudoNorm()])
    with torch.device("meta"):
        model = method.adapt(build_model(PaperCnn(), (3, 32, 32), 10), torch.Generator())
    names = [n for n, m in model.named_modules() if isinstance(m, PseudoNormalised)]
    assert names == ["conv.2.activation", "conv.4.activation", "conv.6.activation", "dense.0.activation"]


@pytest.mark.parametrize("activation", ["relu", "leaky_relu"])
def test_piecewise_linear_activations_are_refused(activation: str) -> None:
    model = build_model(Mlp.model_validate({"activation": activation}), (1, 2, 2), 2)
    with pytest.raises(ConfigError, match=r"needs a smooth activation .*; choose another activation or leave"):
        build_methods([PseudoNorm()])[0].adapt(model, torch.Generator())


def test_a_model_with_too_few_activations_is_refused() -> None:
    model = build_model(Mlp(depth=3, width=2), (1, 2, 2), 2)
    with pytest.raises(ConfigError, match="every=5 needs at least as many activations, the model has 2"):
        build_methods([PseudoNorm(every=5)])[0].adapt(model, torch.Generator())


def test_a_tanh_resnet_can_be_normalised() -> None:
    model = build_methods([PseudoNorm()])[0].adapt(
        build_model(Resnet(depth=8, activation="tanh", width=4), (1, 8, 8), 3), torch.Generator()
    )
    model(torch.randn(2, 1, 8, 8)).sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


def error_ratio(depth: int, gain_: float, bias_std: float, every: int | None) -> float:
    """|dC/dz_1| / |dC/dz_depth| of a tanh MLP of width 256 with LeCun weights at its start."""
    model = build_model(Mlp(depth=depth + 1, width=256), (1, 16, 16), 256, seed=0)
    methods = [Initialisation(gain=gain_, bias_std=bias_std), *([PseudoNorm(every=every)] if every else [])]
    for method in build_methods(methods):
        model = method.adapt(model, torch.Generator().manual_seed(0))
    errors: dict[nn.Module, float] = {}
    hidden = [m for m in model.modules() if isinstance(m, nn.Linear)][:-1]
    for layer in hidden:
        layer.register_full_backward_hook(lambda m, _, g: errors.__setitem__(m, g[0].norm().item()))
    images = torch.randn(64, 1, 16, 16, generator=torch.Generator().manual_seed(1))
    labels = torch.randint(10, (64,), generator=torch.Generator().manual_seed(2))
    functional.cross_entropy(model(images.requires_grad_()), labels).backward()
    return errors[hidden[0]] / errors[hidden[-1]]


@pytest.mark.parametrize(
    ("depth", "gain_", "bias_std", "every", "expected"),
    [
        (10, 1.0, 0.0, None, 0.29),
        (10, 1.0, 0.0, 2, 0.47),
        (30, 1.0, 0.5, None, 3.4e-4),
        (30, 1.0, 0.5, 2, 1.7e-2),
        (30, 1.0, 0.5, 1, 1.2),
        (50, 1.5, 1.0, 2, 3.4e2),
        (50, 0.8, 0.0, 1, 1.8e-5),
    ],
)
def test_it_halves_or_removes_the_decay_where_saturation_causes_it(
    depth: int, gain_: float, bias_std: float, every: int | None, expected: float
) -> None:
    assert expected / 3 < error_ratio(depth, gain_, bias_std, every) < expected * 3
