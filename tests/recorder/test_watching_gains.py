"""What methods multiply the error by is recorded on the steps that are due."""

import copy

import pytest
import torch
from torch import nn
from watching import close, pictures, sgd, step, watch

import gradscope
from gradscope.config import BackwardGradientNorm, GradientAmplification, Mlp, PseudoNorm
from gradscope.methods import build_methods
from gradscope.methods.pseudo_norm import PseudoNormalised
from gradscope.models import build_model
from gradscope.recorder.gains import Told
from gradscope.records import Gain
from gradscope.store import open_store, read


def network(*settings):
    model = build_model(Mlp(depth=5, width=8), (1, 2, 3), 3, seed=0)
    for method in build_methods(settings):
        model = method.adapt(model, torch.Generator())
    return model


def listened(model):
    return sum(len(m.gain_listeners) for m in model.modules() if isinstance(m, PseudoNormalised))


@pytest.mark.parametrize("form", ["direct", "dual"])
@pytest.mark.parametrize("log", ["gradients", "all"])
def test_the_gain_of_pseudo_norm_is_one_over_the_rms_of_the_derivative(log, form):
    model = network(PseudoNorm.model_validate({"form": form}))
    outputs = {}
    for n, block in enumerate(model.hidden):
        block.activation.register_forward_hook(lambda _, __, y, n=n: outputs.__setitem__(n, y.detach().double()))
    optimizer = sgd(model, lr=0.01)
    _, notebook = watch(model, optimizer, log=log)
    step(model, optimizer)
    gains = notebook.records[0].gains()
    assert [(g.step, g.layer, g.method) for g in sorted(gains, key=lambda g: g.layer)] == [
        (0, 1, "pseudo_norm"),
        (0, 3, "pseudo_norm"),
    ]
    for found in gains:
        slopes = [[1 - y * y for y in sample] for sample in outputs[found.layer].tolist()]
        rms = [(sum(f * f for f in sample) / len(sample)) ** 0.5 for sample in slopes]
        above = [f / r > 1 for sample, r in zip(slopes, rms, strict=True) for f in sample]
        assert found.gain == close(sum(1 / r for r in rms) / len(rms))
        assert found.share_above_one == close(sum(above) / len(above))
    assert notebook.records[0].n_rows == len(notebook.records[0].stats()) + 2


def test_gains_are_asked_for_only_on_the_steps_that_are_due():
    model = network(PseudoNorm())
    optimizer = sgd(model, lr=0.01)
    made, notebook = watch(model, optimizer, every=[0, 3], log="gradients")
    seen = []
    for _ in range(4):
        seen.append(listened(model))
        step(model, optimizer)
    made.remove()
    assert seen == [2, 0, 0, 2]
    assert listened(model) == 0
    assert [(r.step, len(r.gains())) for r in notebook.records] == [(0, 2), (3, 2)]


def gains_of_one_step(*scales):
    model = network(PseudoNorm())
    optimizer = sgd(model)
    _, notebook = watch(model, optimizer)
    for scale in scales:
        model(scale * pictures()).square().mean().backward()
    optimizer.step()
    return {g.layer: g.gain for g in notebook.records[0].gains()}


def test_several_passes_of_a_step_are_averaged():
    one, four = gains_of_one_step(1), gains_of_one_step(4)
    assert gains_of_one_step(1, 4) == {layer: close((one[layer] + four[layer]) / 2) for layer in (1, 3)}


def test_the_other_gain_nodes_tell_by_what_they_changed_the_norm_of_the_error():
    model = network(GradientAmplification(factor=3.0, ratio=1.0), BackwardGradientNorm(every=4))
    optimizer = sgd(model, lr=0.01)
    _, notebook = watch(model, optimizer)
    step(model, optimizer)
    gains = {(g.layer, g.method): g for g in notebook.records[0].gains()}
    assert {layer for layer, method in gains if method == "gradient_amplification"} == {0, 1, 2, 3}
    assert all(g.gain == close(3.0) for (_, method), g in gains.items() if method == "gradient_amplification")
    assert gains[1, "backward_gradient_norm"].gain > 1
    assert all(g.share_above_one is None for g in gains.values())


def test_an_error_of_zero_has_no_gain():
    model = network(BackwardGradientNorm(every=4))
    optimizer = sgd(model, lr=0.01)
    _, notebook = watch(model, optimizer)
    (0 * model(pictures())).sum().backward()
    optimizer.step()
    (found,) = notebook.records[0].gains()
    assert found.gain is None


def test_a_copy_of_a_watched_model_tells_nobody():
    model = network(PseudoNorm())
    _, notebook = watch(model, sgd(model))
    twin = copy.deepcopy(model)
    step(twin, sgd(twin))
    step(model, optimizer := sgd(model))
    assert notebook.records == []
    assert optimizer is not None


def test_layers_that_are_not_chosen_tell_nothing():
    model = network(PseudoNorm())
    optimizer = sgd(model, lr=0.01)
    _, notebook = watch(model, optimizer, layers=r"hidden\.[013]")
    step(model, optimizer)
    assert [(g.layer, notebook.names[g.layer]) for g in notebook.records[0].gains()] == [
        (2, "hidden.3.layer"),
        (1, "hidden.1.layer"),
    ]


def test_a_model_of_somebody_else_has_its_gains_in_the_store(tmp_path):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 8), PseudoNormalised(nn.Tanh()), nn.Linear(8, 3))
    optimizer = sgd(model)
    with gradscope.init(store=tmp_path / "runs.db") as run:
        run.watch(model, optimizer, every=2)
        for _ in range(4):
            step(model, optimizer)
    frame = read.gain_series(open_store(tmp_path / "runs.db"), run.id)
    assert frame[["step", "layer", "name"]].values.tolist() == [[0, 1, "2"], [1, 1, "2"], [2, 1, "2"]]
    assert (frame["gain"] > 1).all()
    assert frame["share_above_one"].between(0, 1).all()


def test_what_a_source_told_can_be_sent_again_after_a_replay_has_filled_it_anew():
    told = Told(gains=[torch.tensor(2.0)], shares=[torch.tensor(0.25)])
    first = told.send()
    told.gains[0].fill_(3.0)
    assert first.resolve(0, 1, "pseudo_norm").gain == 2.0
    assert told.send().resolve(0, 1, "pseudo_norm") == Gain(
        step=0, layer=1, method="pseudo_norm", gain=3.0, share_above_one=0.25
    )
