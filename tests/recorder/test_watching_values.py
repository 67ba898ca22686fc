"""What a watch records of little networks, against autograd by hand."""

import copy

import pytest
import torch
from torch import nn
from watching import close, mlp, pictures, rms, sgd, step, trace_of, watch

from gradscope.recorder import measure
from gradscope.records import Kind


def test_gradient_signal_activation_weight_and_update_agree_with_autograd_by_hand():
    model = mlp()
    twin = copy.deepcopy(model)
    optimizer = sgd(model)
    _watch, notebook = watch(model, optimizer)
    step(model, optimizer)

    outputs, x = [], pictures()
    for module in twin:
        x = module(x)
        if isinstance(module, nn.Linear):
            x.retain_grad()
            outputs.append(x)
    x.square().mean().backward()
    for layer, (module, output) in enumerate(zip(twin[::2], outputs, strict=True)):
        assert notebook.rms(0, layer, Kind.ACTIVATION) == close(rms(output))
        assert notebook.rms(0, layer, Kind.SIGNAL) == close(rms(output.grad))
        assert notebook.rms(0, layer, Kind.GRADIENT) == close(rms(module.weight.grad))
        assert notebook.rms(0, layer, Kind.WEIGHT) == close(rms(module.weight))
        assert notebook.rms(0, layer, Kind.UPDATE) == pytest.approx(0.1 * rms(module.weight.grad), rel=1e-4)


def test_log_gradients_records_gradients_only():
    model = mlp()
    optimizer = sgd(model)
    _watch, notebook = watch(model, optimizer, log="gradients")
    step(model, optimizer)
    assert {s.kind for s in notebook.records[0].stats()} == {Kind.GRADIENT}
    assert trace_of(model) == 0


def test_only_the_steps_that_are_due_are_recorded_and_only_they_carry_hooks():
    model = mlp()
    optimizer = sgd(model)
    _watch, notebook = watch(model, optimizer, every=[1, 3])
    hooked = []
    for _ in range(5):
        hooked.append(trace_of(model) > 0)
        step(model, optimizer)
    assert [r.step for r in notebook.records] == [1, 3]
    assert hooked == [True, True, False, True, False]  # before the first step for the order of use


def test_a_training_that_goes_on_keeps_its_step_numbers():
    model = mlp()
    optimizer = sgd(model)
    _watch, notebook = watch(model, optimizer, every=10, step=19)
    for _ in range(3):
        step(model, optimizer)
    assert [r.step for r in notebook.records] == [20]
    assert notebook.names == ["0", "2", "4"]


@pytest.mark.parametrize("inplace", [False, True])
def test_an_in_place_activation_does_not_spoil_signal_and_activation(inplace):
    model = mlp(nn.ReLU(inplace=inplace), nn.ReLU(inplace=inplace))
    optimizer = sgd(model)
    _watch, notebook = watch(model, optimizer)
    step(model, optimizer)
    twin = mlp(nn.ReLU(), nn.ReLU())
    z = twin[0](pictures())
    z.retain_grad()
    twin[1:](z).square().mean().backward()
    assert notebook.rms(0, 0, Kind.ACTIVATION) == close(rms(z))
    assert notebook.rms(0, 0, Kind.SIGNAL) == close(rms(z.grad))


def test_an_output_that_is_added_to_in_place_keeps_its_own_signal_and_activation():
    class Residual(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Linear(6, 6), nn.Linear(6, 3)

        def forward(self, x):
            z = self.a(x)
            z += x
            return self.b(z * 2)

    torch.manual_seed(0)
    model = Residual()
    optimizer = sgd(model)
    with torch.no_grad():
        plain = model.a(pictures())
    z = (plain + pictures()).requires_grad_()
    (signal,) = torch.autograd.grad(model.b(z * 2).square().mean(), z)
    _watch, notebook = watch(model, optimizer)
    step(model, optimizer)
    assert notebook.rms(0, 0, Kind.ACTIVATION) == close(rms(plain))
    assert notebook.rms(0, 0, Kind.SIGNAL) == close(rms(signal))


def test_saturated_and_dead_units_are_those_of_the_activation_that_follows():
    model = nn.Sequential(nn.Linear(1, 4, bias=True), nn.Tanh(), nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 1))
    with torch.no_grad():
        model[0].weight.fill_(0.0)
        model[0].bias.copy_(torch.tensor([3.0, -3.0, 0.1, 0.2]))
        model[2].weight.fill_(0.0)
        model[2].bias.copy_(torch.tensor([1.0, -1.0, -1.0, -1.0]))
    optimizer = sgd(model)
    _watch, notebook = watch(model, optimizer)
    step(model, optimizer, torch.randn(10, 1))
    tanh, relu, last = (notebook.stats(0, layer, Kind.ACTIVATION) for layer in range(3))
    assert (tanh.saturated, tanh.dead) == (0.5, None)
    assert (relu.saturated, relu.dead) == (None, 0.75)
    assert (last.saturated, last.dead) == (None, None)


def test_the_unit_of_a_convolution_is_its_channel():
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(16, 1))
    with torch.no_grad():
        model[1].weight.fill_(0.0)
        model[1].bias.copy_(torch.tensor([1.0, 1.0, -1.0, 1.0]))
    optimizer = sgd(model)
    _watch, notebook = watch(model, optimizer)
    step(model, optimizer, torch.randn(3, 1, 4, 4))
    assert notebook.stats(0, 0, Kind.ACTIVATION).dead == 0.25


def test_a_pseudo_normalised_tanh_is_still_a_tanh():
    from gradscope.methods.pseudo_norm import PseudoNormalised

    model = mlp(PseudoNormalised(nn.Tanh()), nn.Tanh())
    with torch.no_grad():
        model[0].bias.fill_(100.0)
    optimizer = sgd(model)
    _watch, notebook = watch(model, optimizer)
    step(model, optimizer)
    assert notebook.stats(0, 0, Kind.ACTIVATION).saturated == 1.0


def test_large_activations_are_thinned_and_say_how_many_were_used(monkeypatch):
    monkeypatch.setattr(measure, "LARGE", 10)
    model = mlp()
    optimizer = sgd(model)
    _watch, notebook = watch(model, optimizer)
    step(model, optimizer)
    assert notebook.stats(0, 0, Kind.ACTIVATION).n == 6  # every 7th of 40
    assert notebook.stats(0, 0, Kind.GRADIENT).n == 48


def where_it_began(model, x=None):
    optimizer = sgd(model)
    _watch, notebook = watch(model, optimizer)
    step(model, optimizer, x)
    found = notebook.records[0].nonfinite()
    return found and (found.step, found.layer, found.kind)


def test_the_first_bad_activation_from_the_input_is_where_it_began():
    model = mlp()
    with torch.no_grad():
        model[2].weight[0, 0] = torch.nan
    assert where_it_began(model) == (0, "2", "activation")
    assert where_it_began(mlp()) is None


def test_without_a_bad_activation_it_is_the_first_bad_signal_from_the_output():
    class Explode(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x.clone()

        @staticmethod
        def backward(ctx, grad):
            return grad * torch.inf

    class Exploding(nn.Module):
        def forward(self, x):
            return Explode.apply(x)

    assert where_it_began(mlp(nn.Tanh(), Exploding())) == (0, "2", "signal")
