"""Gradient amplification, backward gradient normalisation and ZNorm against plain slow versions."""

import copy
import itertools
import math

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from gradscope.config import BackwardGradientNorm, GradientAmplification, Mlp, PaperCnn, ZNorm, parse_config
from gradscope.errors import ConfigError
from gradscope.methods import build_methods
from gradscope.methods.backward_gradient_norm import normalised
from gradscope.methods.gain_node import InputGain, gain_node
from gradscope.methods.gradient_amplification import GradientAmplificationMethod
from gradscope.methods.z_norm import z_norm
from gradscope.models import build_model

X = torch.randn(5, 1, 2, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
Y = torch.tensor([0, 3, 1, 2, 0])


def five_layers() -> nn.Module:
    return build_model(Mlp(depth=5, width=7), (1, 2, 3), 4, seed=3).double()


def gradients(model: nn.Module) -> list[Tensor]:
    """dC/dW of each layer, the first at the input."""
    model.zero_grad()
    functional.cross_entropy(model(X), Y).backward()
    return [m.weight.grad.clone() for m in model.modules() if isinstance(m, nn.Linear) and m.weight.grad is not None]


def by_hand(model: nn.Module, change: dict[int, object]) -> list[Tensor]:
    """The same by the chain rule written out; change[n] maps the error at the output of activation n - 1."""
    w = [m.weight.detach() for m in model.modules() if isinstance(m, nn.Linear)]
    b = [m.bias.detach() for m in model.modules() if isinstance(m, nn.Linear)]
    a = [X.flatten(1)]
    for n in range(4):
        a.append(torch.tanh(a[-1] @ w[n].T + b[n]))
    error = ((a[4] @ w[4].T + b[4]).softmax(1) - functional.one_hot(Y, 4)) / len(Y)
    found = [error.T @ a[4]]
    for n in range(3, -1, -1):
        below = change.get(n + 1, lambda e: e)(error @ w[n + 1])  # type: ignore[operator]
        error = below * (1 - a[n + 1] ** 2)
        found.append(error.T @ a[n])
    return found[::-1]


def test_a_gain_node_is_the_identity_forward_and_scales_only_its_own_way_back() -> None:
    x = torch.tensor([1.0, 2.0], requires_grad=True)
    y = gain_node(x, lambda error: 3 * error) + x
    assert y.tolist() == [2.0, 4.0]
    y.sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [4.0, 4.0]


@pytest.mark.parametrize("scope", ["sample", "batch"])
@pytest.mark.parametrize("norm", ["l2", "rms"])
@pytest.mark.parametrize(("every", "nodes"), [(1, [1, 2, 3, 4]), (2, [1, 3]), (3, [2])])
def test_backward_gradient_norm_is_the_chain_rule_with_normalised_errors(
    every: int, nodes: list[int], norm: str, scope: str
) -> None:
    def normalise(error: Tensor) -> Tensor:
        rows = error if scope == "sample" else error.reshape(1, -1)
        size = torch.stack([(row**2).sum().sqrt() for row in rows])[:, None]
        if norm == "rms":
            size = size / rows.shape[1] ** 0.5
        return (rows / size).reshape(error.shape)

    expected = by_hand(five_layers(), dict.fromkeys(nodes, normalise))
    settings = BackwardGradientNorm.model_validate({"every": every, "scope": scope, "norm": norm})
    model = build_methods([settings])[0].adapt(five_layers(), torch.Generator())
    for got, wanted in zip(gradients(model), expected, strict=True):
        torch.testing.assert_close(got, wanted, rtol=1e-10, atol=1e-14)


def test_backward_gradient_norm_makes_a_deep_sigmoid_network_flat_and_keeps_zero_at_zero() -> None:
    model = build_model(Mlp(depth=20, width=16, activation="sigmoid"), (1, 2, 3), 4, seed=0).double()
    plain = gradients(model)
    flat = gradients(build_methods([BackwardGradientNorm()])[0].adapt(model, torch.Generator()))
    assert plain[0].norm() / plain[-1].norm() < 1e-8
    assert 0.01 < flat[0].norm() / flat[-1].norm() < 100
    x = torch.zeros(2, 3, requires_grad=True)
    method = build_methods([BackwardGradientNorm()])[0]
    assert method.scaled(x).tolist() == [[0.0] * 3] * 2  # type: ignore[attr-defined]


@pytest.mark.parametrize("scope", ["sample", "batch"])
@pytest.mark.parametrize("norm", ["l2", "rms"])
@pytest.mark.parametrize("size", [1e-30, 1e-28, 1e-24, 1e-20, 1.0, 1e20, 1e30])
def test_an_error_of_any_size_has_the_norm_one_in_every_type(size: float, norm: str, scope: str) -> None:
    error = torch.randn(4, 3, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    error[2] = 0
    rows = list(error) if scope == "sample" else [error]
    lengths = [sum(v**2 for v in row.flatten().tolist()) ** 0.5 or 1.0 for row in rows]
    lengths = [length / rows[0].numel() ** 0.5 for length in lengths] if norm == "rms" else lengths
    wanted = error / torch.tensor(lengths, dtype=torch.float64).reshape(-1, 1, 1)
    for dtype, tolerance in ((torch.float64, 1e-6), (torch.float32, 1e-6), (torch.bfloat16, 1e-2)):
        got = normalised((error * size).to(dtype), scope, norm)
        assert got.dtype == dtype
        torch.testing.assert_close(got.double(), wanted, rtol=tolerance, atol=tolerance)
    assert got[2].eq(0).all()


def test_an_error_that_is_not_finite_somewhere_is_nan_in_all_that_shares_its_norm() -> None:
    error = torch.tensor([[3.0, 4.0], [torch.inf, 1.0], [torch.nan, 1.0]])
    nan = [torch.nan] * 2
    torch.testing.assert_close(normalised(error, "sample", "l2"), torch.tensor([[0.6, 0.8], nan, nan]), equal_nan=True)
    assert normalised(error, "batch", "l2").isnan().all()


@pytest.mark.parametrize("norm", ["l2", "rms"])
def test_a_deep_sigmoid_network_has_the_same_gradients_in_float32_as_in_float64(norm: str) -> None:
    settings = BackwardGradientNorm.model_validate({"every": 30, "norm": norm})

    def below_the_node(dtype: torch.dtype) -> Tensor:
        model = build_model(Mlp(depth=32, width=64, activation="sigmoid"), (1, 2, 3), 4, seed=0)
        model = build_methods([settings])[0].adapt(model, torch.Generator()).to(dtype)
        functional.cross_entropy(model(X.to(dtype)), Y).backward()
        layers = [m for m in model.modules() if isinstance(m, nn.Linear)]
        assert layers[2].weight.grad.abs().max() < 1e-22  # type: ignore[union-attr]  # what arrives at the node
        return layers[1].weight.grad.double()  # type: ignore[union-attr]

    torch.testing.assert_close(below_the_node(torch.float32), below_the_node(torch.float64), rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("size", [1e-40, 1e-30, 1e-25, 1.0, 1e25])
def test_the_gain_is_told_truly_for_errors_of_any_size_and_is_nan_for_none(size: float) -> None:
    heard: list[float] = []
    node = InputGain(nn.Linear(2, 2), "any", lambda error: 8 * error)
    node.gain_listeners.append(lambda gain, _: heard.append(gain.item()))
    node.scale(torch.tensor([[3.0, -4.0]]) * size)
    node.scale(torch.zeros(1, 2))
    node.scale(torch.tensor([[1.0, torch.inf]]))
    assert heard[0] == pytest.approx(8, rel=1e-4)
    assert [math.isnan(gain) for gain in heard] == [False, True, True]


def test_the_gain_of_a_normalised_error_is_one_over_its_norm() -> None:
    heard: list[float] = []
    node = InputGain(nn.Linear(2, 2), "any", lambda error: normalised(error, "batch", "l2"))
    node.gain_listeners.append(lambda gain, _: heard.append(gain.item()))
    for size in (1e-25, 2.0, 1e25):
        node.scale(torch.tensor([[0.6, -0.8]]) * size)
    assert heard == [pytest.approx(1 / size, rel=1e-5) for size in (1e-25, 2.0, 1e25)]


def test_amplification_doubles_the_gradient_of_its_layer_and_of_all_below() -> None:
    (method,) = build_methods([GradientAmplification(factor=2.0, ratio=1.0, end=1.0)])
    plain, amplified = gradients(five_layers()), gradients(method.adapt(five_layers(), torch.Generator()))
    for n, (one, other) in enumerate(zip(plain, amplified, strict=True)):
        torch.testing.assert_close(other, 2.0 ** (4 - n) * one, rtol=1e-12, atol=0)


def test_amplification_draws_its_share_of_the_hidden_layers_by_the_generator() -> None:
    def factors(ratio: float, seed: int) -> list[float]:
        (method,) = build_methods([GradientAmplification(factor=3.0, ratio=ratio)])
        model = method.adapt(five_layers(), torch.Generator().manual_seed(seed))
        ratios = [(o / p).mean().item() for p, o in zip(gradients(five_layers()), gradients(model), strict=True)]
        return [round(below / above) for below, above in itertools.pairwise(ratios)]

    assert [factors(r, seed=0).count(3) for r in (0.01, 0.5, 1.0)] == [1, 2, 4]
    assert factors(0.5, seed=0) == factors(0.5, seed=0)
    assert len({tuple(factors(0.5, seed=s)) for s in range(8)}) > 1


def test_amplification_is_on_between_its_begin_and_end() -> None:
    method = build_methods([GradientAmplification(factor=2.0, ratio=1.0, begin=0.25, end=0.5)])[0]
    assert isinstance(method, GradientAmplificationMethod)
    model = method.adapt(five_layers(), torch.Generator())
    seen = []
    for epoch in range(8):
        method.at_epoch(model, epoch, 8)
        seen.append(method.factor.item())
    assert seen == [1.0, 1.0, 2.0, 2.0, 1.0, 1.0, 1.0, 1.0]


def test_none_of_them_touches_the_forward_pass_or_the_gradient_in_eval_mode() -> None:
    for settings in (GradientAmplification(ratio=1.0), BackwardGradientNorm(), ZNorm()):
        model = build_methods([settings])[0].adapt(five_layers(), torch.Generator())
        assert torch.equal(model(X), five_layers()(X))
        for got, wanted in zip(gradients(model.eval()), gradients(five_layers()), strict=True):
            assert torch.equal(got, wanted)


def test_they_work_in_a_convolutional_network_and_in_a_copy_of_it() -> None:
    for settings in (GradientAmplification(), BackwardGradientNorm()):
        model = build_model(PaperCnn(), (3, 8, 8), 4, seed=0)
        model = copy.deepcopy(build_methods([settings])[0].adapt(model, torch.Generator()))
        model(torch.randn(2, 3, 8, 8)).sum().backward()
        assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


def test_z_norm_standardises_each_weight_by_itself_and_leaves_biases_alone() -> None:
    model = five_layers()
    before = [g.clone() for g in gradients(model)]
    biases = [m.bias.grad.clone() for m in model.modules() if isinstance(m, nn.Linear) and m.bias.grad is not None]
    build_methods([ZNorm()])[0].before_step(model)
    layers = [m for m in model.modules() if isinstance(m, nn.Linear)]
    for layer, gradient, bias in zip(layers, before, biases, strict=True):
        values = gradient.flatten().tolist()
        mean = sum(values) / len(values)
        deviation = (sum((v - mean) ** 2 for v in values) / len(values)) ** 0.5
        wanted = torch.tensor([(v - mean) / (deviation + 1e-10) for v in values]).reshape(gradient.shape)
        torch.testing.assert_close(layer.weight.grad, wanted.double(), rtol=1e-6, atol=1e-6)
        assert layer.bias.grad is not None
        assert torch.equal(layer.bias.grad, bias)


def test_z_norm_of_equal_elements_is_zero_and_skips_what_has_no_gradient() -> None:
    layer = nn.Linear(2, 2)
    z_norm(layer.parameters())
    assert layer.weight.grad is None
    layer.weight.grad = torch.full((2, 2), 0.25)
    z_norm(layer.parameters())
    assert layer.weight.grad.tolist() == [[0.0, 0.0], [0.0, 0.0]]


@pytest.mark.parametrize(("size", "wanted"), [(1e-25, 1.0), (1e-12, 1.0), (1e-30, 0.5), (1.0, 1.0), (1e25, 1.0)])
def test_z_norm_brings_gradients_of_any_size_to_one_down_to_its_eps(size: float, wanted: float) -> None:
    layer = nn.Linear(2, 2)
    layer.weight.grad = torch.tensor([[3.0, 1.0], [1.0, 3.0]]) * size
    z_norm(layer.parameters(), eps=1e-30)
    torch.testing.assert_close(layer.weight.grad, wanted * torch.tensor([[1.0, -1.0], [-1.0, 1.0]]), rtol=1e-4, atol=0)


def test_z_norm_leaves_small_what_lies_below_its_default_eps() -> None:
    layer = nn.Linear(2, 2)
    layer.weight.grad = torch.tensor([[3.0, 1.0], [1.0, 3.0]]) * 1e-12
    z_norm(layer.parameters())
    assert layer.weight.grad.tolist()[0] == pytest.approx([1 / 101, -1 / 101], rel=1e-4)


def test_models_without_enough_layers_are_refused() -> None:
    with pytest.raises(ConfigError, match="no hidden layer in Linear; leave it out"):
        build_methods([GradientAmplification()])[0].adapt(nn.Linear(2, 2), torch.Generator())
    with pytest.raises(ConfigError, match="every=5 needs more layers than that, the model has 5"):
        build_methods([BackwardGradientNorm(every=5)])[0].adapt(five_layers(), torch.Generator())


def test_amplification_must_begin_before_it_ends() -> None:
    with pytest.raises(ConfigError, match=r"begin is 0\.5 and end 0\.5; begin must be less than end"):
        parse_config({"methods": [{"name": "gradient_amplification", "begin": 0.5}]})
