"""How long a reproduction takes, before it is begun and without torch."""

from collections.abc import Sequence

from gradscope.config import RunConfig, parse_config
from gradscope.data.sizes import data_shape, steps_per_epoch
from gradscope.errors import ConfigError
from gradscope.models.sizes import n_macs
from gradscope.records import Run

MACS_PER_CORE = 13e9
"""Multiply-accumulates of a forward pass that one core trains through in a second, backward pass included. Measured
with model 1 of the pseudo-normalising paper at batch 50: 0.166 s a step."""
SECONDS_PER_STEP_ON_GPU = 0.004
"""Small networks wait for the launches of their kernels, whatever the GPU."""
STARTING = 3.0
"""Seconds until the libraries and the data are loaded."""
EVALUATION = 1.1
"""Validation, test and recording on top of the training itself."""


def seconds(config: RunConfig, earlier: Sequence[Run], *, cores: int, gpu: bool) -> float | None:
    """Time of one run; None where its data cannot be looked at.

    From the speed of the newest earlier run of such a network on such data, by its multiply-accumulates; else from what
    one core, or a GPU, was measured to do.

    Args:
        config: what to train.
        earlier: runs of this machine, newest first.
        cores: of the processor that the run may use.
        gpu: whether there is a GPU to run it on.
    """
    shape = data_shape(config.data)
    if shape is None:
        return None
    images = shape.n_train * config.train.epochs
    macs = n_macs(config.model, shape.shape, shape.n_classes)
    measured = next((rate for run in earlier if (rate := _macs_per_second(run, config))), None)
    if measured is None and gpu:
        steps = config.train.epochs * steps_per_epoch(shape.n_train, config.train.batch_size)
        return STARTING + EVALUATION * SECONDS_PER_STEP_ON_GPU * steps
    return STARTING + EVALUATION * images * macs / (measured or MACS_PER_CORE * cores)


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
