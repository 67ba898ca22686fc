"""Loss and accuracy of a network on a split."""

import math

import pytest
import torch
from torch import Tensor, nn

from gradscope.data import Split
from gradscope.evaluate.accuracy import accuracy


class Told(nn.Module):
    """Logits straight from the first pixels: a network whose answers are known."""

    def forward(self, images: Tensor) -> Tensor:
        return images[:, 0, 0, :2]


def split(rows: list[list[int]], labels: list[int]) -> Split:
    return Split(images=torch.tensor(rows, dtype=torch.uint8)[:, None, None, :], labels=torch.tensor(labels))


def plain(images: Tensor) -> Tensor:
    return images.float()


@pytest.mark.parametrize("batch_size", [1, 2, 3, 1000])
def test_loss_is_the_mean_cross_entropy_in_nats_and_accuracy_the_share_of_right_answers(batch_size: int) -> None:
    loss, right = accuracy(Told(), split([[1, 0], [0, 3], [0, 2], [0, 0]], [0, 1, 0, 0]), plain, batch_size)
    expected = [math.log1p(math.exp(-1)), math.log1p(math.exp(-3)), math.log1p(math.exp(2)), math.log(2)]
    assert loss == pytest.approx(sum(expected) / 4, rel=1e-6)
    assert right == 0.75


def test_the_model_is_evaluated_in_eval_mode_and_every_module_gets_its_mode_back() -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(2, 2), nn.Dropout(0.9), nn.BatchNorm1d(2))
    model[2].eval()
    before = [m.training for m in model.modules()]
    statistics = model[3].running_mean.clone()
    results = {accuracy(model, split([[1, 0], [0, 3]], [0, 1]), plain) for _ in range(5)}
    assert len(results) == 1
    assert [m.training for m in model.modules()] == before
    assert torch.equal(model[3].running_mean, statistics)


def test_the_modes_come_back_even_when_the_model_fails() -> None:
    model = nn.Sequential(nn.Linear(5, 2))
    with pytest.raises(RuntimeError):
        accuracy(model, split([[1, 0]], [0]), plain)
    assert model.training


def test_no_gradient_is_computed() -> None:
    seen: list[bool] = []
    model = nn.Sequential(nn.Flatten(), nn.Linear(2, 2))
    model.register_forward_hook(lambda m, i, o: seen.append(o.requires_grad))
    accuracy(model, split([[1, 0]], [0]), plain)
    assert seen == [False]


def test_autocast_runs_the_model_in_the_type_asked_for_or_in_that_around_it() -> None:
    seen: list[torch.dtype] = []
    model = nn.Sequential(nn.Flatten(), nn.Linear(2, 2))
    model.register_forward_hook(lambda m, i, o: seen.append(o.dtype))
    data = split([[1, 0]], [0])
    accuracy(model, data, plain)
    accuracy(model, data, plain, autocast=torch.bfloat16)
    with torch.autocast("cpu", torch.bfloat16):
        accuracy(model, data, plain)
    assert seen == [torch.float32, torch.bfloat16, torch.bfloat16]


def test_a_loss_that_is_not_finite_is_returned_as_it_is() -> None:
    loss, _ = accuracy(Told(), split([[1, 0]], [0]), lambda x: x.float() / 0)
    assert math.isnan(loss)
