"""A run's records as arrays, the form in which the rules look at them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from gradscope.analysis.findings.pairs import TermPair
from gradscope.analysis.labels import short_names
from gradscope.records import Kind, NonFinite, Status

Numbers = NDArray[np.float64]
Steps = NDArray[np.int64]
Flags = NDArray[np.bool_]

_COLUMNS = ("n", "rms", "mean_abs", "max_abs", "zeros", "nan", "pos_inf", "neg_inf", "saturated", "dead")


@dataclass(frozen=True, kw_only=True)
class Grid:
    """One kind of tensor: S recorded steps by L layers; NaN where nothing was measured."""

    steps: Steps
    """Shape (S,), rising."""
    n: Numbers
    """Elements measured, shape (S, L); 0 where there was no such tensor."""
    rms: Numbers
    mean_abs: Numbers
    max_abs: Numbers
    zeros: Numbers
    """Share in 0..1 of the elements that are exactly zero."""
    nonfinite: Numbers
    """Elements that are NaN or infinite."""
    saturated: Numbers
    dead: Numbers

    @classmethod
    def of(cls, frame: pd.DataFrame, n_layers: int) -> Self:
        """From `gradscope.store.read.layer_map` of one run."""
        steps = np.unique(frame["step"].to_numpy(dtype=np.int64))
        row = np.searchsorted(steps, frame["step"].to_numpy())
        layer = frame["layer"].to_numpy(dtype=np.int64)
        values = {}
        for name in _COLUMNS:
            values[name] = np.full((steps.size, n_layers), np.nan)
            values[name][row, layer] = frame[name].to_numpy(dtype=np.float64)
        n = np.nan_to_num(values["n"])
        return cls(
            steps=steps,
            n=n,
            rms=values["rms"],
            mean_abs=values["mean_abs"],
            max_abs=values["max_abs"],
            zeros=values["zeros"] / np.where(n > 0, n, np.nan),
            nonfinite=np.nan_to_num(values["nan"] + values["pos_inf"] + values["neg_inf"]),
            saturated=values["saturated"],
            dead=values["dead"],
        )

    def until(self, step: int) -> "Grid":
        """What was known at that step."""
        size = int(np.searchsorted(self.steps, step, side="right"))
        arrays = ("n", "rms", "mean_abs", "max_abs", "zeros", "nonfinite", "saturated", "dead")
        return replace(self, steps=self.steps[:size], **{name: getattr(self, name)[:size] for name in arrays})

    @cached_property
    def log_rms(self) -> Numbers:
        """log10 RMS; NaN where it is zero or unknown."""
        positive = np.isfinite(self.rms) & (self.rms > 0)
        return np.where(positive, np.log10(np.where(positive, self.rms, 1.0)), np.nan)

    def __len__(self) -> int:
        return int(self.steps.size)


@dataclass(frozen=True, kw_only=True)
class Curve:
    """A logged value over the steps; NaN where it was not finite."""

    steps: Steps
    values: Numbers

    def until(self, step: int) -> "Curve":
        """What was known at that step."""
        size = int(np.searchsorted(self.steps, step, side="right"))
        return Curve(steps=self.steps[:size], values=self.values[:size])

    @property
    def finite(self) -> Numbers:
        """The finite values, in order."""
        return self.values[np.isfinite(self.values)]

    def __len__(self) -> int:
        return int(self.steps.size)


_EXIT = re.compile(r"loss/exit (\d+)")
_NO_CURVE = Curve(steps=np.array([], dtype=np.int64), values=np.array([]))


@dataclass(frozen=True, kw_only=True)
class Tables:
    """Everything the rules may look at."""

    names: tuple[str, ...]
    """Of the L layers, from the input, each as short as it is still its own."""
    full_names: tuple[str, ...] = ()
    """The same as they are in the model."""
    shapes: tuple[tuple[int, ...], ...]
    types: tuple[str, ...]
    n_weights: Numbers
    trainable: NDArray[np.bool_]
    grids: Mapping[Kind, Grid]
    """Of the kinds that were recorded."""
    curves: Mapping[str, Curve]
    skipped: Steps = field(default_factory=lambda: np.array([], dtype=np.int64))
    """The step of every attempt that the optimiser did not take (AMP), rising; one step may stand here many times."""
    gains: Curve | None = None
    """log10 of the product over the layers of what methods multiplied the error by, at each recorded step."""
    terms: tuple[TermPair, ...] = ()
    """Every two terms of the loss, where their gradients were recorded one by one."""
    config: Mapping[str, Any] = field(default_factory=dict)  # Any: whatever settings a run has
    status: Status = Status.RUNNING
    total_steps: int | None = None
    nonfinite: NonFinite | None = None

    @classmethod
    def of(
        cls, layers: pd.DataFrame, statistics: Mapping[Kind, pd.DataFrame], metrics: pd.DataFrame, **facts: Any
    ) -> Self:  # Any: the other fields, as they are
        """From what `gradscope.store.read` gives for one run: layers, layer_map of each kind, metrics."""
        known = layers.sort_values("layer")
        short = short_names(list(known["name"]))
        return cls(
            names=tuple(short[name] for name in known["name"]),
            full_names=tuple(known["name"]),
            shapes=tuple(tuple(shape) for shape in known["shape"]),
            types=tuple(known["type"]),
            n_weights=known["n_weights"].to_numpy(dtype=np.float64),
            trainable=known["trainable"].to_numpy(dtype=bool),
            grids={kind: Grid.of(frame, len(known)) for kind, frame in statistics.items() if len(frame)},
            curves={
                str(name): Curve(steps=rows["step"].to_numpy(dtype=np.int64), values=rows["value"].to_numpy(np.float64))
                for name, rows in metrics.groupby("name")
            },
            **facts,
        )

    def until(self, step: int) -> "Tables":
        """The same run as it was known at that step."""
        seen = self.nonfinite if self.nonfinite and self.nonfinite.step <= step else None
        return replace(
            self,
            grids={kind: grid.until(step) for kind, grid in self.grids.items() if grid.steps[0] <= step},
            curves={name: curve.until(step) for name, curve in self.curves.items()},
            skipped=self.skipped[self.skipped <= step],
            gains=self.gains.until(step) if self.gains else None,
            terms=tuple(pair.until(step) for pair in self.terms),
            nonfinite=seen,
            status=self.status if step >= self.last_step else Status.RUNNING,
        )

    def index_of(self, name: str | None) -> int | None:
        """Of a layer by its name in the model; None if there is none of that name."""
        names = self.full_names or self.names
        return names.index(name) if name in names else None

    @property
    def n_layers(self) -> int:
        """L."""
        return len(self.names)

    @cached_property
    def last_step(self) -> int:
        """The last step of which anything is known; -1 if there is none."""
        everything: list[Grid | Curve] = [*self.grids.values(), *self.curves.values()]
        return max((int(s.steps[-1]) for s in everything if len(s)), default=-1)

    @property
    def steps(self) -> list[int]:
        """Every step at which layers were recorded."""
        return sorted({int(step) for grid in self.grids.values() for step in grid.steps})

    @property
    def horizon(self) -> int:
        """Steps that the training is to have, as far as known; at least those it has had."""
        return max(self.total_steps or 0, self.last_step + 1)

    def curve(self, *names: str) -> Curve:
        """The first of these curves that was logged; an empty one if none was."""
        return next((self.curves[name] for name in names if name in self.curves), _NO_CURVE)

    @property
    def loss(self) -> Curve:
        """Of the training; of a network with exits the last one's, for their sum is no cross entropy of K classes."""
        exits = {int(found[1]): name for name in self.curves if (found := _EXIT.fullmatch(name))}
        if exits:
            return self.curves[exits[max(exits)]]
        return self.curve("train_loss", "loss", "train/loss", "training_loss", "train_loss_step")

    @property
    def accuracy(self) -> Curve:
        """Of the training, in 0..1."""
        return self.curve("train_accuracy", "train_acc", "accuracy", "acc")

    @property
    def val_loss(self) -> Curve:
        """Of the validation."""
        return self.curve("val_loss", "eval_loss", "val/loss", "test_loss")

    @property
    def val_accuracy(self) -> Curve:
        """Of the validation, in 0..1."""
        return self.curve("val_accuracy", "val_acc", "eval_accuracy")

    @cached_property
    def update_ratio(self) -> Grid | None:
        """The grid of the updates, its rms divided by that of the weights; None where either is not recorded."""
        update, weight = self.grids.get(Kind.UPDATE), self.grids.get(Kind.WEIGHT)
        if update is None or weight is None or len(update) != len(weight):
            return None
        with np.errstate(divide="ignore", invalid="ignore"):
            return replace(update, rms=np.where(weight.rms > 0, update.rms / weight.rms, np.nan))

    @property
    def n_outputs(self) -> int:
        """Of the output layer."""
        return self.shapes[-1][0] if self.shapes and self.shapes[-1] else 0

    @property
    def classifies(self) -> bool:
        """Whether it looks like a classification: an accuracy is logged, and there are several outputs."""
        return self.n_outputs > 1 and bool(len(self.accuracy) or len(self.val_accuracy))


def total_gain(gains: pd.DataFrame) -> Curve | None:
    """The `gains` of tables, from `gradscope.store.read.gain_series`; None where no method multiplied anything."""
    if gains.empty:
        return None
    logs = np.log10(gains["gain"].where(gains["gain"] > 0))
    summed = logs.groupby(gains["step"]).sum()
    return Curve(steps=summed.index.to_numpy(dtype=np.int64), values=summed.to_numpy(dtype=np.float64))
