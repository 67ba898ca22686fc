"""How long the page What if waits for an answer: the workbench asked, warm, on networks of CIFAR's size.

python benchmarks/what_if.py [--rounds 9]

Each question is one forward and one backward pass of a run's first batch under another activation, and what stands
around it: the line of JSON, the store, the weights from disk, the statistics of every layer. The process has one
thread, so that its processor time is what the clock of a calm machine would show with one core; the clock's own, from
the question to the answer, stands beside it, and means little on a busy machine. The goal is two seconds.
"""

import argparse
import os
import platform
import statistics
import tempfile
import time
from pathlib import Path

import psutil
import torch

from gradscope import checkpoint, first_batch
from gradscope.checkpoint import Position
from gradscope.config import Cifar10, Mlp, PaperCnn, Resnet, RunConfig, Settings
from gradscope.data import MiniBatch
from gradscope.jobs import create
from gradscope.jobs.workbench import Workbench
from gradscope.models import build_model
from gradscope.records import Status
from gradscope.store import Store, open_store

GOAL_SECONDS = 2.0
SHAPE, CLASSES = (3, 32, 32), 10
NETWORKS: dict[str, tuple[Settings, int]] = {
    "mlp 30 x 64": (Mlp(depth=30), 128),
    "paper_cnn 1": (PaperCnn(variant=1), 50),
    "paper_cnn 2": (PaperCnn(variant=2), 50),
    "resnet 20": (Resnet(depth=20), 128),
    "resnet 56": (Resnet(depth=56), 128),
}
"""With the batch size of each."""


def run_of(store: Store, model: Settings, batch_size: int) -> int:
    """A run that was trained for no step, with its first batch of random pictures and a checkpoint."""
    config = RunConfig(data=Cifar10(), model=model)
    run = create(store, config, "asked", status=Status.COMPLETED)
    network = build_model(model, SHAPE, CLASSES, seed=0)
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(batch_size, *SHAPE, generator=generator)
    labels = torch.randint(0, CLASSES, (batch_size,), generator=generator)
    first_batch.keep(
        store.paths(run), MiniBatch(images=images, labels=labels, places=torch.arange(batch_size)), CLASSES
    )
    position = Position(step=0, seconds=0.0, best_val_score=None)
    checkpoint.save(store.paths(run), network, torch.optim.SGD(network.parameters(), lr=0.1), position)
    return run


def asked(bench: Workbench, store: Store, run: int, activation: str) -> tuple[float, float]:
    """Seconds on the clock, and of the process's processor time."""
    process = psutil.Process(bench.ask(store, "warm")["pid"])
    before, began = sum(process.cpu_times()[:2]), time.perf_counter()
    settings = {"model.activation": activation}
    bench.ask(store, "what_if", run=run, settings=settings, weights="checkpoint", scale=1.0)
    return time.perf_counter() - began, sum(process.cpu_times()[:2]) - before


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    rounds = parser.parse_args().rounds
    load = f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} before the start"
    print(f"{platform.machine()}, torch {torch.__version__}, {load}; goal {GOAL_SECONDS:.0f} s")
    os.environ["OMP_NUM_THREADS"] = "1"
    bench = Workbench()
    with tempfile.TemporaryDirectory() as folder:
        store = open_store(Path(folder) / "runs.db", create=True)
        began = time.perf_counter()
        bench.ask(store, "warm", seconds=300)
        print(f"{'start of the process':24} {time.perf_counter() - began:5.2f} s, once")
        for name, (model, size) in NETWORKS.items():
            run = run_of(store, model, size)
            for _ in range(3):  # until the recorder's kernel is loaded
                asked(bench, store, run, "relu")
            found = [asked(bench, store, run, ("tanh", "relu")[i % 2]) for i in range(rounds)]
            clock, work = (statistics.median(part) for part in zip(*found, strict=True))
            quickest = min(seconds for seconds, _ in found)
            met = "met" if work <= GOAL_SECONDS else "missed"
            told = f"{work:5.2f} s of processor time, by the clock {clock:.2f} s (quickest {quickest:.2f} s)"
            print(f"{name + f', batch {size}':24} {told}: {met}")
        store.close()
    bench.close()


if __name__ == "__main__":
    main()
