import math

import pytest

from gradscope.config import Constant, Cosine, CosineRestarts, CosineWave, RunConfig, Sgd, StepDecay, Train
from gradscope.schedules import learning_rate

STEPS_PER_EPOCH = 10


def rates(schedule, epochs=10):
    config = RunConfig(schedule=schedule, optimizer=Sgd(lr=1.0), train=Train(epochs=epochs))
    return [learning_rate(config, step, STEPS_PER_EPOCH) for step in range(epochs * STEPS_PER_EPOCH)]


def test_constant_never_changes():
    assert set(rates(Constant())) == {1.0}


def test_step_decay_drops_at_its_shares_of_the_training():
    found = rates(StepDecay(milestones=(0.5, 0.75), gamma=0.1))
    assert found[49] == 1.0
    assert found[50] == pytest.approx(0.1)
    assert found[75] == pytest.approx(0.01)


def test_cosine_falls_from_the_peak_to_the_minimum():
    found = rates(Cosine(min_lr=0.2))
    assert found[0] == 1.0
    assert found[50] == pytest.approx(0.6)
    assert found[-1] == pytest.approx(0.2, abs=1e-3)
    assert found == sorted(found, reverse=True)


def test_restarts_jump_back_to_the_peak_each_period():
    found = rates(CosineRestarts(period_epochs=5, min_lr=0.0))
    assert found[0] == found[50] == 1.0
    assert found[49] < 0.01


@pytest.mark.parametrize(("rising_first", "begin", "middle"), [(False, 1.0, 0.1), (True, 0.1, 1.0)])
def test_the_wave_goes_down_and_up_or_up_and_down(rising_first, begin, middle):
    found = rates(CosineWave(period_epochs=2, min_lr=0.1, rising_first=rising_first))
    assert found[0] == found[20] == pytest.approx(begin)
    assert found[10] == pytest.approx(middle)
    assert found[5] == pytest.approx(0.55)


def test_the_wave_follows_the_formula_of_the_paper():
    found = rates(CosineWave(period_epochs=1, min_lr=1e-4))
    assert found[3] == pytest.approx(1e-4 + (1 - 1e-4) * (1 + math.cos(2 * math.pi * 0.3)) / 2)


def test_the_tail_is_constant_and_the_body_ends_before_it():
    found = rates(Cosine(min_lr=0.0, tail_epochs=4, tail_lr=0.07))
    assert found[59] == pytest.approx(0.0, abs=1e-2)
    assert set(found[60:]) == {0.07}
