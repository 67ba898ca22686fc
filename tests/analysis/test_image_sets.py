import numpy as np
import pytest

from gradscope.analysis.image_sets import chosen, confusions
from gradscope.config.explaining import ImageSet, Outcome

LABELS = np.array([0, 0, 1, 1, 2, 2])


def certain(guesses: list[int], by: list[float] | None = None) -> np.ndarray:
    """Probabilities [N, 3] that give each picture a class, as surely as `by` says."""
    p = np.zeros((len(guesses), 3))
    for i, (guess, sure) in enumerate(zip(guesses, by or [0.8] * len(guesses), strict=True)):
        p[i] = (1 - sure) / 2
        p[i, guess] = sure
    return p


ONE = certain([0, 1, 1, 1, 0, 2], [0.8, 0.6, 0.8, 0.8, 0.9, 0.8])
OTHER = certain([0, 1, 1, 2, 2, 2])


@pytest.mark.parametrize(
    ("wanted", "places"),
    [
        (ImageSet(), {0, 1, 2, 3, 4, 5}),
        (ImageSet(true=1), {2, 3}),
        (ImageSet(outcome=Outcome.RIGHT), {0, 2, 5}),
        (ImageSet(outcome=Outcome.WRONG), {1}),
        (ImageSet(outcome=Outcome.DISAGREE), {3, 4}),
        (ImageSet(outcome=Outcome.CONFIDENT_ERROR), {1, 3, 4}),
        (ImageSet(true=0, taken_for=1), {1}),
        (ImageSet(taken_for=0), {0, 4}),
        (ImageSet(true=1, outcome=Outcome.WRONG), set()),
    ],
)
def test_filters(wanted, places):
    assert set(chosen(wanted, LABELS, [ONE, OTHER]).tolist()) == places


def test_the_most_confident_error_comes_first():
    assert chosen(ImageSet(outcome=Outcome.CONFIDENT_ERROR), LABELS, [ONE, OTHER]).tolist()[0] == 4


def test_a_larger_set_holds_the_smaller_one_and_another_seed_another_set():
    labels = np.zeros(1000, int)
    few, many = (chosen(ImageSet(n=n), labels, []).tolist() for n in (10, 50))
    assert many[:10] == few
    assert len(set(many)) == 50
    assert chosen(ImageSet(n=10, seed=1), labels, []).tolist() != few
    assert chosen(ImageSet(n=10), labels, []).tolist() == few


def test_without_runs_only_their_classes_can_be_asked_for():
    assert set(chosen(ImageSet(true=2), LABELS, []).tolist()) == {4, 5}
    assert chosen(ImageSet(taken_for=2), LABELS, []).tolist() == []


def test_confusions_by_how_often_they_happen():
    assert confusions(LABELS, [ONE, ONE, OTHER]) == [(0, 1, 3), (2, 0, 2), (1, 2, 1)]
    assert confusions(LABELS, [certain(LABELS.tolist())]) == []
