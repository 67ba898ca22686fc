"""What can be asked."""

import math
import os
from collections.abc import Callable, Mapping
from contextlib import closing
from functools import lru_cache
from typing import Any

from safetensors.torch import load_file

from gradscope import first_batch
from gradscope.config import DataSettings, RunConfig, parse_config
from gradscope.data import Dataset, MiniBatch, augmenter, epoch_generator, load, minibatches, normaliser
from gradscope.errors import CheckpointError
from gradscope.first_batch import FirstBatch
from gradscope.models.sizes import n_macs
from gradscope.overrides import with_overrides
from gradscope.paths import RunPaths
from gradscope.records import Kind, LayerStats, Run
from gradscope.replay import Own, Replayed, Weights, needs_data, replay
from gradscope.store import Store, open_store, read

MOST_MACS = 24_000_000_000
"""Multiply-accumulates of an answer, a training step being three forward passes: 20 layers of ResNet on 128 pictures of
CIFAR take 16 thousand millions, and two thirds of a second of one core."""

SHOWN = (Kind.GRADIENT, Kind.SIGNAL, Kind.ACTIVATION)
_NUMBERS = ("n", "rms", "mean_abs", "max_abs", "zeros", "nan", "pos_inf", "neg_inf", "saturated", "dead")


def warm(asked: Mapping[str, Any]) -> dict[str, Any]:  # Any: JSON
    """The number of this process: whoever asks wants the libraries to be loaded before the first real question."""
    return {"pid": os.getpid()}


def what_if(asked: Mapping[str, Any]) -> dict[str, Any]:  # Any: JSON
    """A replay of a run under other settings.

    Args:
        asked: store (its name), run (number), settings (what to change, as `gradscope.overrides` takes it), weights
            (`checkpoint` or `start`), scale (of the checkpoint's weights).

    Returns:
        rows (of the layers: kind, layer, name, depth and the numbers of `gradscope.store.read.profile`), loss (None =
        not finite), images, is_whole (whether they are all pictures of the run's step 0).

    Raises:
        RunNotFound, CheckpointError, ConfigError, DataError: there is no such run, no checkpoint, the settings do not
            go together, or neither its first batch nor its data are there.
    """
    with closing(open_store(asked["store"])) as store:
        return _replayed(store, asked)


def _replayed(store: Store, asked: Mapping[str, Any]) -> dict[str, Any]:  # Any: JSON
    run, paths = read.run(store, int(asked["run"])), store.paths(int(asked["run"]))
    own = parse_config(run.config)
    config = with_overrides(own, asked["settings"])
    kept = first_batch.load(paths) or _drawn(own, paths)
    at_start = asked["weights"] == "start"
    batch = _affordable(config, kept)
    found = replay(
        config,
        batch,
        kept.n_classes,
        weights=None if at_start else Weights(tensors=_checkpoint(run, paths), scale=float(asked["scale"])),
        epoch=0 if at_start else min(int(run.progress.epoch or 0), config.train.epochs - 1),
        own=Own(data=_data(own.data, own.train.seed), store=store) if needs_data(config) else None,
    )
    return {**_told(found), "is_whole": kept.is_whole and len(batch) == len(kept.batch)}


def _affordable(config: RunConfig, kept: FirstBatch) -> MiniBatch:
    """As many pictures of the batch as two cores answer for within two seconds, and at least 16."""
    channels, height, width = kept.batch.images.shape[1:]
    forward = n_macs(config.model, (channels, height, width), kept.n_classes)
    return kept.batch.first(max(16, MOST_MACS // (3 * forward)))


def _checkpoint(run: Run, paths: RunPaths) -> dict[str, Any]:  # Any: safetensors names no type
    if not paths.model.exists():
        raise CheckpointError(
            f"run {run.id} ({run.name}) has no checkpoint yet; take the weights of the start, or train it for an epoch"
        )
    return dict(load_file(paths.model))


def _drawn(config: RunConfig, paths: RunPaths) -> FirstBatch:
    """The first batch of a run that did not keep it, from its data: kept for the next time."""
    data = _data(config.data, config.train.seed)
    generator = epoch_generator(config.train.seed, epoch=0)
    normalise, augment = normaliser(config.data, data), augmenter(config.data, generator)
    batches = minibatches(
        data.train, config.train.batch_size, generator=generator, transform=lambda images: normalise(augment(images))
    )
    first_batch.keep(paths, next(batches), len(data.classes))
    kept = first_batch.load(paths)
    if kept is None:
        raise CheckpointError(f"the batch {paths.first_batch} cannot be read back; look whether the disk is full")
    return kept


@lru_cache(maxsize=1)
def _data(settings: DataSettings, seed: int) -> Dataset:
    return load(settings, seed=seed)


def _told(found: Replayed) -> dict[str, Any]:  # Any: JSON
    last = max(1, len(found.layers) - 1)
    rows = [
        {"kind": str(row.kind), "layer": row.layer, "name": found.layers[row.layer].name, "depth": row.layer / last}
        | _numbers(row)
        for row in found.stats
        if row.kind in SHOWN
    ]
    return {"rows": rows, "loss": found.loss if math.isfinite(found.loss) else None, "images": found.images}


def _numbers(row: LayerStats) -> dict[str, float | None]:
    return {name: getattr(row, name) for name in _NUMBERS}


QUESTIONS: Mapping[str, Callable[[Mapping[str, Any]], Mapping[str, Any]]] = {"warm": warm, "what_if": what_if}
"""By name; each takes the question and gives the answer, both JSON."""
