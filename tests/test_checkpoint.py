import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torch import nn
from torch.optim import SGD

from gradscope import checkpoint
from gradscope.checkpoint import Position
from gradscope.errors import CheckpointError
from gradscope.paths import RunPaths

AT_7 = Position(step=7, seconds=1.5, best_val_score=0.25)


@pytest.fixture
def paths(tmp_path):
    return RunPaths.of(str(tmp_path / "runs.db"), 3)


def net_and_optimizer(width=4):
    net = nn.Sequential(nn.Linear(3, width), nn.Tanh(), nn.Linear(width, 2))
    optimizer = SGD(net.parameters(), lr=0.1, momentum=0.9)
    net(torch.ones(5, 3)).sum().backward()
    optimizer.step()
    return net, optimizer


def test_everything_comes_back(paths):
    net, optimizer = net_and_optimizer()
    checkpoint.save(paths, net, optimizer, AT_7)
    drawn = torch.rand(3)
    other, its_optimizer = net_and_optimizer()

    assert checkpoint.load(paths, other, its_optimizer) == AT_7
    assert all(torch.equal(a, b) for a, b in zip(net.parameters(), other.parameters(), strict=True))
    assert torch.equal(torch.rand(3), drawn)
    momenta = [next(iter(o.state_dict()["state"].values()))["momentum_buffer"] for o in (optimizer, its_optimizer)]
    assert torch.equal(*momenta)


def test_nothing_is_left_beside_the_two_files(paths):
    checkpoint.save(paths, *net_and_optimizer(), AT_7)
    assert sorted(p.name for p in paths.folder.iterdir()) == ["model.safetensors", "resume.pt"]


def test_there_is_none_before_the_first(paths):
    assert not checkpoint.exists(paths)


def test_weights_of_another_model_are_refused(paths):
    checkpoint.save(paths, *net_and_optimizer(), AT_7)
    with pytest.raises(CheckpointError, match=r"of another model \(size mismatch for 0\.weight"):
        checkpoint.load(paths, *net_and_optimizer(width=5))


def test_a_torn_file_is_refused(paths):
    net, optimizer = net_and_optimizer()
    checkpoint.save(paths, net, optimizer, AT_7)
    paths.resume.write_bytes(paths.resume.read_bytes()[:400])
    with pytest.raises(CheckpointError, match="cannot be read"):
        checkpoint.load(paths, net, optimizer)


def test_the_weights_are_there_for_anybody(paths):
    net, optimizer = net_and_optimizer()
    checkpoint.save(paths, net, optimizer, AT_7)
    weights = load_file(paths.model)
    assert torch.equal(weights["2.bias"], net[2].bias)
    with safe_open(paths.model, framework="pt") as file:
        assert file.metadata() == {"step": "7"}


def test_a_save_that_was_cut_off_leaves_the_one_before(paths):
    net, optimizer = net_and_optimizer()
    checkpoint.save(paths, net, optimizer, AT_7)
    paths.resume.with_name("resume.pt.part").write_bytes(b"half a file")
    assert checkpoint.load(paths, *net_and_optimizer()) == AT_7
