"""The rules of AutoTrainer with their published thresholds, written anew, on what our recorder has recorded.

Zhang, Zhai, Ma & Shen (ICSE 2021, doi 10.1109/ICSE43902.2021.00043), section III, and its extension to eight problems
(IEEE TDSC 2024, doi 10.1109/tdsc.2024.3450951). It looks at the end of each epoch, at the gradient of one batch, the
outputs of the layers and the history of accuracy and loss. Where we depart from it:

- Its two rules about the output activation and the loss read the definition of the Keras model. PyTorch has none, so
  they are given what is planted, and cannot miss it.
- Its rule about abnormal data takes the mean absolute output of a layer after its activation; we have the RMS before.
- Its gradient norms are of kernels alone, and so are ours.
"""

import math

import numpy as np

from benchmarks.labelled.cases import Case
from gradscope.analysis.findings import Tables
from gradscope.records import Kind

BETA_1, BETA_2, BETA_3 = 1e-3, 1e-4, 70.0
"""First over last norm and first norm below which it vanishes; first over last above which it explodes."""
GAMMA = 0.7
"""Share of zero gradients from which ReLU is dying."""
ZETA, ETA = 0.03, 0.2
"""Swing of the accuracy that counts, and share of the epochs that may swing."""
DELTA = 0.01
"""Gain in accuracy from one epoch to the next below which it converges slowly."""
THETA = 0.6
"""Accuracy below which the model has not converged."""
OMEGA = 10.0
"""Size of a layer's output above which the data are abnormal."""
JUDGED_AFTER = 0.3
"""Share of the epochs after which accuracy is judged."""
LARGE_LOSS = 1e3

NAMES = {
    "vanishing": "vanish",
    "exploding": "explode",
    "nonfinite": "explode",
    "dead_units": "relu",
    "oscillating": "unstable",
    "large_rate": "unstable explode",
    "small_rate": "not_converge",
    "tiny_rate": "not_converge",
    "raw_inputs": "abnormal_data",
    "wrong_output": "activation",
    "wrong_loss": "loss",
}
"""What it would have to say to have named a fault; the other faults are not among its eight."""


def problems(case: Case, tables: Tables) -> set[str]:
    """What it says at the end of one of the epochs that these tables hold."""
    train, val = tables.accuracy.values, tables.val_accuracy.values
    epochs, total = len(train), case.config.train.epochs
    found = _of_the_definition(case)
    if _abnormal_data(tables):
        found.add("abnormal_data")
    if _broken(tables):
        return found | {"explode"}
    if epochs < JUDGED_AFTER * total or epochs < 2:
        return found
    not_converged = np.nanmax(train) < THETA and np.nanmax(val) < THETA
    slow = _best_gain(train) < DELTA and _best_gain(val) < DELTA
    if not_converged or slow:
        of_gradient = _of_gradient(tables)
        found |= of_gradient or ({"not_converge"} if not_converged and slow and "abnormal_data" not in found else set())
    if _swings(train) >= ETA * epochs:
        found.add("unstable")
    return found


def _of_the_definition(case: Case) -> set[str]:
    activation = {"activation"} if case.plant.output != "logits" else set()
    return activation | ({"loss"} if case.plant.loss != "cross_entropy" else set())


def _abnormal_data(tables: Tables) -> bool:
    grid = tables.grids.get(Kind.ACTIVATION)
    return grid is not None and len(grid) > 0 and bool(np.nanmax(grid.rms[-1, :-1], initial=0.0) >= OMEGA)


def _broken(tables: Tables) -> bool:
    losses = np.concatenate([tables.loss.values, tables.val_loss.values])
    gradient = tables.grids.get(Kind.GRADIENT)
    bad_gradient = gradient is not None and bool((gradient.nonfinite > 0).any())
    return bad_gradient or bool((~np.isfinite(losses)).any() or (losses >= LARGE_LOSS).any())


def _of_gradient(tables: Tables) -> set[str]:
    grid = tables.grids.get(Kind.GRADIENT)
    if grid is None or not len(grid):
        return set()
    norms = grid.rms[-1] * np.sqrt(grid.n[-1])
    known = norms[np.isfinite(norms)]
    zeros = float(np.nansum(grid.zeros[-1] * grid.n[-1]) / max(grid.n[-1].sum(), 1.0))
    if zeros >= GAMMA:
        return {"relu"}
    ratio = known[0] / known[-1] if known.size and known[-1] > 0 else math.nan
    if ratio > BETA_3:
        return {"explode"}
    return {"vanish"} if ratio < BETA_1 and known[0] < BETA_2 else set()


def _best_gain(accuracy: np.ndarray) -> float:
    return float(max(np.diff(accuracy).max(initial=0.0), 0.0))


def _swings(accuracy: np.ndarray) -> int:
    """Pairs of a local maximum and a local minimum at least ZETA apart."""
    before, now, after = accuracy[:-2], accuracy[1:-1], accuracy[2:]
    tops, dips = now[(now >= before) & (now >= after)], now[(now <= before) & (now <= after)]
    n = min(len(tops), len(dips))
    return int((tops[:n] - dips[:n] >= ZETA).sum())
