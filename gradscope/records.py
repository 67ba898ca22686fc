"""The vocabulary: what is written to a store and read from it, as frozen values."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from gradscope.terms import TermCosine as TermCosine
from gradscope.terms import TermGradient as TermGradient


class Status(StrEnum):
    """Where a run is in its life.

    queued -> running -> stopping -> stopped, or running -> completed | failed | diverged | lost.
    """

    QUEUED = "queued"
    RUNNING = "running"
    STOPPING = "stopping"
    STOPPED = "stopped"
    COMPLETED = "completed"
    FAILED = "failed"
    DIVERGED = "diverged"
    LOST = "lost"

    @property
    def is_final(self) -> bool:
        """Whether nothing more will be recorded unless somebody resumes the run."""
        return self not in {Status.QUEUED, Status.RUNNING, Status.STOPPING}

    @property
    def is_alive(self) -> bool:
        """Whether a process is expected to send heartbeats."""
        return self in {Status.RUNNING, Status.STOPPING}


class Kind(StrEnum):
    """What a row of layer statistics was measured on."""

    GRADIENT = "gradient"
    """dL/dW as the optimiser sees it: unscaled, after clipping and after every method. Nats per unit weight."""
    RAW_GRADIENT = "raw_gradient"
    """dL/dW as the backward pass left it, unscaled, before clipping and methods; only where it differs."""
    SIGNAL = "signal"
    """dL/d(layer output), the back-propagated error of one batch. Nats per unit output."""
    ACTIVATION = "activation"
    """The layer's output (before the activation module that follows it)."""
    WEIGHT = "weight"
    """The weights before the step."""
    UPDATE = "update"
    """What the optimiser added to the weights in the step."""


HEARTBEAT_SECONDS = 1.0
"""How often a living run says so."""

LOST_AFTER_SECONDS = 30.0
"""A run without a heartbeat for so long is lost: its process is gone, or its machine."""


@dataclass(frozen=True, kw_only=True)
class Layer:
    """A module that owns a weight."""

    index: int
    """0 at the input; order of first use in the forward pass."""
    name: str
    """Dotted name in the model, without the prefixes of wrappers."""
    type: str
    """Class of the module: Linear, Conv2d, ..."""
    shape: tuple[int, ...]
    """Shape of the weight."""
    n_weights: int
    trainable: bool = True


@dataclass(frozen=True, kw_only=True)
class LayerStats:
    """One kind of tensor of one layer at one step, reduced to numbers.

    Moments are over the finite elements, in float64. They are None where no element is finite or none was measured
    (a frozen layer, a layer that the step did not use).
    """

    step: int
    layer: int
    kind: Kind
    n: int
    """Elements measured: all, or every stride-th of a large activation. 0 if the tensor does not exist."""
    rms: float | None = None
    mean_abs: float | None = None
    max_abs: float | None = None
    zeros: int = 0
    """Elements that are exactly zero."""
    nan: int = 0
    pos_inf: int = 0
    neg_inf: int = 0
    saturated: float | None = None
    """Share in 0..1 of the outputs of the following activation that sit at its ends; None where it has none."""
    dead: float | None = None
    """Share in 0..1 of the units whose output after the following activation is zero for the whole batch."""
    histogram: bytes | None = None
    """`gradscope.histogram.encode`; None when histograms were not recorded."""

    @property
    def n_nonfinite(self) -> int:
        """Elements that are NaN or infinite."""
        return self.nan + self.pos_inf + self.neg_inf


@dataclass(frozen=True, kw_only=True)
class Gain:
    """By what a method changed the back-propagated error at a layer, at one step."""

    step: int
    layer: int
    method: str
    """Name of its settings class, such as pseudo_norm."""
    gain: float | None
    """Mean over the samples of what the error was multiplied by; 1 / RMS(f') of pseudo_norm. None = not finite, as
    that of an error of exactly 0."""
    share_above_one: float | None = None
    """Share in 0..1 of the derivatives f' that exceed 1 after normalisation; None for methods without one."""


@dataclass(frozen=True, kw_only=True)
class Metric:
    """One value of a named curve."""

    name: str
    """Such as train_loss, val_accuracy, learning_rate."""
    step: int
    value: float | None
    """Losses in nats, accuracy in 0..1. None = not finite."""
    epoch: float | None = None
    seconds: float = 0.0
    """Since the run started."""


@dataclass(frozen=True, kw_only=True)
class Progress:
    """Where a run is, written with every batch of records."""

    last_step: int
    epoch: float | None = None
    total_steps: int | None = None
    samples_per_second: float | None = None
    phase: str | None = None
    """What the run is doing in a word or two: loading data, training, evaluating."""
    seconds: float | None = None
    """Time at work so far, over all the times the run was started; None = nobody counts it."""


@dataclass(frozen=True, kw_only=True)
class SkippedStep:
    """A step that the optimiser did not take, because gradient scaling (AMP) had overflowed."""

    step: int
    """The number that the step would have had; the next attempt has the same."""
    attempt: int = 0
    """0 for the first skipped attempt at that step, 1 for the second, ..."""
    layer: int | None = None
    """Where the first value that is not finite arose; None if nobody could tell."""
    kind: str | None = None
    """What it arose in: `activation`, `signal` or `gradient`."""
    scale: float | None = None
    """What the loss was multiplied by."""


@dataclass(frozen=True, kw_only=True)
class Pace:
    """How often a run is recorded."""

    record_every: int | None = None
    """Steps between records after the dense start; None where a list or a function of steps says when."""
    record_budget: float | None = None
    """Share in 0..1 of the time that recording may take, from which record_every follows; None where it is fixed."""


@dataclass(frozen=True, kw_only=True)
class Batch:
    """What the writer thread hands to the store in one transaction."""

    stats: tuple[LayerStats, ...] = ()
    metrics: tuple[Metric, ...] = ()
    gains: tuple[Gain, ...] = ()
    skipped: tuple[SkippedStep, ...] = ()
    term_gradients: tuple[TermGradient, ...] = ()
    term_cosines: tuple[TermCosine, ...] = ()
    progress: Progress | None = None
    pace: Pace | None = None
    """As it is now; None leaves what was there."""
    lost_rows: int = 0
    """Rows the recorder had to drop since the last batch."""
    recorder_seconds: float = 0.0
    """Time the training thread spent recording since the last batch."""
    watched_seconds: float = 0.0
    """How long the model was watched while it trained, since the last batch."""

    @property
    def n_rows(self) -> int:
        """Rows it takes in the store."""
        terms = len(self.term_gradients) + len(self.term_cosines)
        return len(self.stats) + len(self.metrics) + len(self.gains) + len(self.skipped) + terms

    @classmethod
    def of_rows(cls, batches: Sequence["Batch"]) -> "Batch":
        """The rows of several batches, in their order, as one."""
        return cls(
            stats=tuple(s for batch in batches for s in batch.stats),
            metrics=tuple(m for batch in batches for m in batch.metrics),
            gains=tuple(g for batch in batches for g in batch.gains),
            skipped=tuple(s for batch in batches for s in batch.skipped),
            term_gradients=tuple(t for batch in batches for t in batch.term_gradients),
            term_cosines=tuple(c for batch in batches for c in batch.term_cosines),
        )


@dataclass(frozen=True, kw_only=True)
class NonFinite:
    """Where the first value that is not finite appeared."""

    step: int
    layer: str | None
    """Name of the layer; None if only the loss was seen."""
    kind: str
    """`activation`, `signal`, `gradient`, `weight` or `loss`."""

    def __str__(self) -> str:
        """As a sentence for the runs table."""
        place = f"the {self.kind} of layer {self.layer}" if self.layer else f"the {self.kind}"
        return f"{place} is not finite at step {self.step}; lower the learning rate or clip the gradient"


SCORE_SUFFIX = {"accuracy": "", "map": " mAP"}
"""Behind a score in per cent: an accuracy needs no name, a mean average precision does."""


@dataclass(frozen=True, kw_only=True)
class Results:
    """What a finished training is worth."""

    val_accuracy: float | None = None
    val_loss: float | None = None
    best_val_accuracy: float | None = None
    test_accuracy: float | None = None
    test_loss: float | None = None
    val_map: float | None = None
    """Mean average precision in 0..1, where pictures have several labels; then there is no accuracy."""
    best_val_map: float | None = None
    test_map: float | None = None

    @property
    def score(self) -> str:
        """By what the run is judged: `map` where that is known, else `accuracy`."""
        return "accuracy" if self.val_map is None and self.test_map is None else "map"

    @property
    def val_score(self) -> float | None:
        """In 0..1."""
        return self.val_accuracy if self.val_map is None else self.val_map

    @property
    def best_val_score(self) -> float | None:
        """In 0..1."""
        return self.best_val_accuracy if self.best_val_map is None else self.best_val_map

    @property
    def test_score(self) -> float | None:
        """In 0..1."""
        return self.test_accuracy if self.test_map is None else self.test_map


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """Without these a picture is a rumour."""

    seed: int | None = None
    git_commit: str | None = None
    versions: dict[str, str] = field(default_factory=dict)
    device: str | None = None
    host: str | None = None
    pid: int | None = None
    data_fingerprint: str | None = None


@dataclass(frozen=True, kw_only=True)
class Run:
    """A training, as the store knows it."""

    id: int
    name: str
    status: Status
    source: str
    """`train` for runs started by GradScope, `attached` for a user's own loop."""
    config: dict[str, object]
    tags: tuple[str, ...]
    note: str
    created: datetime
    started: datetime | None
    ended: datetime | None
    heartbeat: datetime | None
    progress: Progress
    results: Results
    provenance: Provenance
    n_parameters: int | None
    stop_requested: bool
    error: str | None
    """Why the run failed or diverged, one sentence."""
    nonfinite: NonFinite | None
    lost_rows: int
    recorder_seconds: float
    """Time the training thread spent recording."""
    revision: int
    """Goes up with every change of the run; half of the cache key of a read."""
    watched_seconds: float = 0.0
    """How long the model was watched while it trained, recording included."""
    pace: Pace = Pace()
    """How often it is recorded now."""
    waits_for: int | None = None
    """Run that has to be complete before this one begins: its teacher."""
