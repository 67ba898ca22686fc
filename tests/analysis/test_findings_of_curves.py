"""What is read from the curves alone: a loss that stays, creeps, swings, or is learned by heart."""

from dataclasses import replace

import numpy as np
import pytest
from planted import CLASSES, LAYERS, STEPS, curve, healthy, never_learning, scaled, with_curves

from gradscope.analysis.findings import Finding, Severity, Tables, Thresholds, every_finding
from gradscope.analysis.findings.learning import has_learned, start_level
from gradscope.analysis.findings.pairs import TermPair
from gradscope.records import Kind


def found(tables: Tables, name: str) -> Finding:
    """The finding of that name, by the rules alone."""
    return next(f for f in every_finding(tables) if f.name == name)


def names(tables: Tables) -> set[str]:
    return {f.name for f in every_finding(tables)}


def test_a_loss_that_never_left_its_start_is_a_plateau_after_a_third_of_the_training() -> None:
    seen = found(never_learning(healthy()), "plateau")
    assert "after 200 steps the loss is 2.3" in seen.text
    assert "plateau" not in names(never_learning(healthy()).until(40))


def test_a_plateau_may_yet_be_left_before_half_of_the_training() -> None:
    assert found(never_learning(healthy()).until(80), "plateau").severity is Severity.NOTE
    assert found(never_learning(healthy()), "plateau").severity is Severity.CRITICAL


def test_a_bad_start_that_comes_down_to_chance_is_still_a_plateau() -> None:
    loss = np.log(CLASSES) + 5 * np.exp(-np.arange(200) / 10)
    assert found(with_curves(healthy(), train_loss=loss), "plateau")


def test_a_loss_that_creeps_with_tiny_steps_converges_too_slowly() -> None:
    creeping = with_curves(healthy(), train_loss=np.log(CLASSES) * (1 - 0.0005 * np.arange(200)))
    seen = found(scaled(creeping, Kind.UPDATE, np.full(LAYERS, 0.05)), "slow_convergence")
    assert "the loss has fallen by 9." in seen.text
    assert "slow_convergence" not in names(creeping), "the steps are as usual"


def test_a_loss_that_still_falls_at_tiny_steps_with_most_of_it_left_converges_too_slowly() -> None:
    steadily = with_curves(healthy(), train_loss=np.log(CLASSES) * (1 - 0.0022 * np.arange(200)))
    seen = found(scaled(steadily, Kind.UPDATE, np.full(LAYERS, 0.2)), "slow_convergence")
    assert "the loss has fallen by 4" in seen.text
    resting = with_curves(healthy(), train_loss=np.log(CLASSES) * np.maximum(1 - 0.01 * np.arange(200), 0.56))
    assert "slow_convergence" not in names(scaled(resting, Kind.UPDATE, np.full(LAYERS, 0.2))), "it falls no more"
    assert "slow_convergence" not in names(scaled(healthy(), Kind.UPDATE, np.full(LAYERS, 0.2))), "little is left"


def test_labels_that_are_learned_by_heart_a_little_and_hold_for_no_other_picture_are_a_plateau() -> None:
    guessing = {"val_accuracy": curve(np.full(10, 0.11), 20), "val_loss": curve(np.linspace(2.31, 2.5, 10), 20)}
    by_heart = with_curves(healthy(), train_loss=np.log(CLASSES) * (1 - 0.0007 * np.arange(200)))
    seen = found(replace(by_heart, curves={**by_heart.curves, **guessing}), "plateau")
    assert seen.text == (
        "Nothing is learned that holds for other pictures: after 200 steps the validation accuracy is 11.0 %, "
        "that of a guess."
    )
    better = {**guessing, "val_accuracy": curve(np.full(10, 0.25), 20)}
    assert "plateau" not in names(replace(by_heart, curves={**by_heart.curves, **better}))
    surer = {**guessing, "val_loss": curve(np.linspace(2.3, 2.1, 10), 20)}
    assert "plateau" not in names(replace(by_heart, curves={**by_heart.curves, **surer})), "the loss knows something"


def test_a_sum_of_terms_that_falls_from_a_bad_start_while_all_accuracies_are_guesses_has_learned_nothing() -> None:
    apart = np.full((len(STEPS), LAYERS), 0.5)
    pair = TermPair(term="label", other="hint", steps=STEPS, cosine=apart, balance=apart)
    falling = with_curves(healthy(), train_loss=3.9 + 3 * np.exp(-np.arange(200) / 5))
    falling = replace(falling, terms=(pair,))
    assert has_learned(falling, Thresholds())
    guess = {name: curve(np.full(10, 0.1), 20) for name in ("train_accuracy", "val_accuracy")}
    guess["val_loss"] = curve(np.full(10, 2.31), 20)
    assert not has_learned(replace(falling, curves={**falling.curves, **guess}), Thresholds())


def test_a_loss_that_goes_up_again_and_again_swings() -> None:
    step = np.arange(200)
    loss = np.log(CLASSES) * (0.8 + 0.4 * np.sin(step / 6))
    assert "it rose" in found(with_curves(healthy(), train_loss=loss), "oscillating_loss").text


def test_swings_of_a_loss_that_was_low_at_once_are_measured_by_what_a_guess_costs() -> None:
    step = np.arange(200)
    low = np.log(CLASSES) * (0.16 + 0.08 * np.sin(step / 6))
    assert start_level(with_curves(healthy(), train_loss=low)) < 0.7 * np.log(CLASSES)
    assert "oscillating_loss" not in names(with_curves(healthy(), train_loss=low))


def test_noise_from_batch_to_batch_is_no_swing() -> None:
    noise = np.random.default_rng(0).lognormal(0, 0.5, 200)
    loss = np.log(CLASSES) * np.exp(-np.arange(200) / 60) * noise
    assert "oscillating_loss" not in names(with_curves(healthy(), train_loss=loss))


def test_a_swing_that_was_told_stays_told_and_noise_is_none_at_any_step() -> None:
    swinging = with_curves(healthy(), train_loss=np.log(CLASSES) * (0.8 + 0.4 * np.sin(np.arange(200) / 6)))
    told = ["oscillating_loss" in names(swinging.until(step)) for step in range(20, 200, 5)]
    assert any(told)
    assert told == sorted(told), "once seen, it is there until the end"
    for seed in range(20):
        noise = np.random.default_rng(seed).lognormal(0, 0.5, 200)
        noisy = with_curves(healthy(), train_loss=np.log(CLASSES) * np.exp(-np.arange(200) / 60) * noise)
        assert not any("oscillating_loss" in names(noisy.until(step)) for step in range(20, 200, 20)), seed


def test_pictures_known_by_heart_and_no_others_are_overfitting_without_a_rise() -> None:
    by_heart = 2.3 * np.exp(-np.arange(200) / 20)
    tables = with_curves(healthy(), train_loss=by_heart)
    flat = replace(tables.val_loss, values=np.full(len(tables.val_loss), 1.1))
    seen = found(replace(tables, curves={**tables.curves, "val_loss": flat}), "overfitting")
    assert "the validation loss falls no more and is 1.10 while the training loss fell on" in seen.text
    low = replace(flat, values=0.4 * np.ones(len(flat)))
    assert "overfitting" not in names(replace(tables, curves={**tables.curves, "val_loss": low}))


@pytest.mark.parametrize(("accuracy", "end", "is_told"), [(0.6, 1.2, True), (0.72, 1.2, False), (0.6, 1.02, False)])
def test_accuracies_far_apart_tell_pictures_that_are_nearly_known_by_heart(
    accuracy: float, end: float, is_told: bool
) -> None:
    curves = {
        "val_loss": curve(np.concatenate([np.linspace(2, 1, 4), np.linspace(1, end, 6)]), 20),
        "train_accuracy": curve(np.ones(10), 20),
        "val_accuracy": curve(np.full(10, accuracy), 20),
    }
    nearly = with_curves(healthy(), train_loss=0.3 + 2 * np.exp(-np.arange(200) / 20))
    assert ("overfitting" in names(replace(nearly, curves={**nearly.curves, **curves}))) is is_told


def test_a_validation_loss_that_rises_while_the_other_falls_is_overfitting() -> None:
    val = np.concatenate([np.linspace(2, 1, 4), np.linspace(1.1, 3, 6)])
    tables = replace(healthy(), curves={**healthy().curves, "val_loss": curve(val, 20)})
    seen = found(tables, "overfitting")
    assert seen.since == 60
    little = replace(healthy(), curves={**healthy().curves, "val_loss": curve(1 + (val - 1) / 10, 20)})
    assert "overfitting" not in names(little)


@pytest.mark.parametrize(("accuracy", "is_told"), [(0.80, False), (0.75, True)])
def test_a_network_that_is_only_too_sure_of_itself_may_lose_twice_as_much(accuracy: float, is_told: bool) -> None:
    val = np.concatenate([np.linspace(2, 1, 4), np.linspace(1.1, 1.7, 6)])
    known = np.where(np.arange(10) < 5, 0.81, accuracy)
    curves = {"val_loss": curve(val, 20), "val_accuracy": curve(known, 20)}
    assert ("overfitting" in names(replace(healthy(), curves={**healthy().curves, **curves}))) is is_told
