"""What a watch records of real little networks, against autograd by hand."""

import copy
import gc
import io
import pickle
import weakref

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from gradscope.errors import RecorderError
from gradscope.recorder import measure
from gradscope.recorder.schedule import every_steps, on_steps, schedule_of
from gradscope.recorder.watch import Receiver, Watch
from gradscope.records import Kind


class Notebook:
    """Keeps what a watch hands over; the receiver a session would be."""

    def __init__(self):
        self.layers, self.records = [], []

    @property
    def names(self):
        return [layer.name for layer in self.layers]

    def stats(self, step, layer, kind):
        (record,) = [r for r in self.records if r.step == step]
        (found,) = [s for s in record.stats() if s.layer == layer and s.kind == kind]
        return found

    def rms(self, step, layer, kind):
        return self.stats(step, layer, kind).rms


def watch(model, optimizer=None, *, every=1, log="all", layers=None, step=0):
    notebook = Notebook()
    receiver = Receiver(layers=notebook.layers.extend, record=notebook.records.append)
    made = Watch(model, optimizer, schedule=schedule_of(every), log=log, choice=layers, step=step, receiver=receiver)
    return made, notebook


def sgd(model, lr=0.1):
    return torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr)


def rms(tensor):
    return tensor.detach().double().square().mean().sqrt().item()


def close(value):
    return pytest.approx(value, rel=1e-6)


def mlp(*activations):
    torch.manual_seed(0)
    a, b = activations or (nn.Tanh(), nn.Tanh())
    return nn.Sequential(nn.Linear(6, 8), a, nn.Linear(8, 8), b, nn.Linear(8, 3))


def pictures(n=5):
    return torch.randn(n, 6, generator=torch.Generator().manual_seed(1))


def step(model, optimizer, x=None):
    optimizer.zero_grad()
    loss = model(pictures() if x is None else x).square().mean()
    loss.backward()
    optimizer.step()
    return loss


def trace_of(model):
    return sum(
        len(m._forward_hooks) + len(m._forward_pre_hooks) + len(m._backward_hooks) + len(m._backward_pre_hooks)
        for m in model.modules()
    )


# Schedules ------------------------------------------------------------------------------------------------------------


def test_records_are_dense_early_and_regular_later():
    due = every_steps(10)
    assert [s for s in range(41) if due(s)] == [0, 1, 2, 4, 8, 10, 20, 30, 40]
    assert all(map(every_steps(1), range(20)))


def test_a_schedule_may_be_steps_or_a_function():
    assert [s for s in range(9) if schedule_of([3, 5])(s)] == [3, 5]
    assert [s for s in range(9) if on_steps({2})(s)] == [2]
    assert schedule_of(lambda s: s == 7)(7)


@pytest.mark.parametrize("every", [0, -1, 2.5, True])
def test_a_schedule_of_no_steps_is_refused(every):
    with pytest.raises(RecorderError, match="whole number from 1 on"):
        schedule_of(every)


# Values ---------------------------------------------------------------------------------------------------------------


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


def test_a_module_used_twice_shows_both_calls_together():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.a = nn.Linear(6, 6)

        def forward(self, x):
            self.first = self.a(x)
            self.second = self.a(self.first.tanh())
            self.first.retain_grad()
            self.second.retain_grad()
            return self.second

    model = Twice()
    optimizer = sgd(model)
    _watch, notebook = watch(model, optimizer)
    step(model, optimizer)
    both = torch.cat([model.first, model.second]), torch.cat([model.first.grad, model.second.grad])
    assert notebook.stats(0, 0, Kind.ACTIVATION).n == 60
    assert notebook.rms(0, 0, Kind.ACTIVATION) == close(rms(both[0]))
    assert notebook.rms(0, 0, Kind.SIGNAL) == close(rms(both[1]))


def test_tied_weights_are_two_layers_with_one_gradient():
    model = nn.Sequential(nn.Linear(6, 6), nn.Tanh(), nn.Linear(6, 6))
    model[2].weight = model[0].weight
    optimizer = sgd(model)
    _watch, notebook = watch(model, optimizer)
    step(model, optimizer)
    assert notebook.names == ["0", "2"]
    assert notebook.rms(0, 0, Kind.GRADIENT) == notebook.rms(0, 1, Kind.GRADIENT) == close(rms(model[0].weight.grad))


def test_a_frozen_layer_is_listed_and_has_no_gradient():
    model = mlp()
    model[0].requires_grad_(False)
    optimizer = sgd(model)
    _watch, notebook = watch(model, optimizer)
    step(model, optimizer)
    assert [layer.trainable for layer in notebook.layers] == [False, True, True]
    for kind in (Kind.GRADIENT, Kind.SIGNAL, Kind.UPDATE):
        frozen = notebook.stats(0, 0, kind)
        assert (frozen.n, frozen.rms, frozen.histogram) == (0, None, None)
    assert notebook.rms(0, 0, Kind.ACTIVATION) > 0
    assert notebook.rms(0, 0, Kind.WEIGHT) > 0


def test_layers_come_in_the_order_of_use_and_unused_ones_last():
    class Shuffled(nn.Module):
        def __init__(self):
            super().__init__()
            self.unused = nn.Linear(6, 2)
            self.last = nn.Linear(6, 3)
            self.first = nn.Linear(6, 6)

        def forward(self, x):
            return self.last(self.first(x))

    model = Shuffled()
    optimizer = sgd(model)
    _watch, notebook = watch(model, optimizer)
    step(model, optimizer)
    assert notebook.names == ["first", "last", "unused"]
    assert [layer.index for layer in notebook.layers] == [0, 1, 2]
    assert notebook.stats(0, 2, Kind.GRADIENT).n == 0


def test_a_layer_inside_an_attention_block_that_is_never_called_stands_with_its_block():
    model = nn.Sequential(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), nn.Linear(8, 2))
    optimizer = sgd(model)
    _watch, notebook = watch(model, optimizer, log="gradients")
    step(model, optimizer, torch.randn(2, 4, 8))
    attention = ["0.self_attn", "0.self_attn.out_proj"]
    assert notebook.names == [*attention, "0.linear1", "0.linear2", "1"]
    assert notebook.stats(0, 1, Kind.GRADIENT).n == 64


def test_a_stack_of_recurrent_layers_is_one_layer_a_level():
    class Reader(nn.Module):
        def __init__(self):
            super().__init__()
            self.lstm, self.out = nn.LSTM(6, 4, num_layers=2, batch_first=True), nn.Linear(4, 2)

        def forward(self, x):
            return self.out(self.lstm(x)[0])

    model = Reader()
    optimizer = sgd(model)
    _watch, notebook = watch(model, optimizer)
    step(model, optimizer, torch.randn(3, 7, 6))
    assert notebook.names == ["lstm.l0", "lstm.l1", "out"]
    assert notebook.stats(0, 0, Kind.GRADIENT).n == 16 * 6 + 16 * 4
    both = torch.cat([model.lstm.weight_ih_l1.grad.flatten(), model.lstm.weight_hh_l1.grad.flatten()])
    assert notebook.rms(0, 1, Kind.GRADIENT) == close(rms(both))
    assert notebook.stats(0, 1, Kind.ACTIVATION).n == 3 * 7 * 4
    assert notebook.stats(0, 0, Kind.ACTIVATION).n == 0


def test_of_a_tuple_the_first_tensor_is_the_activation():
    class Pair(nn.Linear):
        def forward(self, x):
            return super().forward(x), "a word"

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.a = Pair(6, 3)

        def forward(self, x):
            return self.a(x)[0]

    model = Net()
    optimizer = sgd(model)
    _watch, notebook = watch(model, optimizer)
    step(model, optimizer)
    assert notebook.stats(0, 0, Kind.SIGNAL).n == 15


def test_a_sparse_embedding_gradient_counts_its_implied_zeros():
    model = nn.Sequential(nn.Embedding(50, 4, sparse=True), nn.Linear(4, 2))
    optimizer = sgd(model)
    _watch, notebook = watch(model, optimizer)
    step(model, optimizer, torch.tensor([[3, 3, 7]]))
    stats = notebook.stats(0, 0, Kind.GRADIENT)
    assert (stats.n, stats.zeros) == (200, 192)
    assert stats.rms == close(rms(model[0].weight.grad.to_dense()))


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


# Not finite -----------------------------------------------------------------------------------------------------------


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


# Which layers, and mistakes -------------------------------------------------------------------------------------------


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


# Leaving no trace -----------------------------------------------------------------------------------------------------


def test_unwatch_leaves_nothing_behind():
    model = mlp()
    optimizer = sgd(model)
    for _ in range(200):
        made, _ = watch(model, optimizer)
        made.remove()
    assert trace_of(model) == 0
    assert not optimizer._optimizer_step_pre_hooks
    assert not optimizer._optimizer_step_post_hooks


def test_a_watched_model_is_not_kept_alive_by_what_was_recorded():
    model = mlp()
    optimizer = sgd(model)
    made, notebook = watch(model, optimizer)
    step(model, optimizer)
    gone = weakref.ref(model)
    made.remove()
    del model, optimizer, made
    gc.collect()
    assert gone() is None
    assert notebook.rms(0, 0, Kind.GRADIENT) > 0


def copied(model):
    return copy.deepcopy(model)


def pickled(model):
    return pickle.loads(pickle.dumps(model))


def saved(model):
    file = io.BytesIO()
    torch.save(model, file)
    file.seek(0)
    return torch.load(file, weights_only=False)


@pytest.mark.parametrize("twin_of", [copied, pickled, saved])
def test_a_watched_model_can_be_copied_pickled_and_saved_and_its_twin_is_not_watched(twin_of):
    model = mlp()
    optimizer = sgd(model)
    _watch, notebook = watch(model, optimizer)
    assert trace_of(model) > 0
    twin = twin_of(model)
    F.mse_loss(twin(pictures(100)), torch.zeros(100, 3)).backward()
    step(model, optimizer)
    assert notebook.stats(0, 0, Kind.ACTIVATION).n == 40
    np.testing.assert_array_equal(twin[4].weight.shape, (3, 8))


def test_the_pickle_of_a_watched_model_names_nothing_of_ours():
    model = mlp()
    _made, _notebook = watch(model, sgd(model))
    assert b"gradscope" not in pickle.dumps(model)


def test_a_watched_optimiser_can_be_copied():
    model = mlp()
    optimizer = torch.optim.Adam(model.parameters())
    _made, _notebook = watch(model, optimizer)
    step(model, optimizer)
    assert copy.deepcopy(optimizer).state_dict()["param_groups"] == optimizer.state_dict()["param_groups"]
