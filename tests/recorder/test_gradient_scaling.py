"""Training under torch.amp.GradScaler: what is recorded is unscaled, and skipped steps are told."""

import copy
import gc
from functools import partial

import pytest
import torch
from sessions import stored
from torch import nn
from torch.amp import GradScaler
from watching import close, mlp, pictures, rms, sgd, watch

import gradscope
from gradscope.records import Kind
from gradscope.store import open_store, read


def plain_sgd(model):
    return torch.optim.SGD(model.parameters(), lr=0.1)


def fused_sgd(model):
    return torch.optim.SGD(model.parameters(), lr=0.1, fused=True)


def fused_adam(model):
    return torch.optim.Adam(model.parameters(), lr=0.1, fused=True)


def attempt(model, optimizer, scaler, *, unscale=False, treat=lambda model: None):
    optimizer.zero_grad()
    loss = model(pictures()).square().mean()
    scaler.scale(loss).backward()
    if unscale:
        scaler.unscale_(optimizer)
    treat(model)
    scaler.step(optimizer)
    scaler.update()
    return loss


def by_hand(model):
    """Signal of each layer, and gradient, without any scaling."""
    outputs, x = [], pictures()
    for module in model:
        x = module(x)
        if isinstance(module, nn.Linear):
            x.retain_grad()
            outputs.append(x)
    x.square().mean().backward()
    return [rms(output.grad) for output in outputs], [rms(layer.weight.grad) for layer in model[::2]]


@pytest.mark.parametrize("unscale", [False, True])
@pytest.mark.parametrize("optimizer_of", [plain_sgd, fused_sgd, fused_adam])
def test_gradients_and_signals_are_unscaled_and_scaling_is_no_treatment(optimizer_of, unscale):
    model = mlp()
    signals, gradients = by_hand(copy.deepcopy(model))
    optimizer = optimizer_of(model)
    _watch, notebook = watch(model, optimizer)
    attempt(model, optimizer, GradScaler("cpu", init_scale=2.0**20), unscale=unscale)
    for layer in range(3):
        assert notebook.rms(0, layer, Kind.SIGNAL) == close(signals[layer])
        assert notebook.rms(0, layer, Kind.GRADIENT) == close(gradients[layer])
    assert {s.kind for s in notebook.records[0].stats()} == {*Kind} - {Kind.RAW_GRADIENT}
    assert notebook.skips == []


@pytest.mark.parametrize("optimizer_of", [plain_sgd, fused_sgd])
def test_the_raw_gradient_is_unscaled_too(optimizer_of):
    model = mlp()
    _, gradients = by_hand(copy.deepcopy(model))
    optimizer = optimizer_of(model)
    _watch, notebook = watch(model, optimizer)

    def clip(model):
        nn.utils.clip_grad_norm_(model.parameters(), 1e-3)

    attempt(model, optimizer, GradScaler("cpu"), unscale=True, treat=clip)
    for layer in range(3):
        assert notebook.rms(0, layer, Kind.RAW_GRADIENT) == close(gradients[layer])
        assert notebook.rms(0, layer, Kind.GRADIENT) < 0.1 * gradients[layer]


@pytest.mark.parametrize("log", ["gradients", "all"])
@pytest.mark.parametrize("every", [1, [99]])
def test_skipped_attempts_are_told_with_layer_and_scale_and_leave_no_record(log, every):
    model = mlp()
    signals, _ = by_hand(copy.deepcopy(model))
    optimizer = sgd(model)
    made, notebook = watch(model, optimizer, log=log, every=every)
    scaler = GradScaler("cpu", init_scale=2.0**100, backoff_factor=2.0**-40)

    def overflow(model):
        model[2].weight.grad[0, 0] = torch.inf

    attempt(model, optimizer, scaler, treat=overflow)
    assert (made.step, made.was_skipped) == (0, True)
    attempt(model, optimizer, scaler, treat=overflow)
    attempt(model, optimizer, scaler)
    assert (made.step, made.was_skipped) == (1, False)
    rows = [row for skip in notebook.skips for row in skip.resolve().skipped]
    assert [(r.step, r.attempt, r.layer, r.kind) for r in rows] == [(0, 0, 1, "gradient"), (0, 1, 1, "gradient")]
    assert [r.scale for r in rows] == [2.0**100, 2.0**60]
    assert [r.step for r in notebook.records] == ([0] if every == 1 else [])
    if every == 1 and log == "all":
        assert notebook.stats(0, 0, Kind.SIGNAL).n == 40  # the skipped attempts' passes are not in it
        assert notebook.rms(0, 0, Kind.SIGNAL) == close(signals[0])


class Explode(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, scale):
        ctx.scale = scale
        return x.clone()

    @staticmethod
    def backward(ctx, grad):
        return grad * ctx.scale, None


class Exploding(nn.Module):
    def __init__(self, scale):
        super().__init__()
        self.scale = scale

    def forward(self, x):
        return Explode.apply(x, self.scale)


@pytest.mark.parametrize(
    ("log", "break_it", "layer", "kind"),
    [
        ("gradients", lambda m: m.insert(3, Exploding(torch.inf)), 1, "gradient"),
        ("all", lambda m: m.insert(3, Exploding(torch.inf)), 1, "signal"),
        ("all", lambda m: m[2].weight.data.fill_(torch.inf), 1, "activation"),
    ],
)
def test_the_layer_is_the_one_in_which_it_arose(log, break_it, layer, kind):
    model = mlp()
    break_it(model)
    optimizer = plain_sgd(model)
    _watch, notebook = watch(model, optimizer, log=log)
    attempt(model, optimizer, GradScaler("cpu"))
    (row,) = notebook.skips[0].resolve().skipped
    assert (row.layer, row.kind) == (layer, kind)


@pytest.mark.parametrize("every", [1, [99]])
def test_a_fused_optimiser_counts_the_step_it_skips_and_it_is_told(every):
    model = mlp()
    optimizer = fused_sgd(model)
    made, notebook = watch(model, optimizer, every=every)
    before = copy.deepcopy(model.state_dict())

    def overflow(model):
        model[4].weight.grad[0, 0] = torch.inf

    attempt(model, optimizer, GradScaler("cpu"), treat=overflow)
    assert all(torch.equal(before[name], now) for name, now in model.state_dict().items())
    assert made.step == 1
    (skip,) = notebook.skips
    (row,) = skip.resolve().skipped
    assert (row.step, row.attempt, row.layer, row.kind, row.scale) == (0, 0, 2, "gradient", 65536.0)
    assert all(record.nonfinite() is None for record in notebook.records)  # that is what gradient scaling is for


def test_a_step_that_was_only_perhaps_skipped_turns_out_to_be_taken():
    from gradscope.recorder.measure import Transfer
    from gradscope.recorder.record import Record
    from gradscope.recorder.skip import Skip

    taken = Record(3, ["a"], (Kind.GRADIENT,), [], overflow=Transfer(torch.zeros(())))
    assert Skip(record=taken, attempt=0, scale=None).resolve().skipped == ()


@pytest.fixture
def own():
    """GradScaler's own step, with nothing left that watches."""
    gc.collect()
    assert not hasattr(GradScaler.step, "__wrapped__")
    return GradScaler.step


def test_grad_scaler_is_wrapped_while_something_is_watched_and_only_then(own):
    model = mlp()
    first, _ = watch(model, sgd(model))
    second, _ = watch(model, sgd(model))
    assert GradScaler.step is not own
    assert GradScaler.step.__wrapped__ is own
    first.remove()
    assert GradScaler.step is not own
    second.remove()
    assert GradScaler.step is own
    without_optimizer, _ = watch(model)
    assert GradScaler.step is own
    without_optimizer.remove()


def test_a_watch_that_is_forgotten_leaves_grad_scaler_as_it_was(own):
    watch(mlp(), sgd(mlp()))
    gc.collect()
    assert GradScaler.step is own


def test_somebody_elses_wrapper_stays(own):
    model = mlp()
    made, notebook = watch(model, optimizer := sgd(model))
    theirs = lambda *a, **k: own(*a, **k)  # noqa: E731
    GradScaler.step = theirs
    try:
        made.remove()
        assert GradScaler.step is theirs
    finally:
        GradScaler.step = own
    again, notebook = watch(model, optimizer)
    attempt(model, optimizer, GradScaler("cpu", init_scale=4.0))
    again.remove()
    assert len(notebook.records) == 1
    assert GradScaler.step is own


def test_a_disabled_scaler_and_another_optimiser_are_none_of_our_business():
    model, other = mlp(), mlp()
    optimizer = sgd(model)
    made, notebook = watch(model, optimizer)
    attempt(model, optimizer, GradScaler("cpu", enabled=False))
    other[0].weight.register_hook(lambda grad: grad * torch.inf)
    attempt(other, sgd(other), GradScaler("cpu"))
    assert (made.step, notebook.skips) == (1, [])


def filled(value, model):
    model[0].weight.grad.fill_(value)


def test_skipped_steps_reach_the_store_and_values_logged_meanwhile_give_way_to_the_next_attempts(tmp_path):
    run = gradscope.init(store=tmp_path / "runs.db")
    model = mlp()
    optimizer = plain_sgd(model)
    run.watch(model, optimizer, every=1)
    scaler = GradScaler("cpu")
    steps = []
    for value in range(6):
        fill = torch.nan if value in (0, 1, 4) else 1.0
        attempt(model, optimizer, scaler, treat=partial(filled, fill))
        run.log({"loss": value})
        steps.append(run.step)
    run.finish()
    assert steps == [0, 0, 1, 2, 2, 3]
    skipped = read.skipped_steps(open_store(tmp_path / "runs.db"), [run.id])
    assert skipped[["step", "attempt", "name", "kind"]].values.tolist() == [
        *([0, 0, "0", "gradient"], [0, 1, "0", "gradient"], [2, 0, "0", "gradient"])
    ]
    metrics = gradscope.open(tmp_path / "runs.db").run(run.id).metrics()
    assert metrics.step.tolist() == [0, 1, 2]
    assert metrics.value.tolist() == [2.0, 3.0, 5.0]
    assert stored(tmp_path / "runs.db", run).nonfinite is None
