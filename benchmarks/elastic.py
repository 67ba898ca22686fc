"""Does leaving early save the time that it skips? CPU time of early exits against the whole elastic network.

Each line answers the same pictures once with the whole network and once within a budget, in turn, and takes the median
of the ratios: time is the processor's, of this process alone, so that others on the machine do not count. All numbers
are shares of the whole network's. `MACs` is what is left of the multiply-accumulates; `layers` what is left of the time
if each picture paid just for the layers that it went through, as timed with all pictures leaving at the same exit;
`time` what was needed. The last column is time over layers: 1 is exactly in proportion to what was skipped, above it is
what picking out pictures and smaller batches cost. That `layers` is above `MACs` is no cost of leaving: early layers
work on large maps with few channels, and take more time for each multiply-accumulate.

    python benchmarks/elastic.py [--pictures 128] [--pairs 7]
"""

import argparse
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from gradscope.config import MobileNet, Resnet, Settings
from gradscope.evaluate.exits import mean_macs
from gradscope.models import build_model
from gradscope.models.budgets import At, Budget, Known, Leaving
from gradscope.models.early_exit import Pieces
from gradscope.models.elastic import ElasticNetwork
from gradscope.models.exit_points import exit_points

SHAPE = (3, 32, 32)
NETWORKS: Sequence[Resnet | MobileNet] = (Resnet(depth=20), MobileNet())


@dataclass(frozen=True)
class Halves:
    """A share of the pictures that are left leaves at each exit, whatever they are: the skipping alone is timed."""

    share: float
    first: int = 0

    def leaves(self, logits: Tensor) -> Tensor:
        return torch.arange(len(logits)) < round(self.share * len(logits))

    def leaving(self, network: Known, images: Tensor) -> Leaving:
        return self


def pieces_of(settings: Settings) -> Pieces:
    backbone = build_model(settings, SHAPE, 10, seed=0)
    points = exit_points(backbone, SHAPE, "paper")
    return Pieces(ElasticNetwork(backbone, points, in_shape=SHAPE, n_classes=10).eval())


def seconds(pieces: Pieces, images: Tensor, budget: Budget) -> float:
    began = time.process_time()
    pieces.predict(images, budget)
    return time.process_time() - began


def ratio(pieces: Pieces, images: Tensor, budget: Budget, pairs: int) -> float:
    """Median over pairs of the time within the budget over the whole network's, each pair one after the other."""
    whole = At(pieces.network.n_exits - 1)
    return statistics.median(seconds(pieces, images, budget) / seconds(pieces, images, whole) for _ in range(pairs))


BUDGETS: dict[str, Budget] = {
    "half leave at each": Halves(0.5),
    "a fifth leave at each": Halves(0.2),
    "a tenth leave at each": Halves(0.1),
    "nobody leaves": Halves(0.0),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--pictures", type=int, default=128)
    parser.add_argument("--pairs", type=int, default=7)
    given = parser.parse_args()
    torch.set_num_threads(1)
    images = torch.randn(given.pictures, *SHAPE, generator=torch.Generator().manual_seed(0))
    print(f"{given.pictures} pictures of 32x32, {given.pairs} pairs, one core, torch {torch.__version__}")
    for settings in NETWORKS:
        report(settings.name, pieces_of(settings), images, given.pairs)


def report(name: str, pieces: Pieces, images: Tensor, pairs: int) -> None:
    pieces.predict(images, Halves(0.5))
    alone = torch.tensor([ratio(pieces, images, At(i), pairs) for i in range(pieces.network.n_exits)])
    print(f"\n{name}, {len(alone)} exits; each alone takes {', '.join(f'{share:.0%}' for share in alone)}")
    print(f"{'budget':<24}{'MACs':>8}{'layers':>8}{'time':>8}{'time / layers':>15}")
    for what, budget in BUDGETS.items():
        exits = pieces.predict(images, budget).exits
        macs, layers = mean_macs(pieces, exits) / pieces.costs[-1].macs, float(alone[exits].mean())
        needed = ratio(pieces, images, budget, pairs)
        print(f"{what:<24}{macs:>8.0%}{layers:>8.0%}{needed:>8.0%}{needed / layers:>15.2f}")


if __name__ == "__main__":
    main()
