"""What recording costs: steps with and without it, in turn, in one process, on one network.

A schedule switches the recorder on for every other block of steps, so both kinds see the same weights, caches and
neighbours on the machine. A block is one step where every step is recorded, ten where one in ten is. Printed are the
ratios of neighbouring blocks, recorded / not: median, quartiles and number; and what the writer's thread used of a
processor meanwhile, which shows in no step time on a machine with a core to spare.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import psutil
import torch
from torch import nn
from torch.nn import functional

import gradscope
from gradscope.config import PaperCnn
from gradscope.models import build_model
from gradscope.recorder.measure import wait_until_compiled
from gradscope.recorder.session import Session

BATCH = 50


def cnn() -> tuple[nn.Module, torch.Tensor]:
    """The pseudo-normalising paper's network 1 on 32x32 colour pictures."""
    return build_model(PaperCnn(), in_shape=(3, 32, 32), n_classes=10), torch.randn(BATCH, 3, 32, 32)


def mlp() -> tuple[nn.Module, torch.Tensor]:
    """Twelve dense layers of 610 tanh units on 784 inputs."""
    sizes = [784, *[610] * 11]
    layers = [m for a, b in pairwise(sizes) for m in (nn.Linear(a, b), nn.Tanh())]
    return nn.Sequential(*layers, nn.Linear(610, 10)), torch.randn(BATCH, 784)


@dataclass(frozen=True, kw_only=True)
class Case:
    name: str
    log: str
    block: int
    """Steps of a block; the first of a recorded one is recorded."""
    goals: tuple[float, float]
    """For the CNN and for the MLP."""


CASES = (
    Case(name="every step, gradients", log="gradients", block=1, goals=(1.02, 1.10)),
    Case(name="every 10 steps, all", log="all", block=10, goals=(1.05, 1.05)),
    Case(name="default settings", log="gradients", block=10, goals=(1.01, 1.01)),
)


def main() -> None:
    options = _options()
    wait_until_compiled()
    if options.cpu_time:
        torch.set_num_threads(1)
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, batch {BATCH}")
    for column, (network, make) in enumerate({"CNN": cnn, "MLP": mlp}.items()):
        for case in CASES:
            measured(network, make, case, case.goals[column], options)


def measured(network: str, make: Callable, case: Case, goal: float, options: argparse.Namespace) -> None:
    torch.manual_seed(0)
    clock = time.thread_time if options.cpu_time else time.perf_counter
    model, images = make()
    labels = torch.randint(0, 10, (BATCH,))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    with tempfile.TemporaryDirectory() as folder, gradscope.init(store=Path(folder) / "runs.db") as run:
        run.watch(model, optimizer, log=case.log, every=lambda s: s // case.block % 2 == 1 and s % case.block == 0)
        ratios, plain, used = [], [], 0.0
        for pair in range(options.pairs + options.warm_up):
            before = _writer_seconds(run)
            off, on = (_block(model, optimizer, images, labels, case.block, clock) for _ in range(2))
            if pair >= options.warm_up:
                ratios.append(on / off)
                plain.append(off / case.block)
                used += _writer_seconds(run) - before
        low, median, high = statistics.quantiles(ratios, n=4)
        size = sum(p.numel() for p in model.parameters())
        print(
            f"{network} ({size:,} weights, step {statistics.median(plain) * 1e3:.1f} ms), {case.name}: "
            f"x{median:.3f} ({low:.3f} to {high:.3f}, n={len(ratios)}; goal {goal}); "
            f"writer {used / (sum(plain) * case.block * 2):.1%} of a core"
        )


def _block(model: nn.Module, optimizer: torch.optim.Optimizer, images, labels, steps: int, clock=time.perf_counter):
    start = clock()
    for _ in range(steps):
        optimizer.zero_grad()
        functional.cross_entropy(model(images), labels).backward()
        optimizer.step()
    return clock() - start


def _writer_seconds(run: Session) -> float:
    """Processor time of the writer's thread so far."""
    number = run._writer._thread.native_id
    return next(t.user_time + t.system_time for t in psutil.Process().threads() if t.id == number)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=60)
    parser.add_argument("--warm-up", type=int, default=5)
    parser.add_argument(
        "--cpu-time", action="store_true", help="one thread, processor time instead of wall-clock: for a busy machine"
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
