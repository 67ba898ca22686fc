"""What pseudo-normalisation costs: steps of plain tanh and of the same network with it, in turn, in one process.

Printed for each network and form are the ratios of neighbouring steps, with / without: their median, its 95 % interval
and their number; the first form is none at all, so that what is noise is seen. And the memory as ratios with / without:
bytes that the forward pass saves for the backward pass, and the peak of all tensors that are alive at once in a step
(on a GPU the allocator's own peak).
"""

import argparse
import ctypes
import math
import statistics
import time
import weakref
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode

from gradscope.config import Mlp, PaperCnn, PseudoNorm, Settings
from gradscope.methods import build_methods
from gradscope.models import build_model

BATCH = 50
NETWORKS: dict[str, tuple[Settings, tuple[int, int, int]]] = {
    "paper's model 1": (PaperCnn(variant=1), (3, 32, 32)),
    "paper's model 2": (PaperCnn(variant=2), (3, 32, 32)),
    "paper's model 3": (PaperCnn(variant=3), (3, 32, 32)),
    "12 dense layers of 610": (Mlp(depth=12, width=610), (1, 28, 28)),
    "30 dense layers of 64": (Mlp(depth=30, width=64), (1, 8, 8)),
}
FORMS: dict[str, PseudoNorm | None] = {
    "plain again": None,
    "direct": PseudoNorm(),
    "direct, one RMS a batch": PseudoNorm(scope="batch"),
    "dual": PseudoNorm(form="dual"),
    "direct, all layers": PseudoNorm(every=1),
}


@dataclass(frozen=True, kw_only=True)
class Trained:
    model: nn.Module
    optimizer: torch.optim.Optimizer
    images: Tensor
    labels: Tensor

    def step(self) -> None:
        self.optimizer.zero_grad()
        functional.cross_entropy(self.model(self.images), self.labels).backward()
        self.optimizer.step()


def main() -> None:
    options = _options()
    _keep_freed_memory()
    if options.cpu_time:
        torch.set_num_threads(1)
    device = torch.device("cuda" if torch.cuda.is_available() and not options.cpu_time else "cpu")
    name = torch.cuda.get_device_name() if device.type == "cuda" else f"CPU, {torch.get_num_threads()} threads"
    print(f"torch {torch.__version__}, {name}, batch {BATCH}; goal x1.03 in time, x1.00 in memory")
    for network, (settings, shape) in NETWORKS.items():
        for form, method in FORMS.items() if options.only in network else ():
            compared(network, form, settings, method, shape, device, options)


def _keep_freed_memory() -> None:
    """Let the C library keep what a step frees for the next one, as it does in a process that has once freed 32 MB.

    Fresh from its start glibc gives large blocks back to the system: thousands of page faults a step, by turns more in
    one network or the other, which hid differences of 4 %.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(-3, 32 << 20)  # M_MMAP_THRESHOLD
        mallopt(-1, 2**31 - 1)  # M_TRIM_THRESHOLD


def compared(
    network: str,
    form: str,
    settings: Settings,
    method: PseudoNorm | None,
    shape: tuple[int, int, int],
    device: torch.device,
    options: argparse.Namespace,
) -> None:
    both: list[list[PseudoNorm]] = [[], [method] if method else []]
    plain, treated = (_trained(settings, methods, shape, device, compiled=options.compile) for methods in both)
    clock = _clock(device, options.cpu_time)
    ratios, steps = [], []
    for pair in range(options.pairs + options.warm_up):
        order = (plain, treated) if pair % 2 else (treated, plain)
        seconds = {id(which): _timed(which, clock, options.block) for which in order}
        if pair >= options.warm_up:
            ratios.append(seconds[id(treated)] / seconds[id(plain)])
            steps.append(seconds[id(plain)] / options.block)
    low, high = median_interval(ratios)
    saved, peak = (measure(treated) / measure(plain) for measure in (saved_bytes, peak_bytes))
    print(
        f"{network} (step {statistics.median(steps) * 1e3:.2f} ms), {form}: time x{statistics.median(ratios):.3f} "
        f"({low:.3f} to {high:.3f}, n={len(ratios)}), saved x{saved:.4f}, peak x{peak:.4f}"
    )


def median_interval(values: list[float]) -> tuple[float, float]:
    """Within which the median of what they are drawn from lies in 95 of 100 cases, whatever that is: two of the values,
    half of the number less and more 0.98 times its root in their order (the binomial distribution as a Gaussian).
    """
    ordered, away = sorted(values), 0.98 * len(values) ** 0.5
    low, high = math.floor(len(values) / 2 - away), math.ceil(len(values) / 2 + away)
    return ordered[max(low, 0)], ordered[min(high, len(values)) - 1]


def _trained(
    settings: Settings, methods: list, shape: tuple[int, int, int], device: torch.device, *, compiled: bool
) -> Trained:
    model = build_model(settings, shape, 10, seed=0)
    for method in build_methods(methods):
        model = method.adapt(model, torch.Generator().manual_seed(0))
    model.to(device)
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(BATCH, *shape, generator=generator).to(device)
    labels = torch.randint(0, 10, (BATCH,), generator=generator).to(device)
    if compiled:
        model.compile()
    return Trained(model=model, optimizer=torch.optim.SGD(model.parameters(), lr=0.001), images=images, labels=labels)


def _clock(device: torch.device, cpu_time: bool) -> Callable[[], float]:
    if cpu_time:
        return time.thread_time
    if device.type == "cpu":
        return time.perf_counter

    def waited() -> float:
        torch.cuda.synchronize()
        return time.perf_counter()

    return waited


def _timed(trained: Trained, clock: Callable[[], float], steps: int) -> float:
    start = clock()
    for _ in range(steps):
        trained.step()
    return clock() - start


def saved_bytes(trained: Trained) -> int:
    """Bytes of all storages that one forward pass keeps for its backward pass, each counted once."""
    kept: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        loss = functional.cross_entropy(trained.model(trained.images), trained.labels)
    del loss
    return sum(kept.values())


def peak_bytes(trained: Trained) -> int:
    """The most that is alive at once in a step, beyond what was there before it."""
    trained.optimizer.zero_grad()
    if trained.images.is_cuda:
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        trained.step()
        return torch.cuda.max_memory_allocated() - before
    with _Alive() as alive:
        trained.step()
    return alive.peak


class _Alive(TorchDispatchMode):
    """Counts the bytes of every storage made inside until it is freed."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.peak = 0
        self._known: set[int] = set()

    def __torch_dispatch__(self, function, types, arguments=(), options=None):
        out = function(*arguments, **(options or {}))
        for tensor in out if isinstance(out, tuple | list) else (out,):
            if isinstance(tensor, Tensor):
                self._count(tensor.untyped_storage())
        return out

    def _count(self, storage: torch.UntypedStorage) -> None:
        key = storage._cdata
        if key not in self._known:
            self._known.add(key)
            self.now += storage.nbytes()
            self.peak = max(self.peak, self.now)
            weakref.finalize(storage, self._freed, key, storage.nbytes())

    def _freed(self, key: int, size: int) -> None:
        self._known.discard(key)
        self.now -= size


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=40)
    parser.add_argument("--warm-up", type=int, default=4)
    parser.add_argument("--block", type=int, default=1, help="steps of a pair's half")
    parser.add_argument("--compile", action="store_true", help="both networks through torch.compile")
    parser.add_argument("--only", default="", help="networks with this in their name")
    parser.add_argument(
        "--cpu-time", action="store_true", help="one thread, processor time instead of wall-clock: for a busy machine"
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
