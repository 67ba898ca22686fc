"""Losses of one label and of several, against plain slow versions."""

import math

import pytest
import torch

from gradscope.config import Digits, Voc
from gradscope.labelling import (
    ONE,
    SEVERAL,
    binary_cross_entropy,
    binary_divergence,
    exactly_right,
    labelling_of,
)

LOGITS = torch.tensor([[2.0, -1.0, 0.5], [0.0, 3.0, -2.0]])
LABELS = torch.tensor([[1, 0, -1], [0, 1, 1]], dtype=torch.int8)


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


def test_the_source_says_how_its_pictures_are_labelled():
    assert (labelling_of(Digits()), labelling_of(Voc())) == (ONE, SEVERAL)


def test_binary_cross_entropy_is_the_mean_over_what_counts():
    losses = [
        -math.log(sigmoid(z) if y == 1 else 1 - sigmoid(z))
        for z, y in zip(LOGITS.flatten().tolist(), LABELS.flatten().tolist(), strict=True)
        if y >= 0
    ]
    assert binary_cross_entropy(LOGITS, LABELS).item() == pytest.approx(sum(losses) / 5, rel=1e-5)
    assert binary_cross_entropy(LOGITS, torch.full_like(LABELS, -1)).item() == 0


def test_what_does_not_count_gets_no_gradient():
    logits = LOGITS.clone().requires_grad_(True)
    binary_cross_entropy(logits, LABELS).backward()
    assert logits.grad is not None
    assert logits.grad[0, 2] == 0
    assert logits.grad[1, 2] < 0


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_the_divergence_of_several_labels_is_that_of_every_class_by_itself(temperature):
    teacher = torch.tensor([[1.0, 1.0, -3.0], [2.0, 0.0, 0.0]])
    total = 0.0
    for s, t in zip(LOGITS.flatten().tolist(), teacher.flatten().tolist(), strict=True):
        p, q = sigmoid(t / temperature), sigmoid(s / temperature)
        total += p * math.log(p / q) + (1 - p) * math.log((1 - p) / (1 - q))
    assert binary_divergence(LOGITS, teacher, temperature).item() == pytest.approx(temperature**2 * total / 6, rel=1e-4)
    assert binary_divergence(teacher, teacher, temperature).item() == pytest.approx(0, abs=1e-6)


def test_logits_without_end_have_a_finite_loss():
    wild = torch.tensor([[1e4, -1e4, 0.0]])
    assert torch.isfinite(binary_divergence(wild, -wild, 1.0))


def test_an_exact_match_is_right_in_every_class_that_counts():
    assert exactly_right(LOGITS, LABELS).tolist() == [True, False]
