"""Recording on a GPU: right, without ever waiting for it, and inside CUDA graphs."""

import pytest
import torch
from sessions import stored
from torch import nn
from watching import close, rms

import gradscope
from gradscope.methods.pseudo_norm import PseudoNormalised
from gradscope.store import open_store, read

pytestmark = pytest.mark.gpu


def network(dtype=torch.float32):
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 16, 3), nn.BatchNorm2d(16), nn.ReLU(), nn.Conv2d(16, 8, 3), nn.Tanh()]
    model = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 4))
    return model.to("cuda", dtype, memory_format=torch.channels_last)


def pictures(seed, dtype=torch.float32):
    images = torch.randn(8, 3, 12, 12, device="cuda", generator=torch.Generator("cuda").manual_seed(seed))
    return images.to(dtype, memory_format=torch.channels_last)


def sgd(model):
    return torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)


def step(model, optimizer, images):
    optimizer.zero_grad()
    loss = model(images).float().square().mean()
    loss.backward()
    optimizer.step()
    return loss


@pytest.fixture
def without_waiting():
    """PyTorch raises where the host waits for the device; switched on by a call."""
    yield lambda: torch.cuda.set_sync_debug_mode("error")
    torch.cuda.set_sync_debug_mode("default")


def gradients(model):
    return [rms(m.weight.grad) for m in model if isinstance(m, nn.Conv2d | nn.Linear)]


def recorded(path, run, step, kind="gradient"):
    table = gradscope.open(path).run(run.id).layer_stats()
    return table[(table.step == step) & (table.kind == kind)].sort_values("layer").rms.tolist()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("log", ["gradients", "all"])
def test_a_recorded_step_never_waits_for_the_device(path, without_waiting, dtype, log):
    model = network(dtype)
    optimizer, images = sgd(model), pictures(0, dtype)
    with gradscope.init(store=path) as run:
        run.watch(model, optimizer, every=1, log=log)
        step(model, optimizer, images)  # cuDNN and Triton compile
        without_waiting()
        run.log({"loss": step(model, optimizer, images)})
        torch.cuda.set_sync_debug_mode("default")
        expected = gradients(model)
    assert recorded(path, run, 1) == [close(value) for value in expected]
    assert stored(path, run).lost_rows == 0


def test_a_fused_optimiser_under_gradient_scaling_shows_unscaled_gradients_without_waiting(path, without_waiting):
    model = network()
    optimizer = torch.optim.Adam(model.parameters(), fused=True)
    scaler = torch.amp.GradScaler("cuda", init_scale=1024.0)
    with gradscope.init(store=path) as run:
        run.watch(model, optimizer, every=1)
        for number in range(2):
            if number:
                without_waiting()
            optimizer.zero_grad()
            with torch.autocast("cuda", torch.float16):
                loss = model(pictures(0)).float().square().mean()
            scaler.scale(loss).backward()
            scaler.step(optimizer)
            scaler.update()
        torch.cuda.set_sync_debug_mode("default")
        expected = [value / 1024 for value in gradients(model)]
    assert recorded(path, run, 1) == [close(value) for value in expected]


def captured_step(run, model, optimizer, images):
    aside = torch.cuda.Stream()
    aside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(aside):
        for _ in range(3):
            step(model, optimizer, images)
    torch.cuda.current_stream().wait_stream(aside)
    graph = torch.cuda.CUDAGraph()
    with run.capturing(), torch.cuda.graph(graph):
        step(model, optimizer, images)
    return graph


def test_a_step_in_a_cuda_graph_is_recorded_anew_with_each_replay(path, without_waiting):
    model = network()
    optimizer, images = sgd(model), pictures(0)
    expected = {}
    with gradscope.init(store=path) as run:
        run.watch(model, optimizer, every=1, log="all")
        graph = captured_step(run, model, optimizer, images)
        for number in (3, 4, 5):
            images.copy_(pictures(number))
            before = [m.weight.detach().clone() for m in model if isinstance(m, nn.Conv2d | nn.Linear)]
            without_waiting()
            graph.replay()
            run.record_step()
            torch.cuda.set_sync_debug_mode("default")
            now = [m.weight.detach() for m in model if isinstance(m, nn.Conv2d | nn.Linear)]
            changes = [rms(a - b) for a, b in zip(now, before, strict=True)]
            expected[number] = gradients(model), changes, [rms(w) for w in before]
    for number, (gradient, update, weight) in expected.items():
        assert recorded(path, run, number) == [close(value) for value in gradient]
        assert recorded(path, run, number, "update") == [pytest.approx(value, rel=1e-3) for value in update]
        assert recorded(path, run, number, "weight") == [close(value) for value in weight]
    table = gradscope.open(path).run(run.id).layer_stats()
    of_outputs = table[(table.step >= 3) & table.kind.isin(["activation", "signal"])]
    assert len(of_outputs) == 2 * 3 * 3
    assert of_outputs.groupby(["kind", "layer"]).rms.nunique().min() == 3


def test_passes_in_a_cuda_graph_are_recorded_when_the_optimiser_steps_outside_of_it(path):
    model = network()
    optimizer, images = sgd(model), pictures(0)
    with gradscope.init(store=path) as run:
        run.watch(model, optimizer, every=1, log="all")
        step(model, optimizer, images)
        optimizer.zero_grad()
        graph = torch.cuda.CUDAGraph()
        with run.capturing(), torch.cuda.graph(graph):
            model(images).square().mean().backward()
        graph.replay()
        optimizer.step()
        expected = gradients(model)
    assert recorded(path, run, 1) == [close(value) for value in expected]
    assert None not in recorded(path, run, 1, "activation")


def test_the_gain_of_pseudo_norm_in_a_cuda_graph_is_recorded_anew_with_each_replay(path):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(12, 8), PseudoNormalised(nn.Tanh()), nn.Linear(8, 4)).cuda()
    optimizer, images = sgd(model), torch.randn(6, 12, device="cuda")
    expected = {}
    with gradscope.init(store=path) as run:
        run.watch(model, optimizer, every=1)
        graph = captured_step(run, model, optimizer, images)
        for number in (3, 4, 5):
            images.mul_(2)
            derivative = 1 - torch.tanh(model[0](images)).detach().double() ** 2
            graph.replay()
            run.record_step()
            expected[number] = (1 / derivative.square().mean(1).sqrt()).mean().item()
    found = read.gain_series(open_store(path), run.id).set_index("step")["gain"]
    assert {number: found[number] for number in expected} == {
        n: pytest.approx(g, rel=1e-4) for n, g in expected.items()
    }


def test_a_graph_that_the_run_was_not_told_of_is_captured_all_the_same(path, caplog):
    model = network()
    optimizer, images = sgd(model), pictures(0)
    with gradscope.init(store=path) as run:
        run.watch(model, optimizer, every=1, log="all")
        for _ in range(3):
            step(model, optimizer, images)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            step(model, optimizer, images)
        graph.replay()
    assert "with run.capturing()" in caplog.text
