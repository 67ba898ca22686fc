"""What recording costs on a GPU: ResNet-18, batch 128, channels last, bf16; run by benchmarks/gpu.sh.

Blocks of steps with and without recording follow each other in one process, in turn; a recorded block is compared with
the mean of the plain ones before and after it. A block ends when the device has done its work. A separate step passes
under `torch.cuda.set_sync_debug_mode("error")`, which raises wherever the host would wait for the device.

The kernel alone is timed over gradients that take turns, so that they do not lie in the cache, against the time that
reading them once takes at the bandwidth of a large copy on the same device.
"""

import argparse
import contextlib
import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
import triton
from torch import Tensor
from torch.nn import functional
from torchvision.models import resnet18
from triton.testing import do_bench

import gradscope
from gradscope.recorder import cuda
from gradscope.recorder.measure import wait_until_compiled
from gradscope.recorder.watch import Log

BATCH, WARM_UP = 128, 5


class Training:
    """ResNet-18 on random pictures; the loss is computed in bf16, weights are float32 (autocast) or bf16 too."""

    def __init__(self, size: int, weights: torch.dtype) -> None:
        torch.manual_seed(0)
        self.model = resnet18(num_classes=10).to("cuda", weights, memory_format=torch.channels_last)
        images = torch.randn(BATCH, 3, size, size, device="cuda", dtype=weights)
        self.images = images.contiguous(memory_format=torch.channels_last)
        self.labels = torch.randint(0, 10, (BATCH,), device="cuda")
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.01, momentum=0.9)

    def step(self) -> Tensor:
        self.optimizer.zero_grad()
        with torch.autocast("cuda", torch.bfloat16):
            loss = functional.cross_entropy(self.model(self.images), self.labels)
        loss.backward()
        self.optimizer.step()
        return loss


@dataclass(frozen=True, kw_only=True)
class Case:
    name: str
    size: int
    """Pixels of a picture's side."""
    weights: torch.dtype = torch.float32
    log: Log = "gradients"
    every: int = 1
    graph: bool = False
    goal: float | None = 1.03


CASES = (
    Case(name="224 pixels, weights in float32 (autocast), every step", size=224),
    Case(name="224 pixels, weights in bf16, every step", size=224, weights=torch.bfloat16),
    Case(name="32 pixels, weights in float32 (autocast), every step", size=32, goal=None),
    Case(name="224 pixels, in a captured CUDA graph, every step", size=224, graph=True),
    Case(name="32 pixels, in a captured CUDA graph, every step", size=32, graph=True, goal=None),
    Case(name="224 pixels, all, every 10 steps", size=224, log="all", every=10, goal=1.05),
    Case(name="224 pixels, default settings", size=224, every=10, goal=1.01),
)


class Switch:
    """A schedule that is turned on and off from outside."""

    def __init__(self, every: int) -> None:
        self.on, self._every = False, every

    def __call__(self, step: int) -> bool:
        return self.on and step % self._every == 0


Step = Callable[[], object]


@contextlib.contextmanager
def steps_of(case: Case, training: Training, folder: Path) -> Iterator[tuple[Step, Step, Switch]]:
    """A plain step, a recorded one, and the switch that makes the recorder look at steps at all."""
    switch = Switch(case.every)
    plain = captured(training, contextlib.nullcontext()) if case.graph else training.step
    with gradscope.init(store=folder / "runs.db") as run:
        run.watch(training.model, training.optimizer, log=case.log, every=switch)
        if not case.graph:
            yield plain, plain, switch
            return
        replay = captured(training, run.capturing())

        def step() -> None:
            replay()
            run.record_step()

        yield plain, step, switch


def captured(training: Training, around: contextlib.AbstractContextManager[None]) -> Step:
    """The whole step as one CUDA graph, after some that warm up on a stream of their own, as PyTorch asks for."""
    aside = torch.cuda.Stream()
    aside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(aside):
        for _ in range(WARM_UP):
            training.step()
    torch.cuda.current_stream().wait_stream(aside)
    graph = torch.cuda.CUDAGraph()
    with around, torch.cuda.graph(graph):
        training.step()
    return graph.replay


def overhead(case: Case, pairs: int, steps: int) -> tuple[list[float], float]:
    """Ratios of recorded blocks to plain ones, and the median seconds of a plain step."""
    training = Training(case.size, case.weights)
    with tempfile.TemporaryDirectory() as folder, steps_of(case, training, Path(folder)) as (plain, recorded, switch):

        def block(on: bool) -> float:
            step, switch.on = (recorded if on else plain), on
            step()  # whether a step is due is settled at the end of the one before
            torch.cuda.synchronize()
            start = time.perf_counter()
            for _ in range(steps):
                step()
            torch.cuda.synchronize()
            return (time.perf_counter() - start) / steps

        for on in (False, True) * WARM_UP:
            block(on)
        found = [(block(False), block(True)) for _ in range(pairs)]
        alone = [p for p, _ in found] + [block(False)]
        switch.on = True
        recorded()
        with without_waiting():
            recorded()
    ratios = [2 * on / (alone[i] + alone[i + 1]) for i, (_, on) in enumerate(found)]
    return ratios, statistics.median(alone)


@contextlib.contextmanager
def without_waiting() -> Iterator[None]:
    before = torch.cuda.get_sync_debug_mode()
    torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode(before)


def bandwidth() -> float:
    """Bytes read and written in a second by a copy of 2 GiB on the device."""
    source = torch.empty(2**31, dtype=torch.uint8, device="cuda").random_()
    target = torch.empty_like(source)
    return 2 * source.numel() / seconds(partial(target.copy_, source))


def seconds(call: Callable[[], object]) -> float:
    """Median time of a call on the device."""
    return do_bench(call, warmup=50, rep=300, return_mode="median") / 1e3


@dataclass(frozen=True, kw_only=True)
class Tensors:
    """Gradients to measure the kernel by."""

    name: str
    make: Callable[[], list[Tensor]]


def of_resnet18(dtype: torch.dtype) -> list[Tensor]:
    layers = [p for p in resnet18(num_classes=10).parameters() if p.dim() > 1]
    return [torch.randn_like(p, device="cuda", dtype=dtype) * 1e-3 for p in layers]


KERNEL_CASES = (
    Tensors(name="ResNet-18, float32", make=partial(of_resnet18, torch.float32)),
    Tensors(name="ResNet-18, bf16", make=partial(of_resnet18, torch.bfloat16)),
    Tensors(name="one tensor, float32", make=lambda: [torch.randn(2**28, device="cuda")]),
    Tensors(name="one tensor, bf16", make=lambda: [torch.randn(2**28, device="cuda", dtype=torch.bfloat16)]),
)


def kernel_cells(case: Tensors, copy_rate: float) -> list[str]:
    """How long one measurement of such tensors takes; what is measured is not in the cache."""
    first = case.make()
    n, n_bytes = sum(t.numel() for t in first), sum(t.numel() * t.element_size() for t in first)
    turns = [first, *(case.make() for _ in range(max(1, 2**28 // n_bytes)))]
    cuda.measure(first)  # compiles
    graph = torch.cuda.CUDAGraph()
    cuda.reserve()
    with torch.cuda.graph(graph):
        for tensors in turns:
            cuda.measure(tensors)
    taken, floor = seconds(graph.replay) / len(turns), n_bytes / copy_rate
    times = [f"{taken * 1e6:.0f}", f"{floor * 1e6:.0f}", f"{taken / floor:.2f}", f"{taken / n * 1e12:.1f}"]
    return [case.name, f"{n / 1e6:.1f} M", *times]


def overhead_cells(case: Case, options: argparse.Namespace) -> list[str]:
    ratios, plain = overhead(case, options.pairs, options.steps)
    low, median, high = statistics.quantiles(ratios, n=4)
    goal = "" if case.goal is None else f"{case.goal:.2f}"
    return [case.name, f"{plain * 1e3:.2f}", f"{median:.4f} ({low:.4f} to {high:.4f}, n = {len(ratios)})", goal]


def table(head: list[str], rows: Iterator[list[str]]) -> list[str]:
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    print("\n".join(lines))
    for row in rows:
        lines.append(f"| {' | '.join(row)} |")
        print(lines[-1], flush=True)
    return lines


def main() -> None:
    options = _options()
    if not torch.cuda.is_available():
        raise SystemExit("There is no CUDA device here; this benchmark is for one.")
    wait_until_compiled()
    copy_rate = bandwidth()
    about = (
        f"{torch.cuda.get_device_name()}, Python {platform.python_version()}, torch {torch.__version__}, "
        f"Triton {triton.__version__}; a copy of 2 GiB moves {copy_rate / 1e12:.2f} TB/s, read and written."
    )
    print(about)
    heads = ["training", "plain step, ms", "recorded / plain, median (quartiles)", "goal"]
    steps = table(heads, (overhead_cells(case, options) for case in CASES))
    heads = ["tensors", "elements", "µs", "floor, µs", "times the floor", "ps an element"]
    kernels = table(heads, (kernel_cells(case, copy_rate) for case in KERNEL_CASES))
    no_waiting = "One recorded step of each passed while PyTorch raises whenever the host waits for the device."
    parts = ["# What recording costs on a GPU", *__doc__.strip().split("\n\n")[1:], about, no_waiting]
    text = "\n\n".join([*parts, "\n".join(steps), "\n".join(kernels)]) + "\n"
    if options.write:
        options.write.write_text(text)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=30, help="of blocks, recorded and not")
    parser.add_argument("--steps", type=int, default=20, help="in a block")
    parser.add_argument("--write", type=Path, metavar="FILE", help="such as docs/benchmarks/gpu.md")
    return parser.parse_args()


if __name__ == "__main__":
    main()
