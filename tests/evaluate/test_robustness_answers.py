"""Accuracy on disturbed pictures: the same noise whatever the batch, the noise that is stated, the right counts."""

import math

import pytest
import torch
from torch import nn

from gradscope.config import ATTACKS, CORRUPTIONS, NOISES, Mlp
from gradscope.data import Split
from gradscope.data.noise import NOISE, generator_for
from gradscope.evaluate import robustness
from gradscope.evaluate.disturbed import DISTURB, Subject
from gradscope.evaluate.robustness import answers
from gradscope.measured import CLEAN
from gradscope.models import build_model


def normalised(images):
    return images / 64 - 2


@pytest.fixture
def subject():
    return Subject(model=build_model(Mlp(depth=2, width=8), (1, 4, 4), 3, seed=0).eval(), normalise=normalised)


@pytest.fixture
def split():
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (70, 1, 4, 4), dtype=torch.uint8, generator=generator)
    return Split(images=images, labels=torch.randint(0, 3, (70,), generator=generator))


@pytest.fixture
def small_blocks(monkeypatch):
    monkeypatch.setattr(robustness, "BLOCK", 30)


def test_every_kind_that_can_be_asked_for_is_there():
    assert set(DISTURB) == {CLEAN, *NOISES, *CORRUPTIONS, *ATTACKS}


@pytest.mark.parametrize("kind", NOISES)
def test_noise_has_mean_zero_and_the_stated_deviation(kind):
    noise = NOISE[kind](torch.empty(200_000), 0.3, torch.Generator().manual_seed(0))
    assert noise.mean().item() == pytest.approx(0, abs=0.003)
    assert noise.std().item() == pytest.approx(0.3, rel=0.01)
    beyond = (noise.abs() > math.sqrt(3) * 0.3 + 1e-6).float().mean().item()
    assert beyond == (0 if kind == "uniform_noise" else pytest.approx(0.083, abs=0.005))


@pytest.mark.parametrize("kind", [*NOISES, "fog", "pgd"])
def test_the_disturbance_does_not_depend_on_the_batch_size(kind, subject, split, small_blocks):
    level = 2.0 if kind in {"fog", "pgd"} else 1.5
    found = [
        answers(subject, split, 3, kind=kind, level=level, draws=2, seed=0, batch_size=size) for size in (1, 7, 1000)
    ]
    assert found[0] == found[1] == found[2]


def test_seed_kind_level_and_draw_each_make_other_noise(subject, split):
    def right(**given):
        return answers(subject, split, 3, **{"kind": NOISES[0], "level": 1.0, "draws": 1, "seed": 0, **given}).right

    first = right()
    assert right() == first
    assert right(seed=1) != first
    assert right(kind=NOISES[1]) != first
    two = answers(subject, split, 3, kind=NOISES[0], level=1.0, draws=2, seed=0)
    assert two.right == bytes(a + b for a, b in zip(first, _draw_one(subject, split), strict=True))


def _draw_one(subject, split):
    """The second draw by hand."""
    noise = torch.empty(split.images.shape).normal_(
        0, 1.0, generator=generator_for(torch.device("cpu"), 0, NOISES[0], "1", 1, 0)
    )
    with torch.no_grad():
        return bytes((subject.model(normalised(split.images) + noise).argmax(1) == split.labels).int().tolist())


def test_answers_agree_with_plain_counting(subject, split):
    found = answers(subject, split, 4, kind=CLEAN, level=0, draws=1, seed=0)
    with torch.no_grad():
        right = subject.model(normalised(split.images)).argmax(1) == split.labels
    assert found.accuracies == (right.double().mean().item(),)
    assert found.right == bytes(right.int().tolist())
    of_class = [right[split.labels == c].double().mean().item() for c in range(3)]
    assert found.per_class == (*of_class, None)


def test_blocks_are_told_as_they_are_done(subject, split, small_blocks):
    told = []
    answers(subject, split, 3, kind=NOISES[0], level=1.0, draws=2, seed=0, told=told.append)
    assert told == [30, 30, 10] * 2


def test_no_noise_changes_a_network_that_has_made_up_its_mind(split):
    class Stubborn(nn.Module):
        def forward(self, images):
            return torch.tensor([0.0, 1.0, 0.0]).expand(len(images), 3)

    share = (split.labels == 1).double().mean().item()
    for kind, level in (*((k, 3.0) for k in NOISES), *((k, 5.0) for k in CORRUPTIONS)):
        found = answers(
            Subject(model=Stubborn(), normalise=normalised), split, 3, kind=kind, level=level, draws=1, seed=0
        )
        assert found.accuracies == (share,)


class Linear(nn.Module):
    """Two classes told apart by the mean of a picture: an attack knows exactly what to do."""

    def forward(self, images):
        mean = images.mean(dim=(1, 2, 3))
        return torch.stack([-mean, mean], dim=1)


@pytest.mark.parametrize("kind", ATTACKS)
def test_an_attack_moves_each_pixel_against_its_class_and_no_further_than_allowed(kind):
    images = torch.full((4, 1, 4, 4), 100, dtype=torch.uint8)
    labels = torch.tensor([0, 1, 0, 1])
    subject = Subject(model=Linear(), normalise=lambda x: x / 255 - 0.5)
    with torch.no_grad():
        changed = DISTURB[kind](subject, images, labels, 8.0, torch.Generator().manual_seed(0))
    moved = (changed - subject.normalise(images)) * 255
    assert moved[labels == 0].mean().item() == pytest.approx(8, abs=1e-3)
    assert moved[labels == 1].mean().item() == pytest.approx(-8, abs=1e-3)
    assert moved.abs().max().item() <= 8 + 1e-3


@pytest.mark.parametrize("kind", ATTACKS)
def test_an_attacked_pixel_stays_a_pixel(kind):
    images = torch.tensor([0, 255], dtype=torch.uint8).reshape(2, 1, 1, 1).expand(2, 1, 4, 4)
    subject = Subject(model=Linear(), normalise=lambda x: x / 255)
    with torch.no_grad():
        changed = DISTURB[kind](subject, images, torch.tensor([1, 0]), 16.0, torch.Generator().manual_seed(0))
    assert changed.min().item() >= 0
    assert changed.max().item() <= 1


def test_an_attack_leaves_no_gradient_on_the_network(subject, split):
    answers(subject, split, 3, kind="pgd", level=4.0, draws=1, seed=0)
    assert all(p.grad is None for p in subject.model.parameters())


def test_random_numbers_of_the_program_are_left_as_they_were(subject, split):
    torch.manual_seed(5)
    before = torch.get_rng_state()
    for kind in ("gaussian_noise", "elastic", "pgd"):
        answers(subject, split, 3, kind=kind, level=1.0, draws=1, seed=0)
    assert torch.equal(torch.get_rng_state(), before)
