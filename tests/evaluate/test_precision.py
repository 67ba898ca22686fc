"""Average precision against the challenge's definition, written out."""

from itertools import pairwise

import numpy as np
import pytest
import torch

from gradscope.evaluate.precision import average_precision, mean_average_precision


def slowly(scores, there, points):
    """Everingham et al. 2010: rank, count, and for each recall the best precision at or beyond it."""
    ranked = [there[i] for i in np.argsort(-scores)]
    curve = [(sum(ranked[: n + 1]) / sum(there), sum(ranked[: n + 1]) / (n + 1)) for n in range(len(ranked))]

    def best(at):
        return max((p for r, p in curve if r >= at - 1e-12), default=0.0)

    if points == "eleven":
        return sum(best(i / 10) for i in range(11)) / 11
    recalls = sorted({r for r, _ in curve} | {0.0})
    return sum((b - a) * best(b) for a, b in pairwise(recalls))


@pytest.mark.parametrize("points", ["eleven", "all"])
def test_it_is_that_of_the_definition(points):
    rng = np.random.default_rng(0)
    for n in (1, 2, 7, 40):
        for _ in range(10):
            scores, there = rng.permutation(n).astype(float), rng.random(n) < 0.4
            there[rng.integers(n)] = True
            assert average_precision(scores, there, points) == pytest.approx(slowly(scores, there, points))


def test_an_example_by_hand():
    scores, there = np.array([0.9, 0.8, 0.7, 0.6]), np.array([True, False, True, False])
    # precision 1 up to recall 1/2 and 2/3 beyond: six of eleven recalls are at most 1/2
    assert average_precision(scores, there, "eleven") == pytest.approx((6 * 1 + 5 * 2 / 3) / 11)
    assert average_precision(scores, there, "all") == pytest.approx(0.5 * 1 + 0.5 * 2 / 3)


def test_a_wrong_first_answer_is_not_forgiven():
    assert average_precision(np.array([2.0, 1.0]), np.array([False, True]), "eleven") == pytest.approx(0.5)
    assert average_precision(np.array([2.0, 1.0]), np.array([False, True]), "all") == pytest.approx(0.5)


def test_pictures_that_do_not_count_for_a_class_and_classes_without_pictures_are_left_out():
    logits = torch.tensor([[3.0, 0.0, 1.0], [2.0, 1.0, 0.0], [1.0, 0.0, 0.0]])
    labels = torch.tensor([[-1, 0, 0], [1, 1, 0], [0, -1, 0]], dtype=torch.int8)
    assert mean_average_precision(logits, labels, "all") == 1.0
    labels[0, 0] = 0
    assert mean_average_precision(logits, labels, "all") == pytest.approx((0.5 + 1) / 2)
    assert np.isnan(mean_average_precision(logits, torch.zeros_like(labels), "all"))


def test_answers_that_are_not_finite_rank_last():
    logits = torch.tensor([[float("nan")], [0.0], [float("-inf")]])
    labels = torch.tensor([[0], [1], [0]], dtype=torch.int8)
    assert mean_average_precision(logits, labels, "all") == 1.0
