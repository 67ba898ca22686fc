"""Raw inputs, an activation too many, a loss that does not fit: told from the first steps."""

from dataclasses import replace

import numpy as np
import pytest
from planted import BATCH, CLASSES, LAYERS, at, found, healthy, names, never_learning, scaled, with_curves

from gradscope.analysis.findings import Tables, diagnose
from gradscope.presets import PRESETS
from gradscope.records import Kind


def test_large_biases_are_no_large_inputs() -> None:
    factors = np.ones(LAYERS)
    factors[0] = 80
    alike = scaled(healthy(), Kind.ACTIVATION, factors, mean_abs=80 * healthy().grids[Kind.ACTIVATION].rms)
    assert "input_scale" not in names(alike)


def test_a_loss_that_begins_at_minus_ln_k_is_told_at_once() -> None:
    tables = with_curves(healthy(), train_loss=-np.log(CLASSES) - np.arange(200.0))
    assert found(tables.until(0), "wrong_loss").since == 0


def one_output_alone(tables: Tables) -> Tables:
    """The gradient of a likelihood without a softmax: -1/B at the output of the right class, zero at the others."""
    return at(at(tables, Kind.SIGNAL, "zeros", 0.9, 9), Kind.SIGNAL, "rms", 1 / (BATCH * np.sqrt(CLASSES)), 9)


@pytest.mark.parametrize("first", [0.1, 2.3])
def test_a_loss_that_looks_at_one_output_alone_is_told_at_once(first: float) -> None:
    tables = with_curves(one_output_alone(healthy()), train_loss=first * np.ones(200))
    assert "the right class alone" in found(tables.until(0), "wrong_loss").text
    assert "output_activation" not in names(tables)
    huge = at(tables, Kind.ACTIVATION, "rms", 1e6, 9)
    assert "wrong_loss" not in names(huge), "a softmax of huge logits is exactly one and zero, too"


@pytest.mark.parametrize(
    ("accuracies", "config", "is_told"), [(True, {}, True), (False, {}, False), (False, None, True)]
)
def test_a_loss_below_zero_before_an_accuracy_is_known_is_wrong_where_the_settings_say_what_is_learned(
    accuracies: bool, config: dict[str, object] | None, is_told: bool
) -> None:
    tables = with_curves(healthy(), train_loss=-5 - np.arange(200.0))
    curves = {k: v for k, v in tables.curves.items() if accuracies or "accuracy" not in k}
    known = PRESETS["relu"].config.model_dump(mode="json") if config is None else config
    assert ("wrong_loss" in names(replace(tables, curves=curves, config=known))) is is_told


@pytest.mark.parametrize(("size", "is_told"), [(80.0, True), (3.0, False), (0.3, False), (1e-3, True)])
def test_the_size_of_the_inputs_is_told_from_the_first_layer(size: float, is_told: bool) -> None:
    factors = np.ones(LAYERS)
    factors[0] = size
    assert ("input_scale" in names(scaled(healthy(), Kind.ACTIVATION, factors))) is is_told


def test_a_second_softmax_is_told_from_the_gradient_that_it_shrinks() -> None:
    factors = np.ones(LAYERS)
    factors[-1] = 1 / CLASSES
    seen = found(scaled(healthy(), Kind.SIGNAL, factors), "output_activation")
    assert "0.100 of that of a cross entropy on logits" in seen.text
    assert seen.layers == (9,)


def test_a_rectified_output_is_told_from_the_zeros_of_its_gradient() -> None:
    assert "48.0 % of the gradient" in found(at(healthy(), Kind.SIGNAL, "zeros", 0.48, 9), "output_activation").text


@pytest.mark.parametrize(("start", "is_told"), [(1.4, True), (2.2, False), (0.5, False)])
def test_a_rectified_output_is_told_although_its_logits_are_somewhat_large(start: float, is_told: bool) -> None:
    rectified = at(healthy(), Kind.SIGNAL, "zeros", 0.48, 9)
    loss = start * np.log(CLASSES) * np.exp(-np.arange(200) / 60)
    assert ("output_activation" in names(with_curves(rectified, train_loss=loss))) is is_told


def test_what_stands_still_behind_an_output_activation_is_its_doing() -> None:
    rectified = at(never_learning(healthy()), Kind.SIGNAL, "zeros", 0.9, 9)
    still = scaled(rectified, Kind.UPDATE, np.full(LAYERS, 1e-4))
    assert {"no_update", "plateau"} <= names(still)
    assert {f.name for f in diagnose(still)} == {"output_activation"}


def test_an_output_says_nothing_of_a_loss_that_is_no_cross_entropy() -> None:
    factors = np.ones(LAYERS)
    factors[-1] = 1 / CLASSES
    regression = with_curves(scaled(healthy(), Kind.SIGNAL, factors), train_loss=np.exp(-np.arange(200) / 60) * 0.1)
    assert "output_activation" not in names(regression)


def test_a_cross_entropy_below_zero_is_a_wrong_loss() -> None:
    seen = found(with_curves(healthy(), train_loss=-np.arange(200.0)), "wrong_loss")
    assert "below zero (-199)" in seen.text
    without_accuracy = {k: v for k, v in healthy().curves.items() if "accuracy" not in k}
    likelihood = replace(with_curves(healthy(), train_loss=-np.arange(200.0)), curves=without_accuracy)
    assert "wrong_loss" not in names(likelihood), "a likelihood may be negative"


def test_the_batch_of_the_planted_tables_is_what_the_output_rule_reads() -> None:
    grid = healthy().grids[Kind.ACTIVATION]
    assert grid.n[0, -1] / CLASSES == BATCH
