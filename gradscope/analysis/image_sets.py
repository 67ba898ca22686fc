"""Which test pictures are looked at: the same ones for every run, by place and seed."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from gradscope.config.explaining import ImageSet, Outcome

Ints = NDArray[np.int64]
Floats = NDArray[np.floating]


def chosen(wanted: ImageSet, labels: Ints, probabilities: Sequence[Floats]) -> Ints:
    """Places in the test split of the pictures of a set, in its order.

    Args:
        wanted: the set.
        labels: [N], the true class of every test picture.
        probabilities: [N, K] of each run; may be empty for a set that asks nothing of the runs.

    Returns:
        At most `wanted.n` places.
    """
    order = np.random.default_rng(wanted.seed).permutation(len(labels))
    guesses = [p.argmax(axis=1) for p in probabilities]
    fits = np.ones(len(labels), np.bool_)
    if wanted.true is not None:
        fits &= labels == wanted.true
    if wanted.taken_for is not None:
        fits &= np.any([g == wanted.taken_for for g in guesses], axis=0) if guesses else False
    if guesses:
        fits &= _OUTCOMES[wanted.outcome](labels, np.stack(guesses))
    kept = order[fits[order]]
    if wanted.outcome is Outcome.CONFIDENT_ERROR and guesses:
        kept = kept[np.argsort(-_certainty_of_error(labels, probabilities)[kept], kind="stable")]
    return kept[: wanted.n].astype(np.int64)


_OUTCOMES: Mapping[Outcome, Callable[[Ints, Ints], NDArray[np.bool_]]] = {
    Outcome.ANY: lambda labels, _: np.ones(len(labels), np.bool_),
    Outcome.RIGHT: lambda labels, guesses: (guesses == labels).all(axis=0),
    Outcome.WRONG: lambda labels, guesses: (guesses != labels).all(axis=0),
    Outcome.DISAGREE: lambda _, guesses: (guesses != guesses[0]).any(axis=0),
    Outcome.CONFIDENT_ERROR: lambda labels, guesses: (guesses != labels).any(axis=0),
}


def _certainty_of_error(labels: Ints, probabilities: Sequence[Floats]) -> Floats:
    """Greatest probability that a run gives a wrong answer, [N]; 0 where all are right."""
    wrong = [np.where(p.argmax(axis=1) != labels, p.max(axis=1), 0.0) for p in probabilities]
    worst: Floats = np.max(wrong, axis=0)
    return worst


def confusions(labels: Ints, probabilities: Sequence[Floats], most: int = 20) -> list[tuple[int, int, int]]:
    """The most frequent confusions of the runs together: (true class, class it is taken for, how often)."""
    pairs: dict[tuple[int, int], int] = {}
    for p in probabilities:
        guess = p.argmax(axis=1)
        wrong = guess != labels
        found, counts = np.unique(np.stack([labels[wrong], guess[wrong]], axis=1), axis=0, return_counts=True)
        for (true, taken), count in zip(found.tolist(), counts.tolist(), strict=True):
            pairs[true, taken] = pairs.get((true, taken), 0) + count
    ordered = sorted(pairs.items(), key=lambda item: (-item[1], item[0]))
    return [(true, taken, count) for (true, taken), count in ordered[:most]]
