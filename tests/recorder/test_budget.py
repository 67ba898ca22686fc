"""A schedule that keeps a budget, told what recording costs instead of measuring it."""

import random

import pytest

from gradscope.errors import RecorderError
from gradscope.recorder.budget import Budgeted
from gradscope.recorder.timer import Lap
from gradscope.records import Pace


def train(schedule, steps, *, step_ms, cost_ms, begin=0, noise=0.0, loading=0, slow_ms=0.0):
    """Steps of a pretended training; returns those that were recorded, and the share that recording took."""
    dice = random.Random(0)
    recorded, spent, whole = [], 0.0, 0.0
    for step in range(begin, begin + steps):
        due = schedule(step)
        cost = cost_ms * dice.uniform(1 - noise, 1 + noise) if due else 0.0
        delay = slow_ms if due else 0.0
        seconds = step_ms * dice.uniform(1 - noise, 1 + noise) + cost + delay
        settled = step >= loading
        schedule.note(
            Lap(seconds=seconds, cost=cost if settled else 20 * cost, recorded=due, slowed=delay > 0, settled=settled)
        )
        recorded += [step] if due else []
        spent, whole = spent + cost + delay, whole + seconds
    return recorded, spent / whole


@pytest.mark.parametrize(
    ("cost_ms", "every"), [(0.1, 1), (0.3, 1), (0.5, 2), (1.0, 4), (3.0, 8), (20.0, 64), (200.0, 512)]
)
def test_the_interval_is_the_least_power_of_two_that_keeps_the_budget(cost_ms, every):
    schedule = Budgeted(0.02)
    recorded, _ = train(schedule, 4096, step_ms=20.0, cost_ms=cost_ms)
    _, share = train(schedule, 4096, step_ms=20.0, cost_ms=cost_ms, begin=4096)
    assert schedule.pace == Pace(record_every=every, record_budget=0.02)
    assert share <= 0.02
    assert recorded[-1] - recorded[-2] == every
    assert all(step % every == 0 for step in recorded if step > max(every, 16))
    assert {0, 1, 2, 4, 8, 16, 32, 64} <= {*recorded}


def test_noise_changes_nothing_even_where_two_intervals_are_nearly_as_good():
    schedule = Budgeted(0.02)
    train(schedule, 1000, step_ms=20.0, cost_ms=1.63, noise=0.3)  # 4 steps between records would take 0.01997
    seen = set()
    for begin in range(1000, 50_000, 100):
        train(schedule, 100, step_ms=20.0, cost_ms=1.63, begin=begin, noise=0.3)
        seen.add(schedule.pace.record_every)
    assert seen <= {4, 8}
    assert schedule.pace.record_every == 8


def test_the_interval_follows_a_cost_that_changes_for_good():
    schedule = Budgeted(0.02)
    train(schedule, 1000, step_ms=20.0, cost_ms=1.0)
    assert schedule.pace.record_every == 4
    train(schedule, 2000, step_ms=20.0, cost_ms=8.0, begin=1000)
    assert schedule.pace.record_every == 32
    train(schedule, 5000, step_ms=20.0, cost_ms=0.9, begin=3000)
    assert schedule.pace.record_every == 4


def test_while_the_kernel_is_being_loaded_only_powers_of_two_are_recorded_and_none_counts():
    schedule = Budgeted(0.02)
    recorded, _ = train(schedule, 700, step_ms=20.0, cost_ms=1.0, loading=500)
    assert [step for step in recorded if step <= 512] == [0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512]
    assert schedule.pace.record_every == 4


def test_a_network_that_runs_uncompiled_while_it_is_recorded_pays_for_that_too():
    schedule = Budgeted(0.02)
    _, share = train(schedule, 5000, step_ms=20.0, cost_ms=1.0, slow_ms=19.0)
    assert schedule.pace.record_every == 64
    assert share <= 0.02


def test_a_pause_is_no_step():
    schedule = Budgeted(0.02)
    train(schedule, 1000, step_ms=20.0, cost_ms=1.0)
    for _ in range(5):
        schedule.note(Lap(seconds=30_000.0, cost=0.0, recorded=False))
    train(schedule, 100, step_ms=20.0, cost_ms=1.0, begin=1000)
    assert schedule.pace.record_every == 4


@pytest.mark.parametrize("budget", [0, -0.1, 1.5, True, "2 %", None])
def test_a_budget_is_a_share_of_the_time(budget):
    with pytest.raises(RecorderError, match="above 0 and at most 1"):
        Budgeted(budget)
