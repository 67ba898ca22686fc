"""Trainings in two processes: the first one writes, and what it writes is of the whole."""

import os
from datetime import timedelta

import numpy as np
import pytest
import torch
import torch.distributed
import torch.multiprocessing
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.nn.parallel import DistributedDataParallel
from watching import close, mlp, rms

import gradscope
from gradscope import histogram
from gradscope.errors import RecorderError
from gradscope.recorder import sharded
from gradscope.store import open_store, read


def pictures(rank):
    return torch.randn(4, 6, generator=torch.Generator().manual_seed(rank))


def loss_of(model, images):
    return model(images).square().mean()


def shard(model):
    mesh = init_device_mesh("cpu", (2,))
    for layer in (model[0], model[2], model[4], model):
        fully_shard(layer, mesh=mesh)
    return model


def train(model, rank, path, watches=True):
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    with gradscope.init(store=path) as run:
        if watches:
            run.watch(model, optimizer, every=1, log="all")
        for _ in range(2):
            optimizer.zero_grad()
            loss_of(model, pictures(rank)).backward()
            optimizer.step()
            run.log({"loss": 0.5})


def refusal(model, path):
    with gradscope.init(store=path) as run:
        try:
            run.watch(model, every="auto")
        except RecorderError as error:
            return str(error)


def work(rank, folder):
    os.environ["RANK"] = str(rank)
    torch.distributed.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    train(DistributedDataParallel(mlp()), rank, folder / "data_parallel.db")
    train(shard(mlp()), rank, folder / "sharded.db")
    (folder / f"refusal-{rank}").write_text(refusal(shard(mlp()), folder / "refused.db"))
    sharded.PATIENCE = timedelta(seconds=1)
    train(shard(mlp()), rank, folder / "alone.db", watches=rank == 0)
    torch.distributed.destroy_process_group()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("distributed")
    torch.multiprocessing.start_processes(work, (folder,), nprocs=2, start_method="spawn")
    return folder


@pytest.fixture(scope="module")
def expected():
    """The same two steps in one process, on the pictures of both: (kind, step, layer) -> tensor."""
    model = mlp()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    weights, found = [m.weight for m in model if isinstance(m, nn.Linear)], {}
    for step in (0, 1):
        optimizer.zero_grad()
        (sum(loss_of(model, pictures(rank)) for rank in (0, 1)) / 2).backward()
        for layer, weight in enumerate(weights):
            found["gradient", step, layer] = weight.grad.clone()
            found["weight", step, layer] = weight.detach().clone()
        optimizer.step()
        for layer, weight in enumerate(weights):
            found["update", step, layer] = weight.detach() - found["weight", step, layer]
    return found


def stats(path):
    return {(row.kind, row.step, row.layer): row for row in gradscope.open(path).run(1).layer_stats().itertuples()}


@pytest.mark.parametrize("name", ["data_parallel", "sharded"])
def test_what_the_first_process_writes_is_of_the_whole_training(folder, expected, name):
    assert len(read.runs(open_store(folder / f"{name}.db"))) == 1
    found = stats(folder / f"{name}.db")
    for key, tensor in expected.items():
        assert found[key].rms == close(rms(tensor))
        assert found[key].n == tensor.numel()
        assert found[key].max_abs == close(tensor.abs().max().item())


def test_a_sharded_histogram_counts_every_process_part(folder, expected):
    reader = gradscope.open(folder / "sharded.db").run(1)
    counts = reader.histograms("0").query("step == 0")
    assert counts["count"].sum() == expected["gradient", 0, 0].numel()
    assert len(counts) == np.count_nonzero(histogram.count(expected["gradient", 0, 0].numpy()))


def test_sharded_layers_have_their_own_names_and_types(folder):
    layers = gradscope.open(folder / "sharded.db").run(1).layers()
    assert layers.name.tolist() == ["0", "2", "4"]
    assert layers.type.tolist() == ["Linear"] * 3


@pytest.mark.parametrize("name", ["data_parallel", "sharded"])
def test_activations_are_of_the_first_process_own_batch(folder, name):
    assert stats(folder / f"{name}.db")["activation", 0, 0].n == 4 * 8


@pytest.mark.parametrize("rank", [0, 1])
def test_a_schedule_by_the_clock_is_refused_where_all_must_record_the_same_steps(folder, rank):
    assert "every=10" in (folder / f"refusal-{rank}").read_text()


def test_where_the_other_process_does_not_watch_the_first_records_its_own_part(folder):
    assert stats(folder / "alone.db")["gradient", 0, 0].n == 4 * 6  # of 8 * 6
