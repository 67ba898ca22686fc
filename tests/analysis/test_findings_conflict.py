"""Terms of a loss that pull against each other."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from planted import LAYERS, STEPS, curve, healthy, never_learning, with_curves
from torch import nn
from torch.nn import functional

import gradscope
from gradscope.analysis.findings import Severity, Tables, diagnose
from gradscope.analysis.findings.pairs import TermPair, term_pairs
from gradscope.diagnosis import diagnose_run


def with_terms(tables: Tables, cosine: float, balance: float, layers: int = LAYERS) -> Tables:
    """Two terms that have this cosine and balance in the first so many layers, and go together in the others."""
    cosines, balances = (
        np.tile(np.where(np.arange(LAYERS) < layers, v, 0.9), (len(STEPS), 1)) for v in (cosine, balance)
    )
    pair = TermPair(term="label", other="hint", steps=STEPS, cosine=cosines, balance=balances)
    return replace(tables, terms=(pair,))


def told(tables: Tables) -> dict[str, str]:
    return {f.name: f.text for f in diagnose(tables)}


def test_two_terms_that_ask_for_opposite_steps_are_told_with_their_layers() -> None:
    tables = with_terms(healthy(), -0.62, 0.4, layers=5)
    (finding,) = diagnose(tables)
    assert finding.name == "gradient_conflict"
    assert finding.text == (
        "The terms label and hint pull against each other in fc1 to fc5 (5 layers): the cosine of their gradients is "
        "-0.620, and the smaller has 40.0 % of the size of the larger."
    )
    assert finding.severity is Severity.WARNING
    assert finding.layers == (0, 1, 2, 3, 4)
    assert finding.since == 0
    assert finding.remedies[0].title == "lower the weight of the term that matters less"


@pytest.mark.parametrize(
    ("cosine", "balance", "layers"),
    [(-0.1, 1.0, LAYERS), (0.5, 1.0, LAYERS), (-0.9, 0.05, LAYERS), (-0.9, 1.0, 2)],
    ids=["at right angles", "together", "one is tiny", "in two layers of ten"],
)
def test_what_is_no_conflict_is_not_told(cosine: float, balance: float, layers: int) -> None:
    assert told(with_terms(healthy(), cosine, balance, layers)) == {}


def test_terms_that_balance_each_other_where_all_is_learned_are_as_they_should_be() -> None:
    learned = with_curves(healthy(), train_loss=np.exp(-np.arange(200) / 4))
    late = with_terms(learned, -0.9, 0.8)
    (pair,) = late.terms
    cosine = np.where(STEPS[:, None] > 20, pair.cosine, 0.5)
    assert told(replace(late, terms=(replace(pair, cosine=cosine),))) == {}
    assert "gradient_conflict" in told(with_terms(never_learning(healthy()), -0.9, 0.8))


def test_terms_that_come_to_rest_above_zero_balance_each_other_too() -> None:
    softened = with_curves(healthy(), train_loss=0.5 + 2 * np.exp(-np.arange(200) / 8))
    (pair,) = with_terms(softened, -0.6, 0.6).terms
    at_rest = replace(pair, cosine=np.where(STEPS[:, None] > 60, pair.cosine, 0.5))
    assert told(replace(softened, terms=(at_rest,))) == {}
    before = replace(pair, cosine=np.where(STEPS[:, None] < 60, pair.cosine, 0.5))
    assert "gradient_conflict" in told(replace(softened, terms=(before,))), "what was seen before the rest holds"


def test_a_restless_moment_within_a_rest_is_noise() -> None:
    loss = 0.5 + 2 * np.exp(-np.arange(200) / 8)
    loss[68:83] += 0.1  # seen from step 100 the loss falls, and from steps 90 and 110 it does not
    loss[148:163] += 0.1
    softened = with_curves(healthy(), train_loss=loss, train_accuracy=np.full(200, 0.95))
    torn = np.isin(STEPS, [100, 180])
    (pair,) = with_terms(softened, -0.6, 0.6).terms
    assert told(replace(softened, terms=(replace(pair, cosine=np.where(torn[:, None], pair.cosine, 0.5)),))) == {}


@pytest.mark.parametrize(("accuracy", "is_told"), [(0.7, True), (0.95, False)])
def test_a_loss_that_falls_no_more_has_come_to_rest_only_where_something_is_learned(
    accuracy: float, is_told: bool
) -> None:
    softened = with_curves(healthy(), train_loss=0.5 + 2 * np.exp(-np.arange(200) / 8))
    held_up = with_curves(softened, train_accuracy=np.full(200, accuracy))
    (pair,) = with_terms(held_up, -0.6, 0.6).terms
    late = replace(pair, cosine=np.where(STEPS[:, None] > 60, pair.cosine, 0.5))
    assert ("gradient_conflict" in told(replace(held_up, terms=(late,)))) is is_told


def test_swings_that_come_of_a_conflict_are_not_told_beside_it() -> None:
    swinging = with_curves(healthy(), train_loss=2.3 * (0.8 + 0.4 * np.sin(np.arange(200) / 6)))
    assert set(told(swinging)) == {"oscillating_loss"}
    assert set(told(with_terms(swinging, -0.62, 0.6))) == {"gradient_conflict"}


@pytest.mark.parametrize(("every", "is_told"), [(4, True), (6, False)])
def test_terms_that_pull_against_each_other_now_and_then_are_told_where_nothing_is_learned(
    every: int, is_told: bool
) -> None:
    def at_times(tables: Tables) -> Tables:
        (pair,) = with_terms(tables, -0.62, 0.6).terms
        cosine = np.where(np.arange(len(STEPS))[:, None] % every == 0, pair.cosine, 0.3)
        return replace(tables, terms=(replace(pair, cosine=cosine),))

    guess = {name: curve(np.full(10, 0.1), 20) for name in ("train_accuracy", "val_accuracy")}
    stuck = never_learning(healthy())
    stuck = replace(stuck, curves={**stuck.curves, **guess, "val_loss": curve(np.full(10, 2.31), 20)})
    assert ("gradient_conflict" in told(at_times(stuck))) is is_told
    assert "gradient_conflict" not in told(at_times(healthy())), "it learns all the same"
    if is_told:
        assert "the cosine of their gradients is -0.620" in told(at_times(stuck))["gradient_conflict"]


def test_what_was_not_known_yet_is_not_told() -> None:
    tables = with_terms(healthy(), -0.62, 0.4)
    (pair,) = tables.terms
    began = replace(pair, cosine=np.where(STEPS[:, None] >= 100, pair.cosine, 0.5))
    tables = replace(tables, terms=(began,))
    assert told(tables.until(90)) == {}
    assert diagnose(tables)[0].since == 100


def test_a_sum_of_many_terms_that_falls_is_no_plateau_above_the_loss_of_one() -> None:
    falling = with_curves(healthy(), train_loss=20 - 11 * (1 - np.exp(-np.arange(200) / 40)))
    assert "plateau" in told(falling)
    assert told(with_terms(falling, 0.5, 1.0)) == {}


def test_pairs_are_read_as_grids_with_gaps_where_nothing_is_known() -> None:
    gradients = pd.DataFrame(
        [(0, 0, "a", 2.0), (0, 0, "b", 0.5), (0, 1, "a", 0.0), (0, 1, "b", 1.0), (4, 0, "a", 1.0), (4, 0, "b", 1.0)],
        columns=["step", "layer", "term", "rms"],
    )
    cosines = pd.DataFrame(
        [(0, 0, "a", "b", -0.5), (4, 0, "a", "b", 0.5)], columns=["step", "layer", "term", "other", "cosine"]
    )
    (pair,) = term_pairs(gradients, cosines, 2)
    assert (pair.term, pair.other, pair.steps.tolist()) == ("a", "b", [0, 4])
    np.testing.assert_array_equal(pair.cosine, [[-0.5, np.nan], [0.5, np.nan]])
    np.testing.assert_array_equal(pair.balance, [[0.25, 0.0], [1.0, np.nan]])
    assert term_pairs(gradients[:0], cosines[:0], 2) == ()


@pytest.mark.parametrize(("shift", "is_told"), [(1, True), (0, False)])
def test_a_teacher_that_is_wrong_about_every_picture_is_told_in_a_real_training(
    tmp_path: Path, shift: int, is_told: bool
) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 2))
    images = torch.randn(64, 8)
    labels = (images[:, 0] > 0).long()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    with gradscope.init("two terms", store=tmp_path / "runs.db") as run:
        run.progress(total_steps=40)
        run.watch(model, optimizer, log="all", every=4)
        for _ in range(40):
            logits = model(images)
            teacher = functional.cross_entropy(logits, (labels + shift) % 2)
            terms = {"label": functional.cross_entropy(logits, labels), "teacher": 0.8 * teacher}
            run.split_gradient(terms)
            optimizer.zero_grad()
            loss = sum(terms.values())
            loss.backward()
            optimizer.step()
            run.log({"train_loss": loss})
        run.flush()
        names = {f.name for f in diagnose_run(run.store, run.id)}
    assert ("gradient_conflict" in names) is is_told
