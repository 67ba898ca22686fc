"""Pseudo-normalised gradients against the equations written out by hand."""

import copy
import pickle

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from gradscope.config import Initialisation, Mlp, PaperCnn, PseudoNorm, Resnet
from gradscope.errors import ConfigError
from gradscope.methods import build_methods
from gradscope.methods.feedback_path import FeedbackPath
from gradscope.methods.pseudo_norm import (
    TANH,
    PseudoNormalised,
    chosen,
    gain,
    pseudo_norm,
    rms,
)
from gradscope.methods.smooth import SIGMOID, SMOOTH, Smooth, smooth_of
from gradscope.models import build_model

SMOOTH_ACTIVATIONS = pytest.mark.parametrize("kind", SMOOTH, ids=lambda k: k.__name__)


def normals(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def six_layers(*settings: PseudoNorm, activation: str = "tanh") -> nn.Module:
    model = build_model(Mlp.model_validate({"depth": 6, "width": 7, "activation": activation}), (1, 2, 3), 4, seed=3)
    for method in build_methods(settings):
        model = method.adapt(model.double(), torch.Generator())
    return model.double()


X, Y = normals(5, 1, 2, 3), torch.tensor([0, 3, 1, 2, 0])


def gradients(model: nn.Module) -> list[Tensor]:
    """dC/dW of each layer, the first at the input; C is the mean cross entropy of the batch (X, Y)."""
    functional.cross_entropy(model(X), Y).backward()
    found = [m.weight.grad for m in model.modules() if isinstance(m, nn.Linear)]
    return [g for g in found if g is not None]


def root_mean_square(derivative: Tensor, scope: str) -> Tensor:
    square = derivative**2
    return (square.mean(1, keepdim=True) if scope == "sample" else square.mean()).sqrt()


@pytest.mark.parametrize("activation", ["tanh", "sigmoid"])
@pytest.mark.parametrize("scope", ["sample", "batch"])
def test_both_forms_equal_the_hand_written_equations(scope: str, activation: str) -> None:
    """Six layers, softmax cross entropy in 6; 5 and 3 are the upper layers of the pairs (Bu et al. 2026, figure 1)."""
    plain = six_layers(activation=activation)
    w = {n: m.weight.detach() for n, m in enumerate((m for m in plain.modules() if isinstance(m, nn.Linear)), 1)}
    b = {n: m.bias.detach() for n, m in enumerate((m for m in plain.modules() if isinstance(m, nn.Linear)), 1)}
    f = {"tanh": torch.tanh, "sigmoid": torch.sigmoid}[activation]
    slope = {"tanh": lambda y: 1 - y**2, "sigmoid": lambda y: y * (1 - y)}[activation]
    a = {0: X.flatten(1)}
    for n in range(1, 6):
        a[n] = f(a[n - 1] @ w[n].T + b[n])
    d1 = {n: slope(a[n]) for n in range(1, 6)}
    normal = {n: d1[n] / root_mean_square(d1[n], scope) for n in (5, 3)}
    error = {6: ((a[5] @ w[6].T + b[6]).softmax(1) - functional.one_hot(Y, 4)) / len(Y)}

    # the direct form: the chain with norm(f') at 5 and 3
    c = dict(error)
    for n in range(5, 0, -1):
        c[n] = (c[n + 1] @ w[n + 1]) * normal.get(n, d1[n])
    direct = [c[n].T @ a[n - 1] for n in range(1, 7)]

    # the dual feedback path: local errors d serve the weights, combination errors e go on
    d = dict(error)
    d[5] = (d[6] @ w[6]) * d1[5]
    d[4] = (d[5] @ w[5]) * d1[4]
    e5 = (d[6] @ w[6]) * normal[5]
    e4 = (e5 @ w[5]) * d1[4]
    d[3] = (e4 @ w[4]) * d1[3]
    d[2] = (d[3] @ w[3]) * d1[2]
    e3 = (e4 @ w[4]) * normal[3]
    e2 = (e3 @ w[3]) * d1[2]
    d[1] = (e2 @ w[2]) * d1[1]
    dual = [d[n].T @ a[n - 1] for n in range(1, 7)]

    for form, expected in (("direct", direct), ("dual", dual)):
        settings = PseudoNorm.model_validate({"form": form, "scope": scope})
        for got, wanted in zip(gradients(six_layers(settings, activation=activation)), expected, strict=True):
            torch.testing.assert_close(got, wanted, rtol=0, atol=1e-12)


def test_with_one_rms_for_the_batch_the_forms_differ_by_the_pairs_rms_in_the_pairs_own_weights() -> None:
    direct, dual = (
        gradients(six_layers(PseudoNorm.model_validate({"form": form, "scope": "batch"})))
        for form in ("direct", "dual")
    )
    outputs: list[Tensor] = []
    model = six_layers()
    for module in model.modules():
        if isinstance(module, nn.Tanh):
            module.register_forward_hook(lambda _, __, y: outputs.append(y.detach()))
    model(X)
    r3, r5 = (root_mean_square(1 - outputs[n - 1] ** 2, "batch").item() for n in (3, 5))
    for one, other, ratio in zip(dual, direct, [1.0, r3, r3, r5, r5, 1.0], strict=True):
        torch.testing.assert_close(one, ratio * other, rtol=1e-12, atol=0)


@pytest.mark.parametrize("every", [1, 2, 3])
@pytest.mark.parametrize("variant", [1, 2])
def test_the_forms_agree_below_each_group_of_a_convolutional_network(variant: int, every: int) -> None:
    """Layer 1 belongs to no group of two; where it belongs to one, the forms differ there by that group's gain."""
    found = []
    for form in ("direct", "dual"):
        model = build_model(PaperCnn.model_validate({"variant": variant}), (3, 8, 8), 4, seed=0).double()
        settings = PseudoNorm.model_validate({"form": form, "every": every, "scope": "batch"})
        for method in build_methods([settings]):
            model = method.adapt(model, torch.Generator())
        functional.cross_entropy(model(normals(3, 3, 8, 8)), torch.tensor([0, 1, 2])).backward()
        layers = [m for m in model.modules() if isinstance(m, nn.Linear | nn.Conv2d)]
        found.append([m.weight.grad for m in layers])
    tops = chosen(9, every)
    for n, (dual, direct) in enumerate(zip(found[1], found[0], strict=True)):
        ratio = (dual.norm() / direct.norm()).item()
        torch.testing.assert_close(dual, ratio * direct, rtol=1e-9, atol=1e-15)
        in_a_group = any(top - every < n <= top for top in tops)
        assert (ratio < 1 - 1e-6) == in_a_group


def test_several_passes_may_go_forward_before_they_go_back() -> None:
    one, both = six_layers(PseudoNorm(form="dual")), six_layers(PseudoNorm(form="dual"))
    for x in (X, 3 * X):
        functional.cross_entropy(one(x), Y).backward()
    losses = [functional.cross_entropy(both(x), Y) for x in (X, 3 * X)]
    for loss in losses:
        loss.backward()
    for a, b in zip(one.parameters(), both.parameters(), strict=True):
        torch.testing.assert_close(a.grad, b.grad, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("form", ["direct", "dual"])
def test_gradcheck_of_a_network_passes_without_it_and_fails_with_it(form: str) -> None:
    def loss(model: nn.Module) -> bool:
        return torch.autograd.gradcheck(lambda x: functional.cross_entropy(model(x), Y), (x,), raise_exception=False)

    x = (2 * X).requires_grad_()
    model = six_layers(PseudoNorm.model_validate({"form": form}))
    assert loss(six_layers())
    assert not loss(model)
    assert loss(model.eval())


@pytest.mark.parametrize("scope", ["sample", "batch"])
def test_in_a_convolution_the_mean_runs_over_channels_and_pixels(scope: str) -> None:
    z = normals(3, 2, 4, 5).requires_grad_()
    error = normals(3, 2, 4, 5, seed=1)
    pseudo_norm(z, TANH, scope).backward(error)  # type: ignore[arg-type]
    f = 1 - torch.tanh(z.detach()) ** 2
    mean = torch.stack([(s**2).mean() for s in f]).reshape(3, 1, 1, 1) if scope == "sample" else (f**2).mean()
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
    smooth = smooth_of(kind())
    assert smooth
    saved = y if smooth.saves == "output" else z
    torch.testing.assert_close(smooth.derivative(saved).detach(), z.grad, rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize(
    "activation",
    [nn.ELU(alpha=0.5), nn.Softplus(beta=3), nn.Softplus(threshold=1), nn.GELU(approximate="tanh")],
    ids=str,
)
def test_the_settings_of_an_activation_hold_in_both_passes(activation: nn.Module) -> None:
    z = torch.linspace(-3, 3, 60, dtype=torch.float64).reshape(10, 6).requires_grad_()
    treated = PseudoNormalised(activation, "batch")
    y = treated(z)
    assert torch.equal(y, treated.eval()(z))
    (error,) = torch.autograd.grad(y.sum(), z)
    (slope,) = torch.autograd.grad(activation(z).sum(), z)
    torch.testing.assert_close(error, slope / slope.square().mean().sqrt(), rtol=1e-7, atol=0)


@pytest.mark.parametrize("strided", [False, True])
def test_a_layer_of_one_output_has_the_derivatives_own_size_as_rms(strided: bool) -> None:
    z, error = normals(6).requires_grad_(), normals(12, seed=1)
    error = error[::2] if strided else error[::2].clone()
    (found,) = torch.autograd.grad(pseudo_norm(z), z, error)
    torch.testing.assert_close(found, error, rtol=1e-12, atol=0)


@pytest.mark.parametrize("scope", ["sample", "batch"])
def test_an_empty_batch_goes_through(scope: str) -> None:
    z = torch.empty(0, 3, requires_grad=True)
    pseudo_norm(z, TANH, scope).sum().backward()  # type: ignore[arg-type]
    assert z.grad is not None
    assert z.grad.shape == (0, 3)


@SMOOTH_ACTIVATIONS
def test_gradcheck_passes_without_it_and_fails_with_it(kind: type[nn.Module]) -> None:
    z = normals(3, 5).requires_grad_()
    assert torch.autograd.gradcheck(kind(), (z,))
    assert not torch.autograd.gradcheck(PseudoNormalised(kind()), (z,), raise_exception=False)


@SMOOTH_ACTIVATIONS
def test_in_eval_mode_the_gradient_is_the_true_one(kind: type[nn.Module]) -> None:
    assert torch.autograd.gradcheck(PseudoNormalised(kind()).eval(), (normals(3, 5).requires_grad_(),))


@pytest.mark.parametrize("smooth", [TANH, SIGMOID], ids=["tanh", "sigmoid"])
@pytest.mark.parametrize("scope", ["sample", "batch"])
def test_the_gain_is_at_least_one(smooth: Smooth, scope: str) -> None:
    derivative = smooth.derivative(smooth.function(normals(20, 30) * 4))
    assert gain(derivative, scope).min() >= 1  # type: ignore[arg-type]


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


def test_a_forward_pass_of_the_dual_form_leaves_no_crossing_behind() -> None:
    """What a module kept would keep a part of the pass alive until the next one."""
    model = six_layers(PseudoNorm(form="dual"))
    model(X)
    paths = [m.path for m in model.modules() if isinstance(m, PseudoNormalised)]
    assert [p._crossing for p in paths if p] == [None, None]


def test_the_dual_form_refuses_a_model_that_reaches_the_top_of_a_group_first() -> None:
    linear, top = nn.Linear(2, 2), nn.Linear(2, 2)
    activation = PseudoNormalised(nn.Tanh(), path=FeedbackPath(top))
    with pytest.raises(
        ConfigError, match=r"did not come through the group's lowest layer .*: choose methods.pseudo_norm.form=direct"
    ):
        nn.Sequential(linear, activation)(torch.randn(3, 2))


@pytest.mark.parametrize("form", ["direct", "dual"])
def test_a_compiled_network_has_the_same_gradients(form: str) -> None:
    plain, other = (six_layers(PseudoNorm.model_validate({"form": form})) for _ in range(2))
    functional.cross_entropy(torch.compile(other, backend="aot_eager")(X), Y).backward()
    for a, b in zip(
        gradients(plain), [m.weight.grad for m in other.modules() if isinstance(m, nn.Linear)], strict=True
    ):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-14)


def test_a_network_with_it_can_be_pickled_and_copied() -> None:
    model = six_layers(PseudoNorm(form="dual"))
    pickled, copied = pickle.loads(pickle.dumps(model)), copy.deepcopy(model)
    for its_own, of_pickled, of_copied in zip(gradients(model), gradients(pickled), gradients(copied), strict=True):
        assert torch.equal(its_own, of_pickled)
        assert torch.equal(its_own, of_copied)
