"""Training loops that break the obvious recorder."""

import pytest
import torch
from torch import nn
from watching import close, mlp, pictures, rms, sgd, step, watch

from gradscope.errors import RecorderError
from gradscope.records import Kind


def test_gradients_are_those_after_clipping():
    model = mlp()
    optimizer = sgd(model)
    _watch, notebook = watch(model, optimizer)
    model(pictures()).square().mean().backward()
    nn.utils.clip_grad_value_(model.parameters(), 1e-4)
    optimizer.step()
    assert notebook.stats(0, 2, Kind.GRADIENT).max_abs == pytest.approx(1e-4)


class FusedLike(torch.optim.SGD):
    """Unscales by itself, as the fused optimisers do, so GradScaler hands it scaled gradients and the scale."""

    _step_supports_amp_scaling = True

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for p in group["params"]:
                p -= group["lr"] * p.grad / self.grad_scale


@pytest.mark.parametrize("kind", [torch.optim.SGD, FusedLike])
def test_gradients_under_a_grad_scaler_are_unscaled(kind):
    model = mlp()
    optimizer = kind(model.parameters(), lr=0.1)
    _watch, notebook = watch(model, optimizer)
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    scaler.scale(model(pictures()).square().mean()).backward()
    scaler.step(optimizer)
    twin = mlp()
    twin(pictures()).square().mean().backward()
    assert notebook.rms(0, 0, Kind.GRADIENT) == close(rms(twin[0].weight.grad))


def test_accumulated_micro_batches_give_one_gradient_and_all_their_activations():
    model = mlp()
    optimizer = sgd(model)
    _watch, notebook = watch(model, optimizer)
    for _ in range(4):
        (model(pictures()).square().mean() / 4).backward()
    total = rms(model[0].weight.grad)
    optimizer.step()
    assert len(notebook.records) == 1
    assert notebook.rms(0, 0, Kind.GRADIENT) == close(total)
    assert notebook.stats(0, 0, Kind.ACTIVATION).n == 4 * 5 * 8


@pytest.mark.parametrize("kind", [torch.optim.LBFGS, torch.optim.SGD])
def test_with_a_closure_the_gradient_is_the_one_made_inside(kind):
    model = mlp()
    optimizer = kind(model.parameters(), lr=0.1)
    _watch, notebook = watch(model, optimizer)

    def closure():
        optimizer.zero_grad()
        loss = model(pictures()).square().mean()
        loss.backward()
        return loss

    optimizer.step(closure)
    assert notebook.rms(0, 0, Kind.GRADIENT) == close(rms(model[0].weight.grad))
    assert notebook.rms(0, 0, Kind.UPDATE) > 0


def test_with_a_closure_the_layers_stand_in_the_order_of_their_use():
    class Backwards(nn.Module):
        def __init__(self):
            super().__init__()
            self.last, self.first = nn.Linear(8, 3), nn.Linear(4, 8)

        def forward(self, x):
            return self.last(self.first(x).tanh())

    model = Backwards()
    optimizer = sgd(model)
    _watch, notebook = watch(model, optimizer)
    before = {name: rms(getattr(model, name).weight) for name in ("first", "last")}

    def closure():
        loss = model(torch.ones(5, 4)).square().mean()
        loss.backward()
        return loss

    optimizer.step(closure)
    assert [layer.name for layer in notebook.layers] == ["first", "last"]
    for index, name in enumerate(("first", "last")):
        assert notebook.rms(0, index, Kind.GRADIENT) == close(rms(getattr(model, name).weight.grad))
        assert notebook.rms(0, index, Kind.WEIGHT) == close(before[name])


def test_several_parameter_groups_are_all_recorded():
    model = mlp()
    optimizer = torch.optim.SGD([{"params": model[0].parameters(), "lr": 0.5}, {"params": model[2:].parameters()}], 0.1)
    _watch, notebook = watch(model, optimizer)
    step(model, optimizer)
    assert notebook.rms(0, 0, Kind.UPDATE) == pytest.approx(0.5 * notebook.rms(0, 0, Kind.GRADIENT), rel=1e-4)
    assert notebook.rms(0, 2, Kind.UPDATE) == pytest.approx(0.1 * notebook.rms(0, 2, Kind.GRADIENT), rel=1e-4)


def test_evaluations_in_between_are_not_recorded():
    model = mlp()
    optimizer = sgd(model)
    _watch, notebook = watch(model, optimizer)
    step(model, optimizer)
    model.eval()
    model(pictures(100))
    with torch.no_grad():
        model.train()(pictures(100))
    step(model, optimizer)
    assert notebook.stats(1, 0, Kind.ACTIVATION).n == 5 * 8


@pytest.mark.parametrize("use_reentrant", [False, True])
def test_activation_checkpointing_does_not_count_twice(use_reentrant):
    from torch.utils.checkpoint import checkpoint

    class Saving(nn.Module):
        def __init__(self):
            super().__init__()
            self.body, self.head = mlp(nn.ReLU(), nn.ReLU()), nn.Linear(3, 2)

        def forward(self, x):
            return self.head(checkpoint(self.body, x, use_reentrant=use_reentrant))

    model = Saving()
    optimizer = sgd(model)
    _watch, notebook = watch(model, optimizer)
    step(model, optimizer, pictures().requires_grad_())
    assert notebook.stats(0, 0, Kind.ACTIVATION).n == 40
    assert notebook.stats(0, 0, Kind.SIGNAL).n == 40
    assert notebook.stats(0, 0, Kind.ACTIVATION).dead is not None


def test_a_compiled_model_is_recorded_under_its_plain_names():
    model = mlp()
    compiled = torch.compile(model, backend="eager")
    optimizer = sgd(model)
    compiled(pictures())  # compiled before any hook was there
    _watch, notebook = watch(compiled, optimizer, every=[1, 3])
    for _ in range(4):
        step(compiled, optimizer)
    assert notebook.names == ["0", "2", "4"]
    assert [r.step for r in notebook.records] == [1, 3]
    assert notebook.stats(3, 0, Kind.ACTIVATION).n == notebook.stats(3, 0, Kind.SIGNAL).n == 40
    assert torch._dynamo.eval_frame._stance.stance == "default"


def test_capturing_is_refused_where_nothing_is_on_a_gpu():
    model = mlp()
    made, _notebook = watch(model, sgd(model))
    with pytest.raises(RecorderError, match="no weight of this model is on a CUDA device"), made.capturing():
        pass
