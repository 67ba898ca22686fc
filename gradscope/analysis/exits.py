"""What the exits of elastic networks say: curves by exit, who leaves where, what a run without exits compares with."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from gradscope.exit_answers import ExitAnswers
from gradscope.records import Run

What = Literal["accuracy", "loss", "calibration_error"]
"""What is logged of every exit."""
WHATS: tuple[What, ...] = ("accuracy", "loss", "calibration_error")

_NAME = re.compile(r"(val|test)_exit_(\d+)_(accuracy|loss|calibration_error)")
_TERM = re.compile(r"exit (\d+)")
_HEADS = "heads."
_BACKBONE = "backbone."


def has_exits(config: Mapping[str, Any]) -> bool:  # Any: a run's settings
    """Whether a run was to be trained with exits."""
    methods = config.get("methods")
    return isinstance(methods, Sequence) and any(isinstance(m, Mapping) and m.get("name") == "elastic" for m in methods)


def metric_names(known: Sequence[str], what: What, split: str = "val") -> list[str]:
    """Of the curves in a store those of one figure of every exit."""
    return [name for name in known if (found := _NAME.fullmatch(name)) and found.group(1, 3) == (split, what)]


def by_exit(metrics: pd.DataFrame) -> pd.DataFrame:
    """Curves of exits with their exit.

    Args:
        metrics: `gradscope.store.read.metrics` of names from `metric_names`.

    Returns:
        The same rows with the column exit (from 1), by run, exit and step.
    """
    numbers = [int(found[2]) if (found := _NAME.fullmatch(name)) else 0 for name in metrics["name"]]
    return metrics.assign(exit=np.array(numbers, dtype=np.int64)).sort_values(
        ["run", "exit", "step"], ignore_index=True
    )


def exit_of(term: str) -> int | None:
    """The exit that a term of the loss belongs to, from 1; None for another term.

    >>> exit_of("exit 12"), exit_of("weights")
    (12, None)
    """
    found = _TERM.fullmatch(term)
    return int(found[1]) if found else None


def shares_by_exit(terms: pd.DataFrame) -> pd.DataFrame:
    """Each exit's share in every layer's gradient.

    Args:
        terms: `gradscope.store.read_terms.term_gradients`.

    Returns:
        Rows of exits in layers of the backbone, with exit; by run, exit and layer.
    """
    rows = _of_backbone(terms.assign(exit=terms["term"].map(exit_of)))
    return rows[rows["exit"].notna()].sort_values(["run", "exit", "layer"], ignore_index=True)


def cosines_to_last(cosines: pd.DataFrame) -> pd.DataFrame:
    """The angle between each exit's gradient and the last exit's, in every layer.

    Args:
        cosines: `gradscope.store.read_terms.term_cosines`.

    Returns:
        Rows with run, step, layer, name, depth, exit, cosine; by run, exit and layer.
    """
    pairs = _of_backbone(cosines.assign(one=cosines["term"].map(exit_of), two=cosines["other"].map(exit_of)))
    pairs = pairs.dropna(subset=["one", "two"])
    low, high = pairs[["one", "two"]].min(axis=1), pairs[["one", "two"]].max(axis=1)
    last = high.groupby(pairs["run"]).transform("max")
    kept = pairs.assign(exit=low)[high == last]
    columns = ["run", "step", "layer", "name", "depth", "exit", "cosine"]
    return kept[columns].sort_values(["run", "exit", "layer"], ignore_index=True)


def _of_backbone(rows: pd.DataFrame) -> pd.DataFrame:
    """Without the layers of the heads, whose gradient is their own exit's alone."""
    kept = without_heads(rows)
    return kept.assign(name=kept["name"].astype(str).str.removeprefix(_BACKBONE))


def without_heads(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows of layers, by their name, without the heads of exits: each of these sits right at its own loss."""
    return rows[~rows["name"].astype(str).str.startswith(_HEADS)]


def backbone_profile(profile: pd.DataFrame) -> pd.DataFrame:
    """`gradscope.store.read.profile` without the heads, so that a network with exits lies over the one without.

    The heads come last in the forward pass: the other layers have the numbers that they have in the plain network.
    """
    rows = _of_backbone(profile)
    last = rows.groupby("run")["layer"].transform("max").clip(lower=1)
    return rows.assign(depth=rows["layer"] / last)


def left_at(answers: ExitAnswers, rule: str, threshold: float) -> NDArray[np.int64]:
    """Where each picture leaves, from 0: [N]; at the last exit those that no exit is sure of.

    Args:
        answers: of every exit.
        rule: `confidence` (at least the threshold) or `entropy` (at most, in nats).
        threshold: of the rule.
    """
    sure = _SURE[rule](answers, threshold)
    sure[-1] = True
    left: NDArray[np.int64] = sure.argmax(axis=0).astype(np.int64)
    return left


def _confident(answers: ExitAnswers, threshold: float) -> NDArray[np.bool_]:
    return np.asarray(answers.confidence >= threshold)


def _certain(answers: ExitAnswers, threshold: float) -> NDArray[np.bool_]:
    return np.asarray(answers.entropy <= threshold)


_SURE: Mapping[str, Callable[[ExitAnswers, float], NDArray[np.bool_]]] = {
    "confidence": _confident,
    "entropy": _certain,
}
"""Which pictures are content with which exit: [E, N]."""


def leavers(answers: ExitAnswers, left: NDArray[np.int64]) -> pd.DataFrame:
    """How many leave at each exit and how good their answers are.

    Returns:
        exit (from 1), pictures, share (0..1), accuracy (of the answers given there; NaN where nobody leaves), last
        (accuracy of the last exit on the same pictures: what leaving early costs).
    """
    right = answers.answers == answers.labels
    taken = right[left, np.arange(len(left))]
    rows = []
    for exit_ in range(len(right)):
        here = left == exit_
        n = int(here.sum())
        found = (float(taken[here].mean()), float(right[-1][here].mean())) if n else (float("nan"),) * 2
        rows.append((exit_ + 1, n, n / len(left), *found))
    return pd.DataFrame(rows, columns=["exit", "pictures", "share", "accuracy", "last"])


def examples(answers: ExitAnswers, left: NDArray[np.int64], exit_: int, n: int) -> NDArray[np.int64]:
    """Places of at most n kept pictures that leave at an exit: at the last the least sure first, else the surest.

    Args:
        answers: of every exit.
        left: where each picture leaves, from 0.
        exit_: which, from 0.
        n: how many.
    """
    places = np.flatnonzero(left[: len(answers.images)] == exit_)
    sure = answers.confidence[exit_][places]
    is_last = exit_ == len(answers.answers) - 1
    order = np.argsort(sure if is_last else -sure, kind="stable")
    return places[order][:n]


def twin(run: Run, others: Sequence[Run]) -> Run | None:
    """The newest run of the same settings without exits; None where there is none."""
    wanted = _without_exits(run.config)
    known = [r for r in others if r.id != run.id and not has_exits(r.config) and _without_exits(r.config) == wanted]
    return max(known, key=lambda r: r.id, default=None)


def _without_exits(config: Mapping[str, Any]) -> dict[str, Any]:  # Any: settings
    """The settings that matter for a comparison."""
    methods = [m for m in config.get("methods", ()) if m.get("name") != "elastic"] if has_exits(config) else None
    kept = {name: config.get(name) for name in ("data", "model", "optimizer", "schedule", "train")}
    return {**kept, "methods": list(config.get("methods", ())) if methods is None else methods}


def in_words(saved: float) -> str:
    """How many of the multiply-accumulates it takes, where a share of them is saved; below 0 it takes more.

    >>> in_words(0.25), in_words(0.004), in_words(-0.1)
    ('saves **25%** of the', 'takes as many', 'costs another **10%** of the')
    """
    rounded = round(saved, 2)
    if rounded == 0:
        return "takes as many"
    return f"{'saves' if rounded > 0 else 'costs another'} **{abs(rounded):.0%}** of the"
