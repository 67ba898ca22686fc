"""What is computed on a run beside its training, as frozen values: the tasks, and what they find."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from gradscope.records import Status

CLEAN = "clean"
"""The kind of the undisturbed test pictures, at level 0: where every curve of robustness begins."""


@dataclass(frozen=True, kw_only=True)
class RobustnessPoint:
    """How a run's network did on test pictures that were disturbed in one way at one strength."""

    kind: str
    """A kind of `gradscope.config.robustness`, or CLEAN."""
    level: float
    """How strong: standard deviation, severity or change, as the kind says; 0 for `clean`."""
    seed: int
    """Of the disturbance."""
    draws: int
    """How often each picture was disturbed."""
    images: int
    """How many test pictures; the same ones for every run on the same data."""
    step: int
    """Optimiser steps behind the weights."""
    fingerprint: str
    """Of the weights."""
    accuracy: float
    """Mean over the draws, in 0..1."""
    deviation: float | None
    """Sample standard deviation of the accuracy over the draws; None with a single draw."""
    accuracies: tuple[float, ...]
    """Of each draw, in 0..1."""
    per_class: dict[str, float | None]
    """Over all draws, in 0..1, by the name of the class; None where no test picture is of it."""
    right: bytes
    """One byte a picture: in how many of the draws it was classified right."""
    device: str
    """What it was computed on; another kind of device draws other noise of the same distribution."""
    settings: dict[str, object]
    """Of the task that computed it."""


@dataclass(frozen=True, kw_only=True)
class ExitPoint:
    """What a run's network costs and is worth up to one of its exits."""

    exit: int
    """Counted from the input, from 1; a network without exits has one."""
    point: str | None
    """Name of the module behind which it sits; None for the last."""
    images: int
    """How many test pictures."""
    step: int
    """Optimiser steps behind the weights."""
    fingerprint: str
    """Of the weights."""
    accuracy: float
    """In 0..1."""
    loss: float
    """Mean cross entropy in nats."""
    calibration_error: float
    """Expected calibration error in 0..1."""
    macs: int
    """Multiply-accumulates a picture, without earlier heads."""
    macs_asking: int
    """The same with every earlier head."""
    parameters: int
    """Up to here, without earlier heads."""
    milliseconds: float
    """A picture, measured."""
    batch_size: int
    """Pictures that were answered at once."""
    device: str
    """What it was measured on."""


@dataclass(frozen=True, kw_only=True)
class ExitSweep:
    """A run's network whose pictures leave at the first exit that is sure enough."""

    rule: str
    """confidence or entropy, see `gradscope.config.exits`."""
    threshold: float
    images: int
    """How many test pictures."""
    step: int
    """Optimiser steps behind the weights."""
    fingerprint: str
    """Of the weights."""
    accuracy: float
    """In 0..1."""
    macs: float
    """Multiply-accumulates a picture, the mean."""
    milliseconds: float
    """A picture, measured."""
    left: tuple[int, ...]
    """How many pictures left at each exit."""
    batch_size: int
    """Pictures that were answered at once."""
    device: str
    """What it was measured on."""


@dataclass(frozen=True, kw_only=True)
class Task:
    """Something computed on a run beside its training, such as its accuracy under noise."""

    id: int
    run_id: int
    kind: str
    """What is computed; a name in `gradscope.tasks.registry`."""
    settings: dict[str, object]
    """How; enough to compute it again."""
    status: Status
    """As a run's, without diverged."""
    created: datetime
    started: datetime | None
    ended: datetime | None
    heartbeat: datetime | None
    done: int
    """Parts that are computed, of whatever the kind counts."""
    total: int | None
    """Parts in all; None as long as nobody knows."""
    phase: str | None
    """What the task is doing in a word or two."""
    stop_requested: bool
    error: str | None
    """Why it failed, one sentence."""
    host: str | None
    pid: int | None


class Part(StrEnum):
    """What a file of attributions holds."""

    MAPS = "maps"
    """`gradscope.attributions.Attributions`."""
    CHECKS = "checks"
    """`gradscope.attributions.Checks` of maps that another file holds."""
    REFUSAL = "refusal"
    """No file: the method cannot explain the network."""


@dataclass(frozen=True, kw_only=True)
class Attribution:
    """Attributions of some test pictures, as the store knows them."""

    run_id: int
    fingerprint: str
    """Of the weights."""
    step: int
    """Optimiser steps behind them."""
    part: Part
    method: str
    """The settings of the method, JSON of `gradscope.config.attributions`."""
    target: str
    """`predicted`, `true` or the number of a class."""
    places: tuple[int, ...]
    """Of the pictures in the test split."""
    file: str | None
    """Name for `RunPaths.attributions`."""
    refusal: str | None
    """Why the method cannot explain this network, one sentence."""
    seconds: float
    """What it took to compute."""
    created: datetime
