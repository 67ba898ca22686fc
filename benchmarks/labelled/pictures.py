"""The pictures of docs/reading-gradients.md: small real trainings drawn by the dashboard's own figures.

python -m benchmarks.labelled.pictures docs/pictures
"""

import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import torch

from benchmarks.labelled.cases import Case
from benchmarks.labelled.training import train
from gradscope.analysis.curves import smoothed
from gradscope.analysis.findings.health import health
from gradscope.config import Initialisation, Mlp, RunConfig, Sgd, Train
from gradscope.diagnosis import tables_of
from gradscope.figures.decay import gradient_decay
from gradscope.figures.export import as_svg
from gradscope.figures.learning import learning_curve
from gradscope.figures.network_strip import network_strip
from gradscope.figures.style import Figure, styles
from gradscope.records import Kind
from gradscope.store import Store, open_store, read

HEALTHY = Case(
    number=1,
    fault="healthy",
    network="mlp",
    data="digits",
    config=RunConfig(
        model=Mlp(depth=10, width=32, activation="relu"),
        methods=(Initialisation(scheme="he"),),
        optimizer=Sgd(lr=0.05),
        train=Train(epochs=6, batch_size=32, seed=1),
    ),
)

_TANH = {
    "model.depth": 20,
    "model.activation": "tanh",
    "methods.initialisation.gain": 1.25,
    "methods.initialisation.bias_std": 0.6,
    "methods.initialisation.scheme": "xavier",
}

CASES: Mapping[str, Case] = {
    "healthy": HEALTHY,
    "vanishing": HEALTHY.changed({"model.activation": "sigmoid", "methods.initialisation.scheme": "xavier"}),
    "exploding": HEALTHY.changed({"methods.initialisation.gain": 3}),
    "dying": HEALTHY.changed({"methods.initialisation.gain": 0.3}),
    "dead units": HEALTHY.changed({"model.depth": 5}).planted(hidden_bias=-2.0),
    "rate too large": HEALTHY.changed({"optimizer.lr": 1.5, "model.depth": 4, "model.activation": "tanh"}),
    "rate too small": HEALTHY.changed({"optimizer.lr": 5e-4}),
    "overfitting": HEALTHY.changed({"model.depth": 4, "train.epochs": 100, "train.batch_size": 16}).planted(
        train_size=72, random_labels=0.4
    ),
    "tanh": HEALTHY.changed(_TANH),
    "tanh, pseudo-normalised": HEALTHY.changed({**_TANH, "methods.pseudo_norm.every": 1, "optimizer.lr": 0.01}),
}

Drawing = Callable[[Store, Mapping[str, int]], Figure]


def decay(kind: Kind, step: int, *names: str) -> Drawing:
    """Every layer of some of the runs at a step."""

    def draw(store: Store, ids: Mapping[str, int]) -> Figure:
        chosen = {ids[name]: name for name in names}
        return gradient_decay(read.profile(store, list(chosen), kind, step), styles(chosen), kind=kind, height=280)

    return draw


def losses(*names: str) -> Drawing:
    """The loss of some of the runs."""

    def draw(store: Store, ids: Mapping[str, int]) -> Figure:
        chosen = {ids[name]: name for name in names}
        curves = smoothed(read.metrics(store, list(chosen), ["train_loss", "val_loss"], 120), 0.6)
        return learning_curve(curves, styles(chosen), height=260)

    return draw


def strip(name: str) -> Drawing:
    """The health of every layer of a run."""
    return lambda store, ids: network_strip(health(tables_of(store, read.run(store, ids[name])), at_most=12))


PICTURES: Mapping[str, Drawing] = {
    "guide_signal": decay(Kind.SIGNAL, 0, "healthy", "vanishing", "exploding"),
    "guide_activation": decay(Kind.ACTIVATION, 0, "healthy", "dying", "exploding"),
    "guide_amplification": decay(Kind.SIGNAL, 12, "tanh", "tanh, pseudo-normalised"),
    "guide_dead_units": strip("dead units"),
    "guide_slow": losses("healthy", "rate too small"),
    "guide_swings": losses("rate too large"),
    "guide_overfitting": losses("overfitting"),
}


def main() -> None:
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "docs/pictures")
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as place:
        store = open_store(Path(place) / "runs.db", create=True)
        ids = {name: train(case, store).run_id for name, case in CASES.items()}
        for name, draw in PICTURES.items():
            (folder / f"{name}.svg").write_text(as_svg(draw(store, ids)))
        store.close()


if __name__ == "__main__":
    main()
