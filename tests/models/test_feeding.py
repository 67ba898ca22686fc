"""Which layer gets all that an activation gives."""

import torch
from torch import Tensor, nn

from gradscope.config import Mlp, PaperCnn
from gradscope.models import build_model
from gradscope.models.feeding import fed_by_one


def test_in_a_chain_each_layer_is_fed_by_the_activation_before_it():
    model = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 3), nn.Sigmoid(), nn.Linear(3, 1))
    assert fed_by_one(model) == {"2": "1", "4": "3"}


def test_a_module_that_somebody_listens_to_or_to_one_around_it_may_feed_anybody():
    model = nn.Sequential(
        nn.Sequential(nn.Linear(2, 3), nn.Tanh()),
        nn.Linear(3, 3),
        nn.Tanh(),
        nn.Linear(3, 3),
        nn.Tanh(),
        nn.Linear(3, 1),
    )
    assert fed_by_one(model) == {"1": "0.1", "3": "2", "5": "4"}
    for listened in (model[0], model[2]):
        listened.register_forward_hook(lambda *_: None)
    assert fed_by_one(model) == {"5": "4"}


def test_what_only_changes_the_shape_is_looked_through():
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Tanh(), nn.Identity(), nn.Flatten(), nn.Linear(8, 2))
    assert fed_by_one(model) == {"4": "1"}


def test_what_computes_something_in_between_is_what_feeds():
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Tanh(), nn.AvgPool2d(2), nn.Conv2d(2, 2, 1))
    assert fed_by_one(model) == {"3": "2"}


def test_in_the_papers_network_each_layer_but_the_first_is_fed_by_the_activation_before_it():
    model = build_model(PaperCnn(), (3, 32, 32), 10)
    layers = [*(f"conv.{i}.layer" for i in range(8)), "dense.0.layer", "output"]
    activations = [layer.replace("layer", "activation") for layer in layers[:-1]]
    assert fed_by_one(model) == dict(zip(layers[1:], activations, strict=True))


def test_beside_a_shortcut_nothing_feeds_a_layer_alone():
    assert fed_by_one(build_model(Mlp(depth=5, width=4, residual=True), (1, 2, 2), 2)) == {}


class Forked(nn.Module):
    """Two layers, both fed by the same activation, or the same layer twice."""

    def __init__(self, again: bool) -> None:
        super().__init__()
        self.activation = nn.Tanh()
        self.one = nn.Linear(2, 2)
        self.other = self.one if again else nn.Linear(2, 2)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.activation(x)
        return self.one(y) + self.other(y)


class InTurn(nn.Module):
    """One layer and one activation, twice."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.activation = nn.Linear(2, 2), nn.Tanh()

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(self.activation(self.layer(self.activation(x))))


class Looking(nn.Sequential):
    """Its way depends on the values, so it cannot be traced."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x if float(x.sum()) > 0 else -x)


def test_an_activation_that_feeds_two_layers_or_runs_twice_feeds_none_alone():
    assert fed_by_one(Forked(again=False)) == {}
    assert fed_by_one(Forked(again=True)) == {}
    assert fed_by_one(InTurn()) == {}


def test_of_a_network_that_cannot_be_traced_nothing_is_known():
    model = Looking(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 3))
    assert fed_by_one(model) == {}
    assert model(torch.ones(1, 2)).shape == (1, 3)
