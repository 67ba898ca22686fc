import numpy as np
import pytest

from gradscope.config import PseudoNorm
from gradscope.theory.gradient_flow import flow, passes
from gradscope.theory.nets import gaussian_samples, lecun_net
from gradscope.theory.pseudo_norm_effect import (
    Decay,
    Effect,
    decade_map,
    decades,
    decades_in_derivatives,
    effect,
    plain_sentence,
    treated_sentence,
)

NAN = float("nan")


@pytest.mark.parametrize(
    ("plain", "treated", "expected"),
    [
        (-0.5, -0.2, Effect.NOTHING_TO_CURE),
        (-0.5, 1.2, Effect.EXPLODES),
        (-6.0, -0.3, Effect.CURES),
        (-6.0, -3.0, Effect.EASES),
        (-6.0, -5.5, Effect.DOES_NOTHING),
        (-6.0, 2.0, Effect.EXPLODES),
        (-6.0, NAN, Effect.EXPLODES),
        (-6.0, float("inf"), Effect.EXPLODES),
        (-6.0, float("-inf"), Effect.DOES_NOTHING),
        (2.0, 9.0, Effect.WORSENS),
    ],
)
def test_effects(plain: float, treated: float, expected: Effect) -> None:
    assert effect(Decay(plain=plain, treated=treated, derivatives=-1.0)) is expected


def measured(depth: int, weight_scale: float, bias_scale: float, every: int) -> Decay:
    net = lecun_net(depth, 64, 64, 10, activation="tanh", seed=0)
    found = passes(net, *gaussian_samples(16, 64, 10, seed=1), weight_scale, bias_scale)
    treated = decades(flow(found, PseudoNorm(every=every)))
    return Decay(plain=decades(flow(found)), treated=treated, derivatives=decades_in_derivatives(found))


@pytest.mark.parametrize(
    ("weight_scale", "bias_scale", "every_second", "every_layer"),
    [
        (1.0, 0.0, Effect.NOTHING_TO_CURE, Effect.NOTHING_TO_CURE),
        (1.0, 0.5, Effect.EASES, Effect.CURES),
        (1.5, 1.0, Effect.EXPLODES, Effect.EXPLODES),
        (0.8, 0.0, Effect.DOES_NOTHING, Effect.DOES_NOTHING),
    ],
)
def test_where_it_cures_does_nothing_and_explodes(
    weight_scale: float, bias_scale: float, every_second: Effect, every_layer: Effect
) -> None:
    assert effect(measured(50, weight_scale, bias_scale, 2)) is every_second
    assert effect(measured(50, weight_scale, bias_scale, 1)) is every_layer


def test_normalising_every_layer_leaves_what_the_weights_take() -> None:
    decay = measured(50, 0.9, 0.4, 1)
    assert decay.treated == pytest.approx(decay.plain - decay.derivatives, abs=0.5)


def test_the_sentences_have_the_numbers() -> None:
    decay = Decay(plain=-6.24, treated=-3.4, derivatives=-5.9)
    assert plain_sentence(decay) == (
        "Plain, the signal loses 6.2 decades on its way from the last hidden layer to the first; "
        "the derivatives alone take 5.9."
    )
    assert treated_sentence(decay) == "2.8 decades come back; it still vanishes."
    assert "grows by 2.0 decades" in plain_sentence(Decay(plain=2.0, treated=3.0, derivatives=-1.0))
    assert "within a factor of ten" in plain_sentence(Decay(plain=-0.2, treated=3.0, derivatives=-1.0))


def test_a_cell_of_the_map_is_the_net_of_those_scales() -> None:
    net = lecun_net(12, 16, 16, 5, activation="tanh", seed=0)
    samples = gaussian_samples(6, 16, 5, seed=1)
    treatments = [None, PseudoNorm(), PseudoNorm(every=1, form="dual")]
    found = decade_map(net, samples, [0.8, 1.5], [0.0, 0.3, 1.0], treatments)
    assert found.shape == (3, 2, 3)
    for i, s in enumerate((0.8, 1.5)):
        for j, t in enumerate((0.0, 0.3, 1.0)):
            one = passes(net, *samples, s, t)
            expected = [decades(flow(one, treatment)) for treatment in treatments]
            np.testing.assert_allclose(found[:, i, j], expected, rtol=1e-9)
