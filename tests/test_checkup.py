"""A model looked at before it is trained: what is found, and that nothing of it is changed."""

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import gradscope
from gradscope.analysis.findings import Thresholds
from gradscope.errors import RecorderError

BATCH = 50


def batch(scale: float = 1.0, classes: int = 10) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return scale * torch.randn(BATCH, 64, generator=generator), torch.arange(BATCH) % classes


def mlp(
    depth: int, activation: Callable[[], nn.Module], start: Callable[[Tensor], object], *ends: nn.Module
) -> nn.Sequential:
    torch.manual_seed(1)
    sizes = [64] * depth
    layers = [m for n in sizes for m in (nn.Linear(64, n), activation())]
    model = nn.Sequential(*layers, nn.Linear(64, 10), *ends)
    for module in model:
        if isinstance(module, nn.Linear):
            start(module.weight)
            nn.init.zeros_(module.bias)
    return model


def he(weight: Tensor) -> object:
    return nn.init.kaiming_normal_(weight, nonlinearity="relu")


def found(*arguments: object, **options: object) -> list[str]:
    return [f.name for f in gradscope.doctor(*arguments, **options).findings]  # type: ignore[arg-type]


def test_a_usual_network_is_healthy() -> None:
    model = mlp(8, nn.ReLU, he)
    seen = gradscope.doctor(model, batch(), optimizer=torch.optim.SGD(model.parameters(), 0.05))
    assert seen.findings == ()
    assert seen.is_healthy
    assert str(seen) == repr(seen) == "Healthy as far as recorded, up to step 0."


def test_deep_sigmoid_vanishes_before_anything_is_trained() -> None:
    seen = gradscope.doctor(mlp(10, nn.Sigmoid, nn.init.xavier_normal_), batch())
    assert [f.name for f in seen.findings] == ["vanishing_gradient"]
    assert seen.verdict.startswith("The gradient vanishes from ")
    assert "- critical: The gradient vanishes" in str(seen)
    assert not seen.is_healthy


@pytest.mark.parametrize(
    ("model", "scale", "name"),
    [
        (mlp(8, nn.ReLU, lambda w: nn.init.normal_(w, std=0.03)), 1.0, "dying_signal"),
        (mlp(8, nn.ReLU, lambda w: nn.init.normal_(w, std=0.6)), 1.0, "exploding_gradient"),
        (mlp(3, nn.Tanh, lambda w: nn.init.normal_(w, std=4.0)), 1.0, "saturated_units"),
        (mlp(3, nn.ReLU, he), 130.0, "input_scale"),
        (mlp(3, nn.ReLU, he, nn.Softmax(dim=1)), 0.1, "output_activation"),
    ],
)
def test_what_shows_before_training_is_found(model: nn.Module, scale: float, name: str) -> None:
    optimizer = torch.optim.SGD(model.parameters(), 0.05)
    assert name in found(model, batch(scale), optimizer=optimizer)


def test_updates_are_looked_at_where_there_is_an_optimizer() -> None:
    model = mlp(4, nn.ReLU, he)
    assert found(model, batch(), optimizer=torch.optim.Adam(model.parameters(), 1e-9)) == ["no_update"]
    assert "large_update" in found(model, batch(), optimizer=torch.optim.Adam(model.parameters(), 3.0))
    assert found(model, batch()) == []


def test_a_layer_behind_detach_is_found() -> None:
    class Cut(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.below, self.above = nn.Linear(64, 64), nn.Linear(64, 10)

        def forward(self, x: Tensor) -> Tensor:
            return self.above(self.below(x).detach())

    (finding,) = gradscope.doctor(Cut(), batch()).findings
    assert finding.text == "No gradient in below: it is cut off from the loss, so that nothing is learned there."


def test_nothing_of_the_model_the_optimizer_or_the_random_numbers_is_changed() -> None:
    model = nn.Sequential(nn.Linear(64, 32), nn.BatchNorm1d(32), nn.Dropout(), nn.ReLU(), nn.Linear(32, 10)).eval()
    optimizer = torch.optim.Adam(model.parameters(), 0.1)
    functional.cross_entropy(model(batch()[0]), batch()[1]).backward()
    optimizer.step()
    before = copy.deepcopy((model.state_dict(), optimizer.state_dict(), torch.get_rng_state()))
    gradients = [p.grad.clone() for p in model.parameters() if p.grad is not None]
    gradscope.doctor(model, batch(), optimizer=optimizer)
    after = (model.state_dict(), optimizer.state_dict(), torch.get_rng_state())
    torch.testing.assert_close(after, before, rtol=0, atol=0)
    assert not model.training
    torch.testing.assert_close([p.grad for p in model.parameters()], gradients, rtol=0, atol=0)
    assert not model[0]._forward_hooks


def test_any_batch_will_do_with_an_objective() -> None:
    model = mlp(8, nn.Sigmoid, nn.init.xavier_normal_)
    inputs, _ = batch()
    names = found(model, {"x": inputs}, objective=lambda net, given: net(given["x"]).square().mean())
    assert "vanishing_gradient" in names


def test_real_targets_are_a_regression() -> None:
    inputs, _ = batch()
    assert found(mlp(4, nn.ReLU, he), (inputs, torch.zeros(BATCH, 10))) == []


def test_thresholds_can_be_handed_in() -> None:
    loose = Thresholds(vanishing_decades=50.0)
    assert found(mlp(10, nn.Sigmoid, nn.init.xavier_normal_), batch(), thresholds=loose) == []


def test_a_loss_that_is_not_finite_is_told_with_its_layer() -> None:
    model = mlp(3, nn.ReLU, he)
    with torch.no_grad():
        model[2].weight[0, 0] = torch.nan
    assert "is in the activation of 2 at step 0" in gradscope.doctor(model, batch()).verdict


def test_a_batch_that_is_no_pair_is_refused_in_a_sentence() -> None:
    with pytest.raises(RecorderError, match=r"the batch is a dict, not a pair of tensors \(inputs, targets\); give"):
        gradscope.doctor(mlp(2, nn.ReLU, he), {"x": batch()[0]})
