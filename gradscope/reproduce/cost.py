"""How long a reproduction takes, before it is begun and without torch."""

from collections.abc import Sequence

from gradscope.config import RunConfig, parse_config
from gradscope.data.sizes import data_shape
from gradscope.errors import ConfigError
from gradscope.models.sizes import n_macs
from gradscope.records import Run
from gradscope.reproduce.group import Item

MACS_PER_CORE = 13e9
"""Multiply-accumulates of a forward pass that one core trains through in a second, backward pass included. Measured
with model 1 of the pseudo-normalising paper at batch 50: 0.166 s a step."""
SECONDS_PER_STEP_ON_GPU = 0.004
"""Small networks wait for the launches of their kernels, whatever the GPU."""
STARTING = 3.0
"""Seconds until the libraries and the data are loaded."""
EVALUATION = 1.1
"""Validation, test and recording on top of the training itself."""
FORWARD = 1 / 3
"""Share of a training step that is its forward pass."""
TEST_PICTURES = 10_000
"""Of CIFAR, where nothing limits them."""


def cost(item: Item, earlier: Sequence[Run], *, cores: int, gpu: bool) -> float | None:
    """Seconds that an item still takes; None where its data cannot be looked at.

    From the speed of the newest earlier run of such a network, by its multiply-accumulates; else from what one core, or
    a GPU, was measured to do.

    Args:
        item: not trained yet, or trained and not yet tested under noise.
        earlier: runs of this machine, newest first.
        cores: of the processor that it may use.
        gpu: whether there is a GPU.
    """
    shape = data_shape(item.config.data)
    if shape is None:
        return None
    train = item.config.train
    macs = n_macs(item.config.model, shape.shape, shape.n_classes)
    measured = next((rate for run in earlier if (rate := _macs_per_second(run, item.config))), None)
    per_image = macs / (measured or MACS_PER_CORE * cores)
    if measured is None and gpu:
        per_image = SECONDS_PER_STEP_ON_GPU / train.batch_size
    trained = 0.0 if item.is_trained else EVALUATION * shape.n_train * train.epochs
    return STARTING + per_image * (trained + FORWARD * _noisy_pictures(item))


def _noisy_pictures(item: Item) -> int:
    """Pictures that are classified in the test under noise."""
    if item.noise is None:
        return 0
    pictures = min(n or TEST_PICTURES for n in (item.noise.images, item.config.data.limit))
    return pictures * (1 + sum(item.noise.draws * len(item.noise.levels_of(kind)) for kind in item.noise.kinds))


def _macs_per_second(run: Run, config: RunConfig) -> float | None:
    """How many multiply-accumulates of forward passes a run of such a model and batch size trained through a second."""
    speed = run.progress.samples_per_second
    if not speed or run.source != "train":
        return None
    try:
        own = parse_config(run.config)
    except ConfigError:  # of an older GradScope, or of a newer one
        return None
    if own.model.name != config.model.name or own.train.batch_size != config.train.batch_size:
        return None
    shape = data_shape(own.data)
    return speed * n_macs(own.model, shape.shape, shape.n_classes) if shape else None
