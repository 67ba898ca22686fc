"""What drawing the noise costs: a robustness test against its forward passes alone.

python benchmarks/robustness.py [--device cuda] [--images 10000] [--draws 10] [--levels 9]

Both sides classify the same number of pictures: ten draws x two kinds x nine levels x 10,000 with the options above, by
default a part of that which a CPU does in a minute. Rounds alternate; on a CPU processor time is compared, which a busy
machine disturbs less than the clock. The ratio of the medians, and of the quickest rounds, is printed for each network.
"""

import argparse
import platform
import statistics
import time
from collections.abc import Callable

import torch

from gradscope.config import NOISES, Mlp, PaperCnn, Resnet, Settings
from gradscope.data import Split
from gradscope.evaluate.disturbed import Subject
from gradscope.evaluate.robustness import answers
from gradscope.models import build_model

NETWORKS: dict[str, tuple[Settings, tuple[int, int, int]]] = {
    "paper_cnn 1, 3x32x32": (PaperCnn(variant=1), (3, 32, 32)),
    "resnet 20, 3x32x32": (Resnet(depth=20), (3, 32, 32)),
    "mlp 10 x 64, 1x8x8": (Mlp(), (1, 8, 8)),
}


def subject_and_pictures(name: str, n: int, device: torch.device) -> tuple[Subject, Split]:
    settings, shape = NETWORKS[name]
    model = build_model(settings, shape, 10, seed=0).to(device).eval()
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (n, *shape), dtype=torch.uint8, generator=generator).to(device)
    scale, shift = (torch.full((1, shape[0], 1, 1), v, device=device) for v in (1 / 64, -2.0))
    split = Split(images=images, labels=torch.randint(0, 10, (n,), generator=generator).to(device))
    return Subject(model=model, normalise=lambda x: x * scale + shift), split


def seconds(work: Callable[[], object], device: torch.device) -> float:
    clock = time.process_time if device.type == "cpu" else time.perf_counter
    if device.type == "cuda":
        torch.cuda.synchronize()
    began = clock()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return clock() - began


def measure(name: str, given: argparse.Namespace) -> None:
    device = torch.device(given.device)
    dtype = torch.bfloat16 if device.type == "cuda" else None
    subject, split = subject_and_pictures(name, given.images, device)
    levels = [0.1 * (i + 1) for i in range(given.levels)]

    def noise() -> None:
        for kind in NOISES:
            for level in levels:
                answers(subject, split, 10, kind=kind, level=level, draws=given.draws, seed=0, autocast=dtype)

    def alone() -> None:
        for _ in range(len(NOISES) * given.levels):
            answers(subject, split, 10, kind="clean", level=0, draws=given.draws, seed=0, autocast=dtype)

    noise()
    alone()
    rounds = [(seconds(noise, device), seconds(alone, device)) for _ in range(given.rounds)]
    with_noise, without = zip(*rounds, strict=True)
    medians = statistics.median(with_noise), statistics.median(without)
    passes = len(NOISES) * given.levels * given.draws * given.images
    print(
        f"{name}: {passes:,} pictures, with noise {medians[0]:.2f} s, forward passes alone {medians[1]:.2f} s: "
        f"ratio {medians[0] / medians[1]:.3f}, of the quickest rounds {min(with_noise) / min(without):.3f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--images", type=int, default=0, help="10,000 on a GPU, 1,000 elsewhere")
    parser.add_argument("--draws", type=int, default=0, help="10 on a GPU, 2 elsewhere")
    parser.add_argument("--levels", type=int, default=0, help="9 on a GPU, 2 elsewhere")
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    gpu = given.device.startswith("cuda")
    given.images, given.draws = given.images or (10_000 if gpu else 1000), given.draws or (10 if gpu else 2)
    given.levels = given.levels or (9 if gpu else 2)
    name = torch.cuda.get_device_name() if gpu else f"{platform.machine()} with {torch.get_num_threads()} threads"
    print(f"{name}, torch {torch.__version__}, {given.rounds} alternating rounds")
    for network in NETWORKS:
        measure(network, given)


if __name__ == "__main__":
    main()
