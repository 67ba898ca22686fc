"""A run's network as its last checkpoint left it, with the data it was trained on."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from gradscope import checkpoint
from gradscope.config import RunConfig, Torchvision, parse_config
from gradscope.data import Dataset, Transform, load, normaliser
from gradscope.data.dataset import Progress
from gradscope.errors import CheckpointError
from gradscope.methods import Method, build_methods
from gradscope.models import build_model
from gradscope.models.sizes import Shape
from gradscope.store import Store, read


@dataclass(frozen=True, kw_only=True)
class Trained:
    """What an evaluation works on; in eval mode, on its device."""

    run_id: int
    config: RunConfig
    data: Dataset
    normalise: Transform
    """uint8 images to what the network was trained on."""
    model: nn.Module
    """Images float32 [B, C, H, W] to logits [B, K]."""
    step: int
    """Optimiser steps behind the weights."""
    fingerprint: str
    """Of the weights: equal fingerprints, equal networks."""
    device: torch.device


def untrained(config: RunConfig, data: Dataset, seed: int) -> nn.Module:
    """The run's network with the weights of another seed, on the CPU."""
    model = config.model
    if isinstance(model, Torchvision) and model.pretrained:  # what is to be loaded, or random, needs no download
        config = config.model_copy(update={"model": model.model_copy(update={"pretrained": False})})
    return fresh_network(config, data.shape, len(data.classes), seed)


def fresh_network(
    config: RunConfig, in_shape: Shape, n_classes: int, seed: int, methods: Sequence[Method] | None = None
) -> nn.Module:
    """The network as a training of that seed begins with it, on the CPU; the global random state stays as it was.

    Args:
        config: of the run; its model, and its methods as far as they change the model.
        in_shape: channels, height and width of a picture.
        n_classes: K.
        seed: of the weights.
        methods: the run's, for whoever goes on with them: some keep what they learn of the model. New ones otherwise.
    """
    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = build_model(config.model, in_shape=in_shape, n_classes=n_classes)
        for method in build_methods(config.methods) if methods is None else methods:
            model = method.adapt(model, generator)
    return model


def load_trained(store: Store, run_id: int, device: torch.device, progress: Progress | None = None) -> Trained:
    """Load a run's data and network.

    Args:
        store: where the run is.
        run_id: which.
        device: where data and network go.
        progress: called with (done, total) while pictures are decoded or downloaded.

    Raises:
        RunNotFound, CheckpointError, DataError: there is no such run, no checkpoint, or the data cannot be had.
    """
    run = read.run(store, run_id)
    paths = store.paths(run_id)
    if run.source != "train" or not paths.model.exists():
        raise CheckpointError(
            f"run {run_id} ({run.name}) has no checkpoint; train it with GradScope for at least one epoch"
        )
    config = parse_config(run.config)
    data = load(config.data, seed=config.train.seed, progress=progress).to(device)
    model = untrained(config, data, config.train.seed)
    # the hash first: a checkpoint written in between then counts as the older one, and is computed once more
    fingerprint = checkpoint.weights_hash(paths)
    step = checkpoint.load_weights(paths, model)
    return Trained(
        run_id=run_id,
        config=config,
        data=data,
        normalise=normaliser(config.data, data),
        model=model.to(device).eval(),
        step=step,
        fingerprint=fingerprint,
        device=device,
    )
