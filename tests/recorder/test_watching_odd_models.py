"""Networks that break the obvious recorder."""

import torch
from torch import nn
from watching import close, mlp, rms, sgd, step, watch

from gradscope.records import Kind


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
