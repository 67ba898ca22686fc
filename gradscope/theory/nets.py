"""Nets and samples to send through them, drawn by a seed."""

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from gradscope.data.scikit_digits import read_scikit_digits
from gradscope.theory.gradient_flow import Activation, Array, Net

Samples = tuple[Array, NDArray[np.int64]]
"""Images [N, in] of unit variance, labels [N]."""


def lecun_net(depth: int, width: int, n_inputs: int, n_classes: int, *, activation: Activation, seed: int) -> Net:
    """`depth` weight layers, the last one the output; weights N(0, 1 / fan_in) (LeCun et al. 1998), biases N(0, 1).

    The scales of `gradscope.theory.gradient_flow.passes` make of it any net of such draws.
    """
    random = np.random.default_rng(seed)
    sizes = [n_inputs, *[width] * (depth - 1), n_classes]
    return Net(
        weights=tuple(random.standard_normal((o, i)) / np.sqrt(i) for i, o in pairwise(sizes)),
        biases=tuple(random.standard_normal(o) for o in sizes[1:]),
        activation=activation,
    )


def gaussian_samples(n: int, n_inputs: int, n_classes: int, seed: int) -> Samples:
    """Independent N(0, 1) inputs and labels that mean nothing."""
    # a stream of their own: the net of the same seed would have these very pictures as rows of its first weights
    random = np.random.default_rng((seed, 1))
    return random.standard_normal((n, n_inputs)), random.integers(0, n_classes, n)


def digit_samples(n: int, seed: int) -> Samples:
    """So many of the 1,797 hand-written digits of scikit-learn, 64 pixels, normalised by their mean and deviation."""
    pictures, labels = read_scikit_digits()
    chosen = np.random.default_rng(seed).permutation(len(labels))[:n]
    pixels = pictures.reshape(len(labels), -1).astype(np.float64)
    return ((pixels - pixels.mean()) / pixels.std())[chosen], labels[chosen]
