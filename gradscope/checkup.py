"""`gradscope.doctor`: a model looked at before any training, by one batch, with the rules that diagnose runs."""

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import Optimizer

from gradscope.analysis.findings import Finding, Tables, Thresholds, diagnose, is_healthy, verdict
from gradscope.analysis.findings.tables import total_gain
from gradscope.errors import RecorderError
from gradscope.recorder.record import Record
from gradscope.recorder.schedule import timetable
from gradscope.recorder.watch import Receiver, Watch
from gradscope.records import Kind, Layer

Objective = Callable[[nn.Module, Any], Tensor]  # Any: a batch is whatever the loop hands to its network
"""(model, batch) to the loss, a scalar."""


@dataclass(frozen=True, kw_only=True, repr=False)
class Checkup:
    """What was found."""

    findings: tuple[Finding, ...]
    """The worst first."""
    verdict: str
    """The same in one sentence."""
    tables: Tables
    """What it was found in."""

    @property
    def is_healthy(self) -> bool:
        """Whether there is nothing but notes."""
        return is_healthy(list(self.findings))

    def __str__(self) -> str:
        """The verdict and every finding, a line each."""
        return "\n".join([self.verdict, *(f"- {f.severity}: {f.text}" for f in self.findings)])

    __repr__ = __str__  # in a notebook: the tables would fill the screen


def doctor(
    model: nn.Module,
    batch: Any,  # Any: as above
    *,
    optimizer: Optimizer | None = None,
    objective: Objective | None = None,
    thresholds: Thresholds | None = None,
) -> Checkup:
    """Look at a model before it is trained: one forward pass, one backward pass, and one step if there is an optimiser.

    All of it happens to a copy; the model, its optimiser and the random numbers are afterwards as they were.

    Args:
        model: the network, on any device.
        batch: inputs and targets, as a pair, on the device of the model; whatever it takes with an `objective`.
        optimizer: of the model; with one, updates that are too small or too large are found as well.
        objective: from model and batch to the loss. By default cross entropy if the targets are whole numbers, which
            also tells whether the outputs fit it, else the mean squared error.
        thresholds: where findings begin.

    Raises:
        RecorderError: the batch is no pair and no objective says what to do with it, or the model has no layer.
    """
    their_model, their_optimizer = copy.deepcopy((model, optimizer))
    with _same_random_numbers(model):
        seen = _Seen()
        metrics = _one_step(their_model.train(), their_optimizer, batch, objective, seen)
    tables = seen.tables(metrics)
    findings = diagnose(tables, thresholds)
    return Checkup(findings=tuple(findings), verdict=verdict(findings, tables), tables=tables)


@contextmanager
def _same_random_numbers(model: nn.Module) -> Iterator[None]:
    """Dropout draws from the global state, which is put back afterwards."""
    devices = {p.device.index or 0 for p in model.parameters() if p.is_cuda}
    with torch.random.fork_rng(devices=sorted(devices)):
        yield


def _one_step(
    model: nn.Module, optimizer: Optimizer | None, batch: Any, objective: Objective | None, seen: "_Seen"
) -> Mapping[str, float]:  # Any: as above
    """Train for a step under the recorder's eyes; the loss and, where it is known, the accuracy."""
    receiver = Receiver(layers=seen.take_layers, record=seen.take_record)
    watch = Watch(model, optimizer, schedule=timetable(1), log="all", choice=None, step=0, receiver=receiver)
    try:
        model.zero_grad(set_to_none=True)
        loss, metrics = _loss(model, batch, objective)
        loss.backward()  # type: ignore[no-untyped-call]  # untyped in torch
        if optimizer is None:
            watch.record_step()
        else:
            optimizer.step()
    finally:
        watch.remove()
    return {"train_loss": float(loss.detach()), **metrics}


def _loss(model: nn.Module, batch: Any, objective: Objective | None) -> tuple[Tensor, Mapping[str, float]]:  # Any
    if objective is not None:
        return objective(model, batch), {}
    if not (isinstance(batch, Sequence) and len(batch) == 2 and all(isinstance(part, Tensor) for part in batch)):
        raise RecorderError(
            f"the batch is a {type(batch).__name__}, not a pair of tensors (inputs, targets); "
            "give objective=lambda model, batch: loss"
        )
    inputs, targets = batch
    outputs = model(inputs)
    if targets.is_floating_point():
        return functional.mse_loss(outputs, targets), {}
    right = (outputs.detach().argmax(1) == targets).double().mean()
    return functional.cross_entropy(outputs, targets), {"train_accuracy": float(right)}


class _Seen:
    """Takes what a watch sees, as the tables of a store would hold it."""

    def __init__(self) -> None:
        self._layers: Sequence[Layer] = ()
        self._records: list[Record] = []

    def take_layers(self, layers: Sequence[Layer]) -> None:
        self._layers = layers

    def take_record(self, record: Record) -> None:
        self._records.append(record)

    def tables(self, metrics: Mapping[str, float]) -> Tables:
        """With one point of each curve, at step 0."""
        stats = pd.DataFrame([asdict(s) for record in self._records for s in record.stats()])
        layers = pd.DataFrame([asdict(layer) for layer in self._layers]).rename(columns={"index": "layer"})
        points = [{"name": name, "step": 0, "value": value} for name, value in metrics.items()]
        gains = [asdict(g) for record in self._records for g in record.gains()]
        return Tables.of(
            layers,
            {kind: stats[stats["kind"] == kind] for kind in Kind},
            pd.DataFrame(points).replace([np.inf, -np.inf], np.nan),
            gains=total_gain(pd.DataFrame(gains, columns=["step", "layer", "method", "gain", "share_above_one"])),
        )
