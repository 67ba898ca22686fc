"""Where pseudo-normalisation cures at the first step, and where it explodes: the table of docs/pseudo-norm.md.

Decades (log10) by which the error's RMS changes from the last hidden layer to the first, in fully connected tanh nets
of width 256; mean and standard deviation over nets drawn by seeds. Exact forward and backward passes in float64.
"""

import numpy as np

from gradscope.config import PseudoNorm
from gradscope.theory.gradient_flow import flow, passes
from gradscope.theory.nets import gaussian_samples, lecun_net
from gradscope.theory.pseudo_norm_effect import decades

WIDTH, SAMPLES, SEEDS = 256, 32, 5
CASES = ((10, 1.0, 0.0), (10, 1.0, 0.5), (30, 1.0, 0.5), (50, 1.0, 0.5), (50, 1.5, 1.0), (50, 0.8, 0.0))
"""Layers, weight scale (1 = LeCun), standard deviation of the biases."""
TREATMENTS = (None, PseudoNorm(every=2), PseudoNorm(every=1))


def main() -> None:
    print("| layers | weight scale | biases | plain | every second layer | every layer |\n|---|---|---|---|---|---|")
    for depth, weights, biases in CASES:
        found = np.array([lost(depth, weights, biases, seed) for seed in range(SEEDS)])
        cells = (
            f"{mean:+.2f} ± {sd:.2f}" for mean, sd in zip(found.mean(axis=0), found.std(axis=0, ddof=1), strict=True)
        )
        print(f"| {depth} | {weights:g} | {biases:g} | {' | '.join(cells)} |")


def lost(depth: int, weights: float, biases: float, seed: int) -> list[float]:
    """Decades under each treatment, of one net."""
    net = lecun_net(depth, WIDTH, WIDTH, 10, activation="tanh", seed=seed)
    found = passes(net, *gaussian_samples(SAMPLES, WIDTH, 10, seed), weights, biases)
    return [decades(flow(found, treatment)) for treatment in TREATMENTS]


if __name__ == "__main__":
    main()
