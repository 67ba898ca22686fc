"""One forward and one backward pass of a run's network under other settings: what its gradients would be.

The network is built as the run would build it, from the same seed, and sees the run's first batch. With the weights of
the start it is step 0 of the run that would be launched with these settings, to the last bit on the same device; with
those of the checkpoint, it is the trained network with another activation, shortcut, norm or backward pass.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from gradscope.config import RunConfig
from gradscope.data import Dataset, MiniBatch, normaliser
from gradscope.labelling import labelling_of
from gradscope.methods import Method, build_methods, objective_of, plain_objective
from gradscope.methods.base import Given
from gradscope.models.activations import weight_layers
from gradscope.recorder.record import Record
from gradscope.recorder.schedule import timetable
from gradscope.recorder.watch import Receiver, Watch
from gradscope.records import Layer, LayerStats
from gradscope.store import Store
from gradscope.teachers import load_teacher
from gradscope.trained import fresh_network


@dataclass(frozen=True, kw_only=True)
class Replayed:
    """What the passes showed."""

    layers: tuple[Layer, ...]
    stats: tuple[LayerStats, ...]
    """Gradient (after every method), signal, activation and weight of every layer, at step 0."""
    loss: float
    """Of the batch, in nats; may be not finite."""
    images: int


@dataclass(frozen=True, kw_only=True)
class Weights:
    """Of a checkpoint, for a network that may not be quite the one they were trained in."""

    tensors: Mapping[str, Tensor]
    """By name; what the network has no place for is left out, what it has beside them stays as it begins."""
    scale: float = 1.0
    """Multiplies the weights (not the biases) of every Linear and Conv2d."""


@dataclass(frozen=True, kw_only=True)
class Own:
    """Where methods find what they bring to a training."""

    data: Dataset
    store: Store
    """With the run of a teacher."""


def replay(
    config: RunConfig,
    batch: MiniBatch,
    n_classes: int,
    *,
    weights: Weights | None = None,
    epoch: int = 0,
    own: Own | None = None,
) -> Replayed:
    """Make the passes, on the CPU.

    Args:
        config: the settings, already changed.
        batch: the pictures, as the network takes them.
        n_classes: K.
        weights: of a checkpoint; those of the start without it.
        epoch: of the training: some methods act in a part of it only.
        own: what methods that make something of their own ask for; see `needs_data`.

    Raises:
        ConfigError: a method cannot be applied to this model.
    """
    channels, height, width = batch.images.shape[1:]
    methods = build_methods(config.methods)
    model = fresh_network(config, (channels, height, width), n_classes, config.train.seed, methods)
    if weights is not None:
        _put(model, weights)
    if own is not None:
        _prepare(methods, model, config, own)
    for method in methods:
        method.at_epoch(model, epoch, config.train.epochs)
    return _passes(model.train(), methods, batch, config)


def needs_data(config: RunConfig) -> bool:
    """Whether a method of the run makes something of its own from the data before the training begins."""
    return any(type(method).prepare is not Method.prepare for method in build_methods(config.methods))


def _put(model: nn.Module, weights: Weights) -> None:
    own = model.state_dict()
    fitting = {n: t for n, t in weights.tensors.items() if n in own and own[n].shape == t.shape}
    model.load_state_dict(fitting, strict=False)
    if weights.scale != 1.0:
        with torch.no_grad():
            for layer in weight_layers(model):
                layer.get_parameter("weight").mul_(weights.scale)


def _prepare(methods: Sequence[Method], model: nn.Module, config: RunConfig, own: Own) -> None:
    data = own.data
    given = Given(
        model=model,
        config=config,
        data=data,
        normalise=normaliser(config.data, data),
        device=torch.device("cpu"),
        generator=torch.Generator().manual_seed(config.train.seed),
        teacher=lambda settings: load_teacher(own.store, settings, config, data),
        rate=lambda: config.optimizer.lr,
        tell=lambda _: None,
    )
    for method in methods:
        method.prepare(given)


def _passes(model: nn.Module, methods: Sequence[Method], batch: MiniBatch, config: RunConfig) -> Replayed:
    layers: list[Layer] = []
    records: list[Record] = []
    receiver = Receiver(layers=layers.extend, record=records.append)
    watch = Watch(model, None, schedule=timetable(1), log="all", choice=config.record.layers, step=0, receiver=receiver)
    try:
        for method in methods:
            method.before_pass(model, batch)
        loss = objective_of(methods, plain_objective(labelling_of(config.data)))(model, batch).loss
        loss.backward()  # type: ignore[no-untyped-call]  # untyped in torch
        for method in methods:
            method.before_step(model)
        watch.record_step()
    finally:
        watch.remove()
    stats = tuple(row for record in records for row in record.stats())
    return Replayed(layers=tuple(layers), stats=stats, loss=float(loss.detach()), images=len(batch))
