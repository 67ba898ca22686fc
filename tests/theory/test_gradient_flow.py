"""The pass in NumPy against the methods in torch on the same weights, and against figures measured apart from both."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from gradscope.analysis.amplification import GAUSSIAN_SHARE
from gradscope.config import Mlp, PseudoNorm
from gradscope.methods.pseudo_norm import PseudoNormMethod, chosen
from gradscope.models import build_model
from gradscope.theory.gradient_flow import Flow, Net, flow, gains, normalised, passes, rms, shares_above_one
from gradscope.theory.nets import digit_samples, gaussian_samples, lecun_net
from gradscope.theory.pseudo_norm_effect import decades

TREATMENTS = [
    None,
    *(
        PseudoNorm(every=every, form=form, scope=scope)
        for every in (1, 2, 3)
        for form in ("direct", "dual")
        for scope in ("sample", "batch")
    ),
]


def by_autograd(net: Net, images: np.ndarray, labels: np.ndarray, treatment: PseudoNorm | None) -> Flow:
    """The same net as a module of ours, the treatment by its method, the backward pass by autograd."""
    settings = Mlp(depth=len(net.weights), width=net.weights[0].shape[0], activation=net.activation)
    model = build_model(settings, (1, 1, images.shape[1]), net.weights[-1].shape[0]).double()
    linear = [m for m in model.modules() if isinstance(m, nn.Linear)]
    with torch.no_grad():
        for layer, weight, bias in zip(linear, net.weights, net.biases, strict=True):
            layer.weight.copy_(torch.from_numpy(weight))
            layer.bias.copy_(torch.from_numpy(bias))
    if treatment:
        model = PseudoNormMethod(treatment).adapt(model, torch.Generator())
    outputs: list[torch.Tensor] = []
    for layer in linear:
        layer.register_forward_hook(lambda _, __, out: (out.retain_grad(), outputs.append(out))[0])
    loss = functional.cross_entropy(model(torch.from_numpy(images)[:, None, None]), torch.from_numpy(labels))
    loss.backward()
    return Flow(
        gradient=np.array([rms(layer.weight.grad.numpy()) for layer in linear]),
        signal=np.array([rms(out.grad.numpy()) for out in outputs]),
        activation=np.array([rms(out.detach().numpy()) for out in outputs]),
    )


@pytest.mark.parametrize("treatment", TREATMENTS, ids=str)
@pytest.mark.parametrize("activation", ["tanh", "sigmoid"])
def test_it_is_the_pass_of_the_methods(activation: str, treatment: PseudoNorm | None) -> None:
    net = lecun_net(8, 16, 12, 5, activation=activation, seed=3)
    images, labels = gaussian_samples(9, 12, 5, seed=4)
    expected = by_autograd(net, images, labels, treatment)
    found = flow(passes(net, images, labels), treatment)
    for kind in ("gradient", "signal", "activation"):
        np.testing.assert_allclose(getattr(found, kind), getattr(expected, kind), rtol=1e-12, atol=0)


def test_the_scales_are_those_of_weights_and_biases() -> None:
    net = lecun_net(4, 16, 12, 5, activation="tanh", seed=0)
    scaled = Net(weights=tuple(1.5 * w for w in net.weights), biases=tuple(0.3 * b for b in net.biases))
    samples = gaussian_samples(9, 12, 5, seed=4)
    found = flow(passes(net, *samples, 1.5, 0.3), PseudoNorm())
    # dC/dW is that of the scaled weight: the errors and the inputs are the same
    np.testing.assert_allclose(found.gradient, flow(passes(scaled, *samples), PseudoNorm()).gradient, rtol=1e-12)


def test_the_layers_chosen_are_those_of_the_method() -> None:
    assert all(normalised(n, every) == chosen(n, every) for n in range(12) for every in range(1, 6))


@pytest.mark.parametrize(
    ("depth", "weight_scale", "bias_scale", "plain", "every_other", "every_layer"),
    [
        (10, 1.0, 0.0, 0.29, 0.47, 1.0),
        (10, 1.0, 0.5, 0.063, 0.20, 0.94),
        (30, 1.0, 0.5, 3.4e-4, 1.7e-2, 1.2),
        (50, 1.5, 1.0, 5.8e-4, 3.4e2, 3.6e8),
        (50, 0.8, 0.0, 9.4e-6, 1.2e-5, 1.8e-5),
    ],
)
def test_the_ratio_of_errors_is_what_another_program_measured(
    depth: int, weight_scale: float, bias_scale: float, plain: float, every_other: float, every_layer: float
) -> None:
    """Error at the first tanh over that at the last, width 256, once measured with autograd and other random draws."""
    net = lecun_net(depth + 1, 256, 256, 10, activation="tanh", seed=0)
    found = passes(net, *gaussian_samples(32, 256, 10, seed=1), weight_scale, bias_scale)
    measured = [decades(flow(found, t)) for t in (None, PseudoNorm(every=2), PseudoNorm(every=1))]
    assert measured == pytest.approx(np.log10([plain, every_other, every_layer]), abs=0.25)


def test_the_gain_is_one_over_the_derivatives_rms_and_at_least_one() -> None:
    net = Net(weights=(np.eye(2), np.eye(2)), biases=(np.zeros(2), np.zeros(2)))
    found = passes(net, np.array([[0.0, np.arctanh(0.6)]]), np.array([0]))
    # f' = 1 and 1 - 0.36
    assert gains(found)[0] == pytest.approx(1 / np.sqrt((1 + 0.64**2) / 2))
    assert shares_above_one(found)[0] == 0.5


def test_a_net_knows_nothing_of_the_samples_of_its_seed() -> None:
    """A picture that is a row of the weights would saturate its unit: |x|^2 / sqrt(in) in place of N(0, 1)."""
    images, _ = gaussian_samples(32, 64, 10, seed=0)
    net = lecun_net(3, 64, 64, 10, activation="tanh", seed=0)
    assert np.abs(images @ net.weights[0].T).max() < 5


@pytest.mark.parametrize("activation", ["tanh", "sigmoid"])
def test_unsaturated_derivatives_lie_above_their_rms_in_68_percent_and_saturated_ones_in_few(activation) -> None:
    """Near zero f' = c (1 - b z^2): above its RMS where z^2 is below its mean, which 68.3 % of a Gaussian z are."""
    net = lecun_net(3, 400, 400, 10, activation=activation, seed=0)
    samples = gaussian_samples(50, 400, 10, seed=0)
    small, large = (shares_above_one(passes(net, *samples, scale, 0.0))[0] for scale in (0.01, 10.0))
    assert small == pytest.approx(1 - GAUSSIAN_SHARE, abs=0.01)
    assert large < GAUSSIAN_SHARE


def test_a_hundred_exploding_layers_are_a_result_and_no_error() -> None:
    net = lecun_net(100, 16, 16, 4, activation="tanh", seed=0)
    found = passes(net, *gaussian_samples(4, 16, 4, seed=0), 1000.0, 0.0)
    treated = flow(found, PseudoNorm(every=1))
    assert decades(treated) > 100 or not np.isfinite(decades(treated))


def test_digits_are_normalised_and_drawn_by_the_seed() -> None:
    images, labels = digit_samples(500, seed=0)
    assert images.shape == (500, 64)
    assert abs(images.mean()) < 0.05
    assert images.std() == pytest.approx(1, abs=0.05)
    assert sorted(set(labels)) == list(range(10))
    assert (digit_samples(5, seed=1)[1] != digit_samples(5, seed=2)[1]).any()
