"""When a watch records, and which layers."""

import pytest
from torch import nn
from watching import mlp, pictures, sgd, step, trace_of, watch

from gradscope.errors import RecorderError
from gradscope.recorder.schedule import every_steps, on_steps, timetable
from gradscope.records import Kind, Pace


def test_records_are_dense_early_and_regular_later():
    due = every_steps(10)
    assert [s for s in range(41) if due(s)] == [0, 1, 2, 4, 8, 10, 20, 30, 40]
    assert all(map(every_steps(1), range(20)))


def test_a_schedule_may_be_steps_or_a_function():
    assert [s for s in range(9) if timetable([3, 5])(s)] == [3, 5]
    assert [s for s in range(9) if on_steps({2})(s)] == [2]
    assert timetable(lambda s: s == 7)(7)


@pytest.mark.parametrize("every", [0, -1, 2.5, True, "often"])
def test_a_timetable_no_steps_is_refused(every):
    with pytest.raises(RecorderError, match="whole number from 1 on"):
        timetable(every)


def test_a_budget_needs_an_interval_that_can_adapt():
    assert timetable("auto", budget=0.1).pace == Pace(record_every=16, record_budget=0.1)
    with pytest.raises(RecorderError, match='counts with every="auto" only, and every=10 was given'):
        timetable(10, budget=0.1)


@pytest.mark.parametrize("layers", [r"^[24]$", lambda name, module: name in "24"])
def test_layers_are_chosen_by_pattern_or_predicate(layers):
    model = mlp()
    optimizer = sgd(model)
    _watch, notebook = watch(model, optimizer, layers=layers)
    step(model, optimizer)
    assert notebook.names == ["2", "4"]


@pytest.mark.parametrize(
    ("model", "options", "message"),
    [
        (nn.BatchNorm1d(3), {}, "has no layer to watch"),
        (nn.Linear(2, 2), {"layers": "conv"}, "chooses none of Linear"),
        (nn.Linear(2, 2), {"layers": "("}, "is no regular expression"),
        (nn.Linear(2, 2), {"log": "everything"}, 'give log="gradients" or log="all"'),
    ],
)
def test_a_watch_that_cannot_be_says_why(model, options, message):
    with pytest.raises(RecorderError, match=message):
        watch(model, **options)


def test_a_loop_without_an_optimiser_counts_its_steps_itself():
    model = mlp()
    made, notebook = watch(model, every=[0, 2])
    for _ in range(3):
        model.zero_grad()
        model(pictures()).square().mean().backward()
        made.record_step()
    assert [r.step for r in notebook.records] == [0, 2]
    assert {s.kind for s in notebook.records[0].stats()} == {"gradient", "weight", "activation", "signal"}


def test_steps_cannot_be_counted_twice():
    model = mlp()
    made, _notebook = watch(model, sgd(model))
    with pytest.raises(RecorderError, match="counts the steps already"):
        made.record_step()


def test_a_pass_can_be_recorded_out_of_turn():
    model = mlp()
    optimizer = sgd(model)
    made, notebook = watch(model, optimizer, every=[0])
    step(model, optimizer)
    with made.recording():
        optimizer.zero_grad()
        model(pictures()).square().mean().backward()
    assert [r.step for r in notebook.records] == [0, 1]
    assert notebook.rms(1, 0, Kind.SIGNAL) > 0
    assert trace_of(model) == 0
