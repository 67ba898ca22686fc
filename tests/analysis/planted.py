"""Tables of runs that were never trained: healthy ones, in which a test plants what it looks for."""

from dataclasses import replace

import numpy as np

from gradscope.analysis.findings import Finding, Tables, Thresholds, every_finding
from gradscope.analysis.findings.tables import Curve, Grid
from gradscope.records import Kind

STEPS = np.array([0, 1, 2, 4, 8, *range(10, 200, 10)])
LAYERS = 10
CLASSES = 10
BATCH = 50

RMS = {Kind.GRADIENT: 1e-2, Kind.SIGNAL: 3e-3, Kind.ACTIVATION: 1.0, Kind.WEIGHT: 0.125, Kind.UPDATE: 2e-4}


def grid(kind: Kind, layers: int = LAYERS, steps: np.ndarray = STEPS) -> Grid:
    """The same everywhere but for a little noise."""
    shape = (len(steps), layers)
    rms = RMS[kind] * np.random.default_rng(0).lognormal(0, 0.1, shape)
    n = np.full(shape, float(BATCH * 64))
    n[:, -1] = BATCH * CLASSES
    none = np.zeros(shape)
    made = Grid(
        steps=steps,
        n=n,
        rms=rms,
        mean_abs=0.8 * rms,
        max_abs=4 * rms,
        zeros=none,
        nonfinite=none,
        saturated=none,
        dead=none,
    )
    if kind is Kind.SIGNAL:  # of a cross entropy that knows nothing
        made.rms[:, -1] = np.sqrt(CLASSES - 1) / (CLASSES * BATCH)
    return made


def curve(values: np.ndarray, every: int = 1) -> Curve:
    return Curve(steps=np.arange(len(values)) * every, values=np.asarray(values, dtype=float))


def healthy(layers: int = LAYERS) -> Tables:
    """200 steps of a network that learns ten classes."""
    step = np.arange(200)
    noise = np.random.default_rng(1).normal(0, 0.05, 200)
    falling = np.log(CLASSES) * np.exp(-step / 60)
    val = np.log(CLASSES) * np.exp(-np.arange(1, 11) / 3)
    return Tables(
        names=tuple(f"fc{i + 1}" for i in range(layers)),
        shapes=((64, 64),) * (layers - 1) + ((CLASSES, 64),),
        types=("Linear",) * layers,
        n_weights=np.full(layers, 4096.0),
        trainable=np.ones(layers, dtype=bool),
        grids={kind: grid(kind, layers) for kind in RMS},
        curves={
            "train_loss": curve(falling + noise * falling),
            "learning_rate": curve(np.full(200, 0.05)),
            "train_accuracy": curve(1 - 0.9 * np.exp(-np.arange(1, 11) / 3), 20),
            "val_loss": curve(val, 20),
            "val_accuracy": curve(1 - 0.9 * np.exp(-np.arange(1, 11) / 3), 20),
        },
        total_steps=200,
    )


def scaled(tables: Tables, kind: Kind, factors: np.ndarray, **more: np.ndarray) -> Tables:
    """With one kind's RMS multiplied, factors of shape (L,) or (S, L), and other columns replaced."""
    old = tables.grids[kind]
    sizes = {name: getattr(old, name) * factors for name in ("rms", "mean_abs", "max_abs")}
    new = replace(old, **{**sizes, **more})
    return replace(tables, grids={**tables.grids, kind: new})


def with_curves(tables: Tables, **values: np.ndarray) -> Tables:
    """With logged curves replaced, one value a step."""
    return replace(tables, curves={**tables.curves, **{name: curve(v) for name, v in values.items()}})


def never_learning(tables: Tables) -> Tables:
    """The loss stays that of a network that knows nothing."""
    noise = np.random.default_rng(2).normal(0, 0.02, 200)
    return with_curves(tables, train_loss=np.log(CLASSES) + noise)


def decaying(factor: float, layers: int = LAYERS) -> np.ndarray:
    """Shape (L,): one at the output, times the factor at each layer towards the input."""
    return factor ** np.arange(layers - 1, -1, -1.0)


def found(tables: Tables, name: str, limits: Thresholds | None = None) -> Finding:
    """The finding of that name, by the rules alone."""
    return next(f for f in every_finding(tables, limits) if f.name == name)


def names(tables: Tables) -> set[str]:
    return {f.name for f in every_finding(tables)}


def at(tables: Tables, kind: Kind, column: str, value: float, *layers: int) -> Tables:
    """With a column of a kind set in some layers at every step."""
    values = getattr(tables.grids[kind], column).copy()
    values[:, list(layers)] = value
    return scaled(tables, kind, np.ones(LAYERS), **{column: values})
