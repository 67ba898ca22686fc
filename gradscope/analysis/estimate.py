"""What a run will cost, before it is started and without torch: parameters, steps, time, memory."""

from collections.abc import Sequence
from dataclasses import dataclass

from gradscope.config import BatchNorm, Elastic, RunConfig
from gradscope.data.sizes import DataShape, data_shape, steps_per_epoch
from gradscope.models.sizes import n_parameters
from gradscope.models.sizes_exits import head_parameters
from gradscope.records import Run

_BYTES = 4
_COPIES = {"sgd": 3, "adam": 4, "adamw": 4, "rmsprop": 3, "rprop": 4}  # weights, gradients, the optimiser's own


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """The cost of a run; None where it cannot be told."""

    data: DataShape | None
    n_parameters: int | None
    """With the heads of an elastic network; None where only PyTorch knows how many those are."""
    steps: int | None
    seconds: float | None
    """From the speed of an earlier run of the same kind of network on the same data, scaled by the parameters."""
    bytes: float | None
    """Weights, gradients, the optimiser's state and the training images; not the activations."""


def estimate(config: RunConfig, earlier: Sequence[Run] = ()) -> Estimate:
    """The cost of training a config.

    Args:
        config: what to train.
        earlier: runs of this store, newest first, whose speed is known.
    """
    data = data_shape(config.data)
    if data is None:
        return Estimate(data=None, n_parameters=None, steps=None, seconds=None, bytes=None)
    batch_norm = any(isinstance(m, BatchNorm) for m in config.methods)
    n = n_parameters(config.model, data.shape, data.n_classes, batch_norm)
    heads = [head_parameters(m, config.model, data.n_classes) for m in config.methods if isinstance(m, Elastic)]
    known = sum(head or 0 for head in heads) + n
    steps = config.train.epochs * steps_per_epoch(data.n_train, config.train.batch_size)
    channels, height, width = data.shape
    n_bytes = _BYTES * known * _COPIES.get(config.optimizer.name, 3) + data.n_train * channels * height * width
    seconds = _seconds(config, known, data.n_train * config.train.epochs, earlier)
    return Estimate(
        data=data, n_parameters=None if None in heads else known, steps=steps, seconds=seconds, bytes=n_bytes
    )


def _seconds(config: RunConfig, n: int, n_images: int, earlier: Sequence[Run]) -> float | None:
    kin = next((r for r in earlier if r.progress.samples_per_second and _is_kin(r, config)), None)
    if kin is None or not kin.progress.samples_per_second:
        return None
    return n_images / kin.progress.samples_per_second * max(1.0, n / (kin.n_parameters or n))


def _is_kin(run: Run, config: RunConfig) -> bool:
    model, data = run.config.get("model"), run.config.get("data")
    if not isinstance(model, dict) or not isinstance(data, dict):
        return False
    return bool(model.get("name") == config.model.name and data.get("name") == config.data.name)
