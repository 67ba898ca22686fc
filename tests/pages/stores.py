"""Stores full of plausible runs, for looking at pages without training anything.

python tests/pages/stores.py STORE [N] fills a store with N runs (default 12) to try the dashboard by hand.
"""

import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from gradscope import histogram
from gradscope.overrides import with_overrides
from gradscope.presets import PRESETS
from gradscope.records import (
    Batch,
    Gain,
    Kind,
    Layer,
    LayerStats,
    Metric,
    NonFinite,
    Progress,
    Provenance,
    Results,
    Status,
)
from gradscope.store import Store, open_store, write

PAGES = {
    "Runs": "pages/runs/1_Runs.py",
    "Launch": "pages/runs/2_Launch.py",
    "Diagnosis": "pages/observe/0_Diagnosis.py",
    "Gradient decay": "pages/observe/1_Gradient_decay.py",
    "Layers over time": "pages/observe/2_Layers_over_time.py",
    "Learning curves": "pages/observe/3_Learning_curves.py",
    "Compare": "pages/compare/1_Compare.py",
    "What if": "pages/compare/2_What_if.py",
    "Noise robustness": "pages/test/1_Noise_robustness.py",
    "Saliency": "pages/test/2_Saliency.py",
    "What it looks at": "pages/test/3_What_it_looks_at.py",
    "Pseudo-normalisation": "pages/methods/1_Pseudo_normalisation.py",
    "Distillation": "pages/methods/2_Distillation.py",
    "Elastic exits": "pages/methods/3_Elastic_exits.py",
    "Papers": "pages/methods/4_Papers.py",
}
"""The dashboard's pages: script by title."""

WITHOUT_RUNS = {"Launch", "Pseudo-normalisation", "Papers"}
"""Pages that have something to show while the store is empty."""

STEPS = [0, 1, 2, 4, 8, *range(10, 400, 10)]


@dataclass(frozen=True, kw_only=True)
class Story:
    """What happens in a run."""

    name: str
    preset: str | None
    status: Status = Status.COMPLETED
    layers: int = 10
    factor: float = 1.0
    """Of the gradient from a layer to the one before."""
    zeros_below: int = 0
    """Layers whose gradient is exactly zero."""
    breaks_at: int | None = None
    """Step of the first value that is not finite."""
    records: bool = True
    source: str = "train"
    changed: Mapping[str, object] = field(default_factory=dict)
    """Settings that are not the preset's."""


STORIES = (
    Story(name="sigmoid", preset="sigmoid", factor=0.21),
    Story(name="tanh", preset="tanh", factor=0.62, layers=30),
    Story(name="tanh-pn", preset="tanh-pn", factor=0.93, layers=30),
    Story(name="relu", preset="relu", factor=0.98, changed={"train.seed": 1}),
    Story(name="exploded", preset="relu", factor=1.9, status=Status.DIVERGED, breaks_at=180),
    Story(name="dead", preset="relu", factor=0.9, zeros_below=4),
    Story(name="live", preset="resnet", status=Status.RUNNING, layers=20, factor=0.97),
    Story(name="waiting", preset="tanh", status=Status.QUEUED, records=False),
    Story(name="my own loop", preset=None, source="attached", layers=50, factor=0.9),
    Story(name="failed early", preset="relu", status=Status.FAILED, records=False),
    Story(name="stopped", preset="tanh-pn", status=Status.STOPPED, layers=30, factor=0.95),
    Story(name="lost", preset="tanh", status=Status.LOST, layers=30, factor=0.7),
)


def add(store: Store, story: Story, steps: list[int] | None = None) -> int:
    """Write one run; returns its id."""
    config: dict[str, object] = {"lr": 0.1, "layers": [64, 64]}
    if story.preset:
        config = with_overrides(PRESETS[story.preset].config, story.changed).model_dump(mode="json")
    run = write.create_run(store, name=story.name, source=story.source, config=config, status=Status.QUEUED)
    if story.status is Status.QUEUED:
        return run
    versions = {"torch": "2.15.0", "python": "3.11.7"}
    provenance = Provenance(seed=0, git_commit="abc1234", versions=versions, device="cpu", host="here", pid=1)
    write.start(store, run, provenance=provenance, n_parameters=41_000, total_steps=600)
    if story.records:
        write.layers(store, run, [_layer(i, story) for i in range(story.layers)])
        records(store, run, story, STEPS if steps is None else steps)
    if story.status.is_final:
        _end(store, run, story)
    return run


def fill(store: Store, count: int, steps: list[int] | None = None) -> list[int]:
    """That many runs, of every kind."""
    return [add(store, STORIES[i % len(STORIES)], steps) for i in range(count)]


def _layer(index: int, story: Story) -> Layer:
    conv = story.preset == "resnet" and index < story.layers - 1
    name = f"blocks.{index}.conv" if conv else f"fc{index + 1}"
    kind = "Conv2d" if conv else "Linear"
    return Layer(index=index, name=name, type=kind, shape=(64, 64), n_weights=4096)


def records(store: Store, run: int, story: Story, steps: list[int]) -> None:
    """Write what the story says of those steps, and that the run is at the last."""
    random = np.random.default_rng(run)
    metrics, stats = [], []
    for step in steps:
        broken = story.breaks_at is not None and step >= story.breaks_at
        stats += [s for i in range(story.layers) for s in _stats(step, i, story, broken, random)]
        metrics += _metrics(step, story, broken, random)
    progress = Progress(last_step=steps[-1], epoch=steps[-1] / 30, total_steps=600, samples_per_second=5120.0)
    gains = tuple(_gain(step, i) for step in steps for i in range(2, story.layers - 1, 2) if story.preset == "tanh-pn")
    write.append(store, run, Batch(stats=tuple(stats), metrics=tuple(metrics), gains=gains, progress=progress))


def _gain(step: int, i: int) -> Gain:
    return Gain(step=step, layer=i, method="pseudo_norm", gain=1.5, share_above_one=0.42)


def _stats(step: int, i: int, story: Story, broken: bool, random: np.random.Generator) -> list[LayerStats]:
    depth = story.layers - 1 - i
    level = 0.02 * story.factor**depth * math.exp(-step / 800) * random.lognormal(0, 0.15)
    rows = []
    for kind, scale in (
        (Kind.GRADIENT, level),
        (Kind.SIGNAL, level * 3),
        (Kind.ACTIVATION, 0.7),
        (Kind.WEIGHT, 0.12),
        (Kind.UPDATE, level * 0.05),
    ):
        zero = i < story.zeros_below and kind is not Kind.WEIGHT
        values = np.zeros(4096) if zero else random.normal(0, scale, 4096)
        nan = 4096 if broken and i > story.layers // 2 else 0
        rows.append(_one(step, i, kind, values, nan))
    return rows


def _one(step: int, i: int, kind: Kind, values: np.ndarray, nan: int) -> LayerStats:
    if nan:
        return LayerStats(step=step, layer=i, kind=kind, n=values.size, nan=nan, histogram=b"")
    size = np.abs(values)
    return LayerStats(
        step=step,
        layer=i,
        kind=kind,
        n=values.size,
        rms=float(np.sqrt((values**2).mean())),
        mean_abs=float(size.mean()),
        max_abs=float(size.max()),
        zeros=int((values == 0).sum()),
        saturated=0.3 if kind is Kind.ACTIVATION else None,
        dead=0.05 if kind is Kind.ACTIVATION else None,
        histogram=histogram.encode(histogram.count(values)),
    )


def _metrics(step: int, story: Story, broken: bool, random: np.random.Generator) -> list[Metric]:
    pace = 150 if story.factor > 0.9 else 900
    loss = None if broken else 2.3 * math.exp(-step / pace) + 0.1 * random.random()
    at = {"step": step, "epoch": (step + 1) / 30, "seconds": step * 0.02}
    metrics = [Metric(name="train_loss", value=loss, **at), Metric(name="learning_rate", value=0.05, **at)]
    if step % 30 == 0 and step:
        right = 1 - 0.9 * math.exp(-step / pace)
        metrics.append(Metric(name="train_accuracy", value=right, **at))
        metrics.append(Metric(name="val_loss", value=None if loss is None else loss * 1.1, **at))
        metrics.append(Metric(name="val_accuracy", value=right * 0.97, **at))
    return metrics


def _end(store: Store, run: int, story: Story) -> None:
    if story.records and story.source == "train":
        accuracy = 0.95 if story.factor > 0.9 else 0.31
        found = Results(val_accuracy=accuracy - 0.01, best_val_accuracy=accuracy, test_accuracy=accuracy - 0.02)
        write.results(store, run, found)
    error = {Status.FAILED: "folder pictures/ does not exist", Status.DIVERGED: "the loss is not finite"}
    nonfinite = None
    if story.breaks_at is not None:
        nonfinite = NonFinite(step=story.breaks_at, layer="fc7", kind="gradient")
    write.finish(store, run, story.status, error=error.get(story.status), nonfinite=nonfinite)


if __name__ == "__main__":
    fill(open_store(sys.argv[1], create=True), int(sys.argv[2]) if len(sys.argv) > 2 else len(STORIES))
