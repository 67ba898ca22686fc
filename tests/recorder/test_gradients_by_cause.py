"""Which term of the loss a layer's gradient comes from, against autograd by hand."""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional
from watching import close, mlp, pictures, rms, sgd, trace_of, watch

import gradscope
from gradscope.config import Mlp, PseudoNorm
from gradscope.methods import build_methods
from gradscope.models import build_model
from gradscope.recorder.causes import products
from gradscope.records import Kind


def terms_of(model, x=None):
    """Three terms: one of all layers, one that pulls back, one of the first layer only."""
    x = pictures() if x is None else x
    out = model(x)
    first = model[0] if isinstance(model, nn.Sequential) else next(m for m in model.modules() if m is not model)
    return {
        "label": functional.cross_entropy(out, torch.tensor([0, 1, 2, 0, 1])),
        "teacher": -0.3 * out.square().mean(),
        "penalty": 0.1 * first.weight.square().sum(),
    }


def by_hand(model, layers):
    """Gradient of each term in each layer, [n] in float64."""
    found = {}
    for name in terms_of(model):
        model.zero_grad()
        terms_of(model)[name].backward()
        found[name] = {
            layer: torch.zeros(m.weight.numel()).double() if m.weight.grad is None else m.weight.grad.flatten().double()
            for layer, m in enumerate(layers)
        }
    model.zero_grad()
    return found


def step(model, optimizer, made, split=True):
    optimizer.zero_grad()
    terms = terms_of(model)
    if split:
        made.split_gradient(terms)
    sum(terms.values()).backward()
    optimizer.step()


def test_shares_sizes_and_cosines_are_those_of_autograd_by_hand():
    model = mlp()
    layers = [model[0], model[2], model[4]]
    wanted = by_hand(model, layers)
    optimizer = sgd(model)
    made, notebook = watch(model, optimizer)
    step(model, optimizer, made)
    (record,) = notebook.records
    shares = {(t.layer, t.term): t for t in record.term_gradients()}
    cosines = {(c.layer, c.term, c.other): c.cosine for c in record.term_cosines()}
    assert len(shares) == 9
    assert len(cosines) == 9
    for layer in range(3):
        whole = sum(wanted[term][layer] for term in wanted)
        for term, of_layers in wanted.items():
            g = of_layers[layer]
            assert shares[layer, term].share == pytest.approx((g @ whole / (whole @ whole)).item(), abs=1e-6)
            assert shares[layer, term].rms == close(rms(g))
        a, b = wanted["label"][layer], wanted["teacher"][layer]
        assert cosines[layer, "label", "teacher"] == pytest.approx((a @ b / (a.norm() * b.norm())).item(), abs=1e-6)
    assert record.n_rows == len(record.stats()) + 18


def test_the_shares_of_a_layer_add_up_to_the_whole_gradient():
    model = mlp()
    optimizer = sgd(model)
    made, notebook = watch(model, optimizer)
    step(model, optimizer, made)
    (record,) = notebook.records
    for layer in range(3):
        its = [t for t in record.term_gradients() if t.layer == layer]
        assert sum(t.share for t in its) == pytest.approx(1, abs=1e-9)
    penalty = {t.layer: t for t in record.term_gradients() if t.term == "penalty"}
    assert penalty[0].share != 0
    assert [penalty[layer].rms for layer in (1, 2)] == [0, 0]
    between = {c.layer: c.cosine for c in record.term_cosines() if (c.term, c.other) == ("label", "penalty")}
    assert between[1] is None


def test_nothing_else_of_the_record_is_disturbed():
    numbers = []
    for split in (False, True):
        model = mlp(nn.Tanh(), nn.ReLU())
        optimizer = sgd(model)
        made, notebook = watch(model, optimizer)
        for _ in range(3):
            optimizer.zero_grad()
            terms = terms_of(model)
            if split:
                made.split_gradient(terms)
            sum(terms.values()).backward()
            nn.utils.clip_grad_norm_(model.parameters(), 0.01)
            optimizer.step()
        numbers.append([r.stats() for r in notebook.records])
        assert len({k.kind for k in numbers[-1][0]}) == len(Kind)
    assert numbers[0] == numbers[1]


def test_the_gain_of_a_method_is_told_once():
    def gains(split):
        model = build_model(Mlp(depth=5, width=8), (1, 2, 3), 3, seed=0)
        for method in build_methods([PseudoNorm()]):
            model = method.adapt(model, torch.Generator())
        optimizer = sgd(model)
        made, notebook = watch(model, optimizer)
        out = model(pictures())
        terms = {"a": out.square().mean(), "b": out.abs().mean()}
        if split:
            made.split_gradient(terms)
        sum(terms.values()).backward()
        optimizer.step()
        return notebook.records[0]

    assert gains(split=True).gains() == gains(split=False).gains()
    assert len(gains(split=True).term_gradients()) == 10


def test_only_steps_that_are_due_are_split_and_no_hook_is_left():
    model = mlp()
    optimizer = sgd(model)
    made, notebook = watch(model, optimizer, every=[0, 2], log="gradients")
    for _ in range(4):
        step(model, optimizer, made)
    made.remove()
    assert [(r.step, len(r.term_gradients())) for r in notebook.records] == [(0, 9), (2, 9)]
    assert trace_of(model) == 0


def test_one_term_is_no_split_and_a_step_without_one_has_no_rows():
    model = mlp()
    optimizer = sgd(model)
    made, notebook = watch(model, optimizer)
    step(model, optimizer, made)
    step(model, optimizer, made, split=False)
    optimizer.zero_grad()
    loss = model(pictures()).square().mean()
    made.split_gradient({"label": loss})
    loss.backward()
    optimizer.step()
    assert [len(r.term_gradients()) for r in notebook.records] == [9, 0, 0]


def test_micro_batches_of_a_step_add_up():
    def shares(*parts):
        model = mlp()
        optimizer = sgd(model)
        made, notebook = watch(model, optimizer)
        optimizer.zero_grad()
        for part in parts:
            out = model(part)
            terms = {"a": out.square().sum(), "b": out.sum()}
            made.split_gradient(terms)
            sum(terms.values()).backward()
        optimizer.step()
        return [(t.term, pytest.approx(t.share, abs=1e-6)) for t in notebook.records[0].term_gradients()]

    x = pictures()
    assert shares(x) == shares(x[:2], x[2:])


def test_frozen_layers_constant_terms_and_gradients_that_cancel():
    model = mlp()
    model[0].requires_grad_(False)
    optimizer = sgd(model)
    made, notebook = watch(model, optimizer)
    out = model(pictures())
    made.split_gradient({"a": out.sum(), "b": -out.sum(), "c": torch.tensor(3.0)})
    (out.sum() * 0).backward()
    optimizer.step()
    found = notebook.records[0].term_gradients()
    assert {t.layer for t in found} == {1, 2}
    assert all(t.share is None for t in found)
    assert [t.rms for t in found if t.term == "c"] == [0, 0]
    assert notebook.records[0].term_cosines()[0].cosine == close(-1)


def test_gradients_too_small_for_float32_squares_still_have_shares():
    tiny = torch.full((4,), 1e-30)
    found = products([[tiny], [3 * tiny], [None]])
    assert found.tolist() == [[close(4e-60), close(1.2e-59), 0], [close(1.2e-59), close(3.6e-59), 0], [0, 0, 0]]


def test_a_session_writes_them_and_a_notebook_reads_them(tmp_path):
    model = mlp()
    optimizer = sgd(model)
    with gradscope.init(store=tmp_path / "runs.db") as run:
        run.watch(model, optimizer, every=2)
        for _ in range(3):
            step(model, optimizer, run)
    reader = gradscope.open(tmp_path / "runs.db").run(run.id)
    shares, cosines = reader.term_gradients(), reader.term_cosines()
    assert sorted(set(shares["step"])) == [0, 1, 2]
    assert shares.groupby(["step", "layer"])["share"].sum().tolist() == pytest.approx([1.0] * 9, abs=1e-9)
    assert set(shares["name"]) == {"0", "2", "4"}
    assert cosines["cosine"].dropna().between(-1, 1).all()
    assert math.isnan(cosines.query("layer == 1 and other == 'penalty'")["cosine"].iloc[0])


def test_a_disabled_session_takes_the_call_too(tmp_path):
    with gradscope.init(store=tmp_path / "runs.db", mode="disabled") as run:
        run.split_gradient(terms_of(mlp()))
    assert not (tmp_path / "runs.db").exists()
