"""What is read from the curves alone: a loss that stays, creeps, swings, or is learned by heart."""

from dataclasses import replace

import numpy as np
from planted import CLASSES, LAYERS, curve, healthy, never_learning, scaled, with_curves

from gradscope.analysis.findings import Finding, Severity, Tables, every_finding
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


def test_a_loss_that_goes_up_again_and_again_swings() -> None:
    step = np.arange(200)
    loss = np.log(CLASSES) * (0.8 + 0.4 * np.sin(step / 6))
    assert "it rose" in found(with_curves(healthy(), train_loss=loss), "oscillating_loss").text


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


def test_a_validation_loss_that_rises_while_the_other_falls_is_overfitting() -> None:
    val = np.concatenate([np.linspace(2, 1, 4), np.linspace(1.1, 3, 6)])
    tables = replace(healthy(), curves={**healthy().curves, "val_loss": curve(val, 20)})
    seen = found(tables, "overfitting")
    assert seen.since == 60
    little = replace(healthy(), curves={**healthy().curves, "val_loss": curve(1 + (val - 1) / 10, 20)})
    assert "overfitting" not in names(little)
