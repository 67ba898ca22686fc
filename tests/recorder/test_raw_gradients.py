"""The gradient before clipping and methods, beside the one that the optimiser sees."""

import gc
import weakref

import pytest
import torch
from torch import nn
from watching import close, mlp, pictures, rms, sgd, watch

from gradscope.records import Kind


def train(model, optimizer, steps, treat=lambda model: None, passes=1):
    """Steps with something done to the gradients; returns their RMS before that, by step and layer."""
    raw = []
    for _ in range(steps):
        optimizer.zero_grad()
        for _ in range(passes):
            (model(pictures()).square().mean() / passes).backward()
        raw.append([rms(layer.weight.grad) for layer in model[::2]])
        treat(model)
        optimizer.step()
    return raw


def raw_rows(notebook):
    """(step, layer) to RMS of every raw gradient that is stored; None where it is not known."""
    rows = [s for record in notebook.records for s in record.stats() if s.kind is Kind.RAW_GRADIENT]
    assert all((s.rms is None) == (s.n == 0) for s in rows)
    return {(s.step, s.layer): s.rms for s in rows}


def watched(**options):
    model = mlp()
    optimizer = sgd(model, lr=1e-3)
    return model, optimizer, *watch(model, optimizer, **options)


def clip(model):
    nn.utils.clip_grad_norm_(model.parameters(), 1e-3)


@pytest.mark.parametrize("log", ["gradients", "all"])
@pytest.mark.parametrize("passes", [1, 3])
def test_a_clipped_gradient_has_the_raw_one_beside_it_on_every_recorded_step(log, passes):
    model, optimizer, _watch, notebook = watched(log=log, every=[0, 3, 4, 5])
    raw = train(model, optimizer, 6, clip, passes)
    expected = {(step, layer): close(raw[step][layer]) for step in (0, 3, 4, 5) for layer in range(3)}
    assert raw_rows(notebook) == expected
    ratios = {notebook.rms(4, layer, Kind.GRADIENT) / notebook.rms(4, layer, Kind.RAW_GRADIENT) for layer in range(3)}
    assert max(ratios) == pytest.approx(min(ratios), rel=1e-4)
    assert max(ratios) < 0.1
    assert notebook.stats(4, 0, Kind.RAW_GRADIENT).histogram != notebook.stats(4, 0, Kind.GRADIENT).histogram


def test_a_gradient_that_nobody_treats_has_no_raw_one():
    model, optimizer, _watch, notebook = watched()
    train(model, optimizer, 6)
    assert len(notebook.records) == 6
    assert raw_rows(notebook) == {}


def test_clipping_that_did_not_change_anything_leaves_no_raw_one():
    model, optimizer, _watch, notebook = watched()
    train(model, optimizer, 4, lambda model: nn.utils.clip_grad_value_(model.parameters(), 1e6))
    assert raw_rows(notebook) == {}


def test_only_the_layers_that_were_treated_have_a_raw_one():
    model, optimizer, _watch, notebook = watched()
    raw = train(model, optimizer, 3, lambda model: model[2].weight.grad.mul_(8.0))
    assert raw_rows(notebook) == {(step, 1): close(raw[step][1]) for step in range(3)}
    assert notebook.rms(2, 1, Kind.GRADIENT) == close(8 * raw[2][1])


def replaced(model):
    model[0].weight.grad = model[0].weight.grad * 4.0


def by_the_back_door(model):
    model[0].weight.grad.data.mul_(4.0)  # raises no version counter


@pytest.mark.parametrize("treat", [replaced, by_the_back_door])
def test_whichever_way_it_is_changed(treat):
    model, optimizer, _watch, notebook = watched()
    for _ in range(9):
        raw = train(model, optimizer, 1, treat)
        notebook.records[-1].stats()  # as the writer's thread does
    assert raw_rows(notebook)[8, 0] == close(raw[0][0])
    assert notebook.rms(8, 0, Kind.GRADIENT) == close(4 * raw[0][0])


def test_treatment_that_begins_late_is_unknown_once_and_recorded_from_then_on():
    model, optimizer, _watch, notebook = watched()
    train(model, optimizer, 6)
    raw = train(model, optimizer, 3, lambda model: model[0].weight.grad.mul_(2.0))
    assert raw_rows(notebook) == {(6, 0): None, (7, 0): close(raw[1][0]), (8, 0): close(raw[2][0])}


def test_what_nobody_treats_is_measured_twice_on_few_steps_only(monkeypatch):
    from gradscope.recorder import raw

    measured = []
    monkeypatch.setattr(raw, "groups_of", lambda kind, tensors: measured.append(kind) or [])
    model, optimizer, _watch, _notebook = watched()
    train(model, optimizer, 100)
    assert len(measured) == 8  # the 1st, 2nd, 4th, 8th, ..., 64th record, and the one before the first


def test_of_accumulated_micro_batches_only_the_last_is_measured_once_their_number_is_known(monkeypatch):
    from gradscope.recorder import raw

    measured, plain = [], raw.groups_of
    monkeypatch.setattr(raw, "groups_of", lambda kind, tensors: measured.append(kind) or plain(kind, tensors))
    model, optimizer, _watch, notebook = watched()
    train(model, optimizer, 3, clip, passes=4)
    assert len(measured) == 4 + 1 + 1
    assert len(raw_rows(notebook)) == 9


def test_with_a_closure_too():
    model = mlp()
    optimizer = torch.optim.LBFGS(model.parameters(), lr=0.1, max_iter=3)
    _watch, notebook = watch(model, optimizer)
    raw = []

    def closure():
        optimizer.zero_grad()
        loss = model(pictures()).square().mean()
        loss.backward()
        raw.append(rms(model[0].weight.grad))
        model[0].weight.grad.mul_(2.0)
        return loss

    for _ in range(3):
        optimizer.step(closure)
    assert raw_rows(notebook)[2, 0] == close(raw[-1])
    assert notebook.rms(2, 0, Kind.GRADIENT) == close(2 * raw[-1])


def test_a_loop_without_an_optimiser_has_raw_gradients_too():
    model = mlp()
    made, notebook = watch(model)
    model(pictures()).square().mean().backward()
    raw = rms(model[4].weight.grad)
    clip(model)
    made.record_step()
    assert raw_rows(notebook)[0, 2] == close(raw)


def test_layers_that_are_numbered_after_the_first_pass_keep_their_raw_gradients():
    class Backwards(nn.Module):
        def __init__(self):
            super().__init__()
            self.last, self.first = nn.Linear(8, 3), nn.Linear(6, 8)

        def forward(self, x):
            return self.last(self.first(x).tanh())

    model = Backwards()
    optimizer = sgd(model)
    _watch, notebook = watch(model, optimizer)
    model(pictures()).square().mean().backward()
    raw = {(0, 0): close(rms(model.first.weight.grad)), (0, 1): close(rms(model.last.weight.grad))}
    clip(model)
    optimizer.step()
    assert raw_rows(notebook) == raw


def test_frozen_sparse_and_tied_weights_are_no_trouble():
    class Words(nn.Module):
        def __init__(self):
            super().__init__()
            self.words = nn.Embedding(9, 6, sparse=True)
            self.frozen = nn.Linear(6, 6).requires_grad_(False)
            self.a, self.b = nn.Linear(6, 6), nn.Linear(6, 6)
            self.b.weight = self.a.weight

        def forward(self, x):
            return self.b(self.a(self.frozen(self.words(x))).tanh())

    model = Words()
    optimizer = sgd(model)
    _watch, notebook = watch(model, optimizer)
    model(torch.tensor([1, 1, 4])).square().mean().backward()
    raw = rms(model.a.weight.grad)
    model.a.weight.grad.mul_(0.5)
    optimizer.step()
    assert raw_rows(notebook) == {(0, 2): close(raw), (0, 3): close(raw)}


def test_the_hooks_are_gone_between_recorded_steps_and_after_the_watch():
    model, optimizer, made, _notebook = watched(every=[0, 2])

    def hooked():
        return sum(bool(p._post_accumulate_grad_hooks) for p in model.parameters())

    seen = [hooked()]
    for _ in range(3):
        train(model, optimizer, 1)
        seen.append(hooked())
    assert seen == [3, 0, 3, 0]
    train(model, optimizer, 1)
    made.remove()
    assert hooked() == 0


def test_gradients_that_are_kept_are_not_kept_alive():
    model, optimizer, _watch, notebook = watched()
    train(model, optimizer, 1, clip)
    gone = weakref.ref(model[0].weight.grad)
    optimizer.zero_grad()
    gc.collect()
    assert gone() is None
    assert len(raw_rows(notebook)) == 3
