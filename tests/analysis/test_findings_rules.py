"""Each rule finds what is planted, says where and since when, and finds nothing in a healthy run."""

from dataclasses import replace

import numpy as np
import pytest
from planted import CLASSES, LAYERS, STEPS, at, decaying, found, healthy, names, never_learning, scaled, with_curves

from gradscope.analysis.findings import (
    Severity,
    Tables,
    Thresholds,
    diagnose,
    is_healthy,
    verdict,
)
from gradscope.analysis.findings.spell import spell
from gradscope.analysis.findings.tables import Curve
from gradscope.errors import ConfigError
from gradscope.presets import PRESETS
from gradscope.records import Kind, NonFinite, Status

SHAPE = (len(STEPS), LAYERS)


def test_nothing_is_found_in_a_healthy_run() -> None:
    assert names(healthy()) == set()
    assert diagnose(healthy()) == []
    assert verdict([], healthy()) == "Healthy as far as recorded, up to step 199."


def test_nothing_is_found_in_a_healthy_run_at_any_step_of_it() -> None:
    tables = healthy()
    assert {step: names(tables.until(step)) for step in tables.steps if names(tables.until(step))} == {}


def test_nothing_is_found_where_nothing_is_recorded() -> None:
    empty = replace(healthy(), grids={}, curves={}, names=(), shapes=(), types=())
    assert diagnose(empty) == []
    assert verdict([], empty) == "Nothing is recorded yet."


def test_a_vanishing_gradient_is_told_with_its_layers_and_factor() -> None:
    tables = scaled(scaled(healthy(), Kind.SIGNAL, decaying(0.2)), Kind.UPDATE, decaying(0.2))
    seen = found(tables, "vanishing_gradient")
    assert "from fc7 down to fc1" in seen.text
    assert "\N{MULTIPLICATION SIGN}0.2" in seen.text
    assert (seen.severity, seen.since, seen.until) == (Severity.CRITICAL, 0, None)
    assert seen.evidence.kind is Kind.SIGNAL
    assert seen.confidence > 0.9


def test_a_gradient_that_vanishes_while_adam_moves_all_layers_alike_is_a_note() -> None:
    seen = found(scaled(healthy(), Kind.SIGNAL, decaying(0.2)), "vanishing_gradient")
    assert seen.severity is Severity.NOTE
    assert "makes up for it" in seen.text


def test_without_signals_gradients_tell_that_it_vanishes() -> None:
    tables = scaled(healthy(), Kind.GRADIENT, decaying(0.2))
    only = replace(tables, grids={Kind.GRADIENT: tables.grids[Kind.GRADIENT]})
    assert found(only, "vanishing_gradient").evidence.kind is Kind.GRADIENT


def test_what_vanished_for_half_of_the_run_and_is_over_is_still_told() -> None:
    factors = np.where(STEPS[:, None] < 100, decaying(0.2), 1.0)
    seen = found(scaled(scaled(healthy(), Kind.SIGNAL, factors), Kind.UPDATE, factors), "vanishing_gradient")
    assert (seen.since, seen.until, seen.severity) == (0, 90, Severity.WARNING)


def test_what_vanished_for_a_moment_is_not() -> None:
    factors = np.where(STEPS[:, None] < 8, decaying(0.2), 1.0)
    assert "vanishing_gradient" not in names(scaled(healthy(), Kind.SIGNAL, factors))


def test_a_shallow_network_has_no_depth_to_vanish_over() -> None:
    tables = scaled(healthy(layers=4), Kind.SIGNAL, decaying(0.01, 4))
    assert "vanishing_gradient" not in names(tables)


def test_an_exploding_gradient_is_told_where_the_first_layers_cannot_bear_it() -> None:
    growing = scaled(healthy(), Kind.SIGNAL, decaying(2.0))
    assert "exploding_gradient" not in names(growing), "the steps are small all the same"
    seen = found(scaled(growing, Kind.UPDATE, 10 * decaying(2.0)), "exploding_gradient")
    assert "from fc5 down to fc1" in seen.text
    assert seen.severity is Severity.CRITICAL


def test_a_forward_signal_that_dies_is_told_as_long_as_nothing_is_learned_although_biases_hide_it() -> None:
    fading = np.where(STEPS[:, None] < 4, 0.3 ** np.arange(LAYERS), 1.0)
    seen = found(scaled(never_learning(healthy()), Kind.ACTIVATION, fading), "dying_signal")
    assert (seen.since, seen.until) == (0, None)
    assert "\N{MULTIPLICATION SIGN}0.3" in seen.text
    assert "dying_signal" not in names(scaled(healthy(), Kind.ACTIVATION, fading)), "it has learned"


def test_a_forward_signal_that_dies_over_six_layers_is_told() -> None:
    shallow = scaled(healthy(layers=7), Kind.ACTIVATION, 0.3 ** np.arange(7))
    assert "10⁻² of what the first do" in found(shallow, "dying_signal").text
    assert "dying_signal" not in names(scaled(healthy(layers=7), Kind.ACTIVATION, 0.4 ** np.arange(7)))


def test_an_output_that_is_huge_from_the_start_is_an_exploding_forward_signal() -> None:
    factors = np.ones(LAYERS)
    factors[-1] = 500
    seen = found(scaled(healthy(), Kind.ACTIVATION, factors), "exploding_signal")
    assert "fc10 puts out 5" in seen.text
    assert seen.layers == (9,)


@pytest.mark.parametrize(("column", "name"), [("saturated", "saturated_units"), ("dead", "dead_units")])
def test_units_at_their_ends_are_told_with_the_worst_layer(column: str, name: str) -> None:
    tables = at(at(healthy(), Kind.ACTIVATION, column, 0.9, 3), Kind.ACTIVATION, column, 1.0, 5)
    seen = found(tables, name)
    assert seen.layers == (3, 5)
    assert seen.evidence.layer == 5
    assert seen.text.startswith("100.0 % of the")
    assert "fc4, fc6" in seen.text
    assert seen.severity is Severity.CRITICAL


def test_weights_that_do_not_move_are_told_with_how_little() -> None:
    seen = found(scaled(healthy(), Kind.UPDATE, np.full(LAYERS, 1e-4)), "no_update")
    assert "fc1 to fc10 (10 layers) by 1.6" in seen.text
    assert "10⁻⁷" in seen.text


def test_small_updates_are_right_where_the_schedule_or_the_loss_has_come_to_rest() -> None:
    late = np.where(STEPS[:, None] < 100, 1.0, 1e-4)
    rate = np.where(np.arange(200) < 100, 0.05, 1e-6)
    still = scaled(healthy(), Kind.UPDATE, late)
    assert "no_update" in names(still)
    assert "no_update" not in names(with_curves(still, learning_rate=rate))
    assert "no_update" not in names(with_curves(still, train_loss=2.3 * np.exp(-np.arange(200) / 15)))


def test_steps_that_write_over_the_weights_are_too_large() -> None:
    seen = found(scaled(healthy(), Kind.UPDATE, np.full(LAYERS, 200.0)), "large_update")
    assert "each changes the weights by 0.3" in seen.text
    grown = np.where(STEPS[:, None] < 8, 1.0, 10.0)
    assert "grown to 9." in found(scaled(healthy(), Kind.WEIGHT, grown * np.ones(LAYERS)), "large_update").text


def test_steps_that_were_too_large_are_told_although_nothing_is_known_of_those_after_them() -> None:
    steps = np.array([0.7, 80.0, 1e5, *[np.nan] * (len(STEPS) - 3)])[:, None] * np.ones(LAYERS)
    lost = scaled(scaled(healthy(), Kind.UPDATE, 600 * steps), Kind.WEIGHT, np.where(np.isnan(steps), steps, 1.0))
    seen = found(lost, "large_update")
    assert (seen.since, seen.until) == (0, None)


def test_a_layer_cut_off_from_the_loss_is_told_and_a_frozen_one_is_a_note() -> None:
    cut = at(healthy(), Kind.GRADIENT, "n", 0.0, 0, 1)
    seen = found(cut, "no_gradient")
    assert seen.text == "No gradient in fc1, fc2: it is cut off from the loss, so that nothing is learned there."
    frozen = replace(cut, trainable=np.arange(LAYERS) > 1)
    assert "no_gradient" not in names(frozen)
    assert found(frozen, "frozen").severity is Severity.NOTE
    assert is_healthy(diagnose(frozen))


def test_a_gradient_of_exact_zeros_is_told_as_such() -> None:
    seen = found(at(healthy(), Kind.GRADIENT, "zeros", 1.0, 4), "no_gradient")
    assert "exactly zero at every recorded step" in seen.text


def test_the_first_value_that_is_not_finite_is_told_with_its_layer() -> None:
    activations, gradients = np.zeros(SHAPE), np.zeros(SHAPE)
    activations[10:, 4:] = 3
    gradients[9:, :] = 3
    tables = scaled(healthy(), Kind.ACTIVATION, np.ones(LAYERS), nonfinite=activations)
    seen = found(tables, "nonfinite")
    assert seen.text == "The first value that is not finite is in the activation of fc5 at step 60."
    assert seen.layers == (4,)
    earlier = scaled(tables, Kind.GRADIENT, np.ones(LAYERS), nonfinite=gradients)
    assert "the gradient of fc10 at step 50" in found(earlier, "nonfinite").text, "backward, it began at the output"


def test_what_the_run_itself_says_of_its_first_bad_value_counts() -> None:
    told = NonFinite(step=7, layer="fc3", kind="weight")
    seen = found(replace(healthy(), nonfinite=told), "nonfinite")
    assert (seen.layers, seen.since) == ((2,), 7)
    assert "nonfinite" not in names(replace(healthy(), nonfinite=told).until(6))


def test_a_loss_that_is_not_finite_is_told_where_no_layer_is_known() -> None:
    loss = np.where(np.arange(200) < 150, 1.0, np.nan)
    seen = found(with_curves(healthy(), train_loss=loss), "nonfinite")
    assert seen.text == "The first value that is not finite is in the loss at step 150."
    assert found(replace(healthy(), status=Status.DIVERGED), "nonfinite").since == 199


def test_skipped_steps_are_told_beyond_the_warm_up_of_the_scale() -> None:
    usual = np.array([0, 0, 0, 1, 2, 150])
    assert "amp_overflow" not in names(replace(healthy(), skipped=usual))
    storm = np.arange(30, 200, 10)
    assert "8.6 % of the steps were not taken" in found(replace(healthy(), skipped=storm), "amp_overflow").text
    stuck = np.zeros(30, dtype=np.int64)
    assert "tried 30 times" in found(replace(healthy(), skipped=stuck), "amp_overflow").text


def held_at(tables: Tables, norm: float) -> Tables:
    gradient = tables.grids[Kind.GRADIENT]
    now = np.sqrt((gradient.n * gradient.rms**2).sum(axis=1))
    return scaled(tables, Kind.GRADIENT, (norm / now)[:, None])


def test_a_norm_that_never_changes_is_held_by_clipping() -> None:
    seen = found(held_at(healthy(), 1.0), "clipping")
    assert seen.text == "Clipping is always active: the gradient's norm is 1.00 at every recorded step."
    assert seen.severity is Severity.NOTE
    small = scaled(held_at(never_learning(healthy()), 1e-3), Kind.UPDATE, np.full(LAYERS, 0.01))
    assert found(small, "clipping").severity is Severity.WARNING


def test_a_norm_that_never_changes_is_held_by_something_else_where_nothing_clips() -> None:
    held = held_at(healthy(), 1.0)
    presets = {"relu": False, "tanh-pn": True}  # the second one clips
    for preset, is_told in presets.items():
        config = PRESETS[preset].config.model_dump(mode="json")
        assert ("clipping" in names(replace(held, config=config))) is is_told
    raw = replace(held.grids[Kind.GRADIENT], rms=1.5 * held.grids[Kind.GRADIENT].rms)
    seldom = replace(raw, n=np.where(np.arange(len(STEPS))[:, None] % 3, 0, raw.n))
    assert "clipping" not in names(replace(held, grids={**held.grids, Kind.RAW_GRADIENT: seldom})), "it is on record"


def test_a_gradient_that_is_cut_at_every_step_is_seen_from_the_raw_one() -> None:
    tables = never_learning(healthy())
    raw = replace(tables.grids[Kind.GRADIENT], rms=500 * tables.grids[Kind.GRADIENT].rms)
    cut = replace(tables, grids={**tables.grids, Kind.RAW_GRADIENT: raw})
    assert "norm is cut to 0.00200 of what it was at every recorded step" in found(cut, "clipping").text
    raised = replace(raw, rms=20 * tables.grids[Kind.GRADIENT].rms)  # to a twentieth
    small = scaled(tables, Kind.UPDATE, np.full(LAYERS, 0.15))
    little = replace(small, grids={**small.grids, Kind.RAW_GRADIENT: raised})
    assert found(little, "clipping").severity is Severity.WARNING, "steps are small, and nothing is learned"
    learns = with_curves(little, train_loss=np.log(CLASSES) * (1 - 0.003 * np.arange(200)))
    assert found(learns, "clipping").severity is Severity.NOTE
    half = replace(raw, rms=tables.grids[Kind.GRADIENT].rms * 2)
    tiny = scaled(tables, Kind.UPDATE, np.full(LAYERS, 0.02))
    blameless = replace(tiny, grids={**tiny.grids, Kind.RAW_GRADIENT: half})
    assert found(blameless, "clipping").severity is Severity.NOTE, "twice as large, steps would still be small"
    seldom = replace(raw, rms=np.where(np.arange(len(STEPS))[:, None] % 3, tables.grids[Kind.GRADIENT].rms, raw.rms))
    assert "clipping" not in names(replace(tables, grids={**tables.grids, Kind.RAW_GRADIENT: seldom}))


def test_a_gradient_that_vanished_while_nothing_was_learned_is_still_the_cause_when_it_has_come_back() -> None:
    early = np.where(STEPS[:, None] < 60, decaying(0.2), 1.0)
    slow = scaled(scaled(never_learning(healthy()), Kind.SIGNAL, early), Kind.UPDATE, 0.2 * early)
    seen = found(slow, "vanishing_gradient")
    assert (seen.since, seen.until) == (0, None)
    assert "vanishing_gradient" in {f.name for f in diagnose(slow)}
    learned = scaled(scaled(healthy(), Kind.SIGNAL, early), Kind.UPDATE, 0.2 * early)
    assert found(learned, "vanishing_gradient").until is not None


@pytest.mark.parametrize(("until", "is_told"), [(30, True), (8, False)])
def test_what_the_first_steps_made_and_held_for_a_time_is_the_cause_as_if_it_began_at_once(
    until: int, is_told: bool
) -> None:
    early = np.where((STEPS[:, None] >= 4) & (STEPS[:, None] <= until), decaying(0.2), 1.0)
    slow = scaled(scaled(never_learning(healthy()), Kind.SIGNAL, early), Kind.UPDATE, 0.2 * early)
    assert ("vanishing_gradient" in names(slow)) is is_told


def test_pseudo_normalisation_that_amplifies_is_named_and_matters_where_it_tears_the_first_layers() -> None:
    gains = Curve(steps=STEPS, values=np.full(len(STEPS), 3.0))
    growing = scaled(replace(healthy(), gains=gains), Kind.SIGNAL, decaying(1.5))
    seen = found(growing, "amplification")
    assert seen.severity is Severity.NOTE
    assert "amplifies (by 10³ in all)" in seen.text
    torn = scaled(growing, Kind.UPDATE, 30 * decaying(1.5))
    assert found(torn, "amplification").severity is Severity.WARNING
    grown = np.ones(SHAPE)
    grown[-1, 0] = 4  # in small steps, each of them bearable
    assert found(scaled(growing, Kind.WEIGHT, grown), "amplification").severity is Severity.WARNING
    from_zero = np.ones(SHAPE)
    from_zero[0, 3] = 0
    assert found(scaled(growing, Kind.WEIGHT, from_zero), "amplification").severity is Severity.NOTE
    assert "amplification" not in names(scaled(healthy(), Kind.SIGNAL, decaying(1.5)))
    by_settings = replace(healthy(), config={"methods": [{"name": "pseudo_norm", "every": 2}]})
    assert found(scaled(by_settings, Kind.SIGNAL, decaying(1.5)), "amplification")


def test_an_amplified_error_that_soon_saturates_every_layer_is_named_by_what_was_seen_of_it() -> None:
    gains = Curve(steps=STEPS, values=np.full(len(STEPS), 3.0))
    soon = np.where(STEPS[:, None] < 8, 30 * decaying(1.5), np.nan)
    torn = scaled(scaled(replace(healthy(), gains=gains), Kind.SIGNAL, soon), Kind.UPDATE, 30 * decaying(1.5))
    seen = found(torn, "amplification")
    assert (seen.since, seen.until, seen.severity) == (0, None, Severity.WARNING)


def test_steps_too_large_are_the_cause_of_what_explodes_with_them_after_the_first_step() -> None:
    steps = np.where(STEPS > 0, 4000.0, 1.0)[:, None] * np.ones(LAYERS)
    large = scaled(never_learning(healthy()), Kind.UPDATE, steps)
    torn = scaled(large, Kind.ACTIVATION, np.where(STEPS > 0, 1e3, 1.0)[:, None] * np.ones(LAYERS))
    assert {"large_update", "exploding_signal"} <= names(torn)
    assert next(f.name for f in diagnose(torn)) == "large_update"
    assert "exploding_signal" not in {f.name for f in diagnose(torn)}


def test_thresholds_can_be_set_and_unknown_ones_are_refused() -> None:
    tables = scaled(scaled(healthy(), Kind.SIGNAL, decaying(0.5)), Kind.UPDATE, decaying(0.5))
    strict = Thresholds().changed(vanishing_decades=1.0)
    assert found(tables, "vanishing_gradient", strict)
    loose = Thresholds().changed(vanishing_decades=8.0)
    assert "vanishing_gradient" not in {f.name for f in diagnose(tables, loose)}
    with pytest.raises(ConfigError, match="threshold 'vanishing' is unknown; use one of vanishing_decades, "):
        Thresholds().changed(vanishing=1.0)


def test_a_single_record_without_it_does_not_end_a_spell() -> None:
    steps = np.arange(0, 200, 10)
    held = (steps < 100) & (steps != 50)
    found_spell = spell(steps, held, horizon=200)
    assert found_spell is not None
    assert (found_spell.since, found_spell.until) == (0, 90)
    assert spell(steps, steps < 30, horizon=200) is None
    assert spell(steps, steps >= 150, horizon=200).until is None


def test_records_that_say_nothing_neither_make_nor_end_a_spell() -> None:
    steps, held, known = np.arange(0, 200, 10), np.arange(0, 200, 10) >= 30, np.arange(20) < 12
    found_spell = spell(steps, held & known, 200, known)
    assert found_spell is not None
    assert (found_spell.since, found_spell.until, found_spell.first, found_spell.last) == (30, None, 3, 11)
    later = spell(steps, held, 200, np.arange(20) >= 10)
    assert later is not None
    assert (later.since, later.first, later.last) == (100, 10, 19)
    assert spell(steps, held, 200, np.zeros(20, dtype=bool)) is None


def test_the_sum_of_many_exits_losses_is_not_taken_for_the_loss_of_a_network_that_knows_nothing() -> None:
    tables = healthy()
    falling = tables.curves["train_loss"].values
    sums = {"train_loss": falling + 9 * np.log(10), "loss/exit 9": np.full(200, 2.3), "loss/exit 10": falling}
    assert not diagnose(with_curves(tables, **sums))
    assert diagnose(with_curves(tables, **{**sums, "loss/exit 10": np.full(200, 2.3)}))
