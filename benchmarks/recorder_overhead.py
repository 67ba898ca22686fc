"""What recording costs: steps with a recorder and without, in turn, in one process, ours and others'.

A block is one step where every step is recorded, ten where one in ten is. A recorded block is compared with the mean of
the plain ones before and after it, so a machine that slowly gets faster or slower does no harm. Shown are the median
and the quartiles of these ratios, and what threads and processes beside the training used of a processor, per recorded
block, in relation to a plain one: it shows in no step time while there is a core to spare.

`--cpu-time` runs one thread and counts its processor time: for a machine that others use too. `--write FILE` puts the
table in its place in that file.
"""

import argparse
import contextlib
import gc
import io
import logging
import os
import platform
import re
import statistics
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import psutil
import torch
from recorder_networks import BATCH, NETWORKS, Network, Training
from recorder_peers import ROWS, Row

from gradscope.recorder.measure import wait_until_compiled

_PEERS = ("wandb", "tensorboard", "cockpit-for-pytorch", "torchexplorer")
_WARM_UP, _FEWEST = 3, 5


@dataclass(frozen=True, kw_only=True)
class Cost:
    ratios: list[float]
    plain: float
    """Median seconds of a plain step."""
    beside: float
    """Processor time beside the training thread, of a recorded block, in plain blocks."""

    def __str__(self) -> str:
        low, median, high = statistics.quantiles(self.ratios, n=4)
        return f"{_number(median)} ({_number(low)} to {_number(high)}, n = {len(self.ratios)})"


def main() -> None:
    options = _options()
    wait_until_compiled()
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1 if options.cpu_time else options.threads)
    print(f"{_machine()}; load {os.getloadavg()[0]:.1f}")
    lines = _table(options)
    if options.write:
        _write(options.write, "processor time" if options.cpu_time else "wall clock", [f"{_machine()}.", "", *lines])


def _table(options: argparse.Namespace) -> list[str]:
    networks = [n for n in NETWORKS if options.only in n.name]
    rows = [row for row in ROWS if options.row in row.name]
    cells: dict[str, list[str]] = {row.name: [] for row in rows}
    head = []
    for network in networks:
        plain = []
        for row in rows:
            text, cost = _cell(network, row, options)
            cells[row.name].append(text)
            plain += [cost.plain] if cost else []
            print(f"{network.name}, {row.name}: {text}{_goal(network, row)}", flush=True)
        size = Training(network).n_parameters / 1e6
        head.append(f"{network.name}, {size:.2f} M, {statistics.median(plain) * 1e3:.1f} ms" if plain else network.name)
    return [
        f"| | {' | '.join(head)} | what is recorded |",
        "|---" * (len(networks) + 2) + "|",
        *(f"| {row.name} | {' | '.join(cells[row.name])} | {row.what} |" for row in rows),
    ]


def _cell(network: Network, row: Row, options: argparse.Namespace) -> tuple[str, Cost | None]:
    clock = time.thread_time if options.cpu_time else time.perf_counter
    said = io.StringIO()
    try:
        with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(said):
            cost = measured(Training(network), row, Path(folder), clock, options.seconds)
    except ModuleNotFoundError as missing:
        return f"{missing.name} is not installed", None
    except Exception as error:  # a peer may fail in any way on a network that it does not support
        if options.trace:
            traceback.print_exc()
        return f"fails: {' '.join(str(error).split())[:80]}", None
    beside = f"; beside {cost.beside:.2f}" if options.cpu_time else ""
    return f"{cost}{beside}", cost


def measured(
    training: Training, row: Row, folder: Path, clock: Callable[[], float], seconds: float, pairs: int = 400
) -> Cost:
    with row.recorder(training, folder) as steps:

        def block(step: Callable[[], None], recorded: bool) -> float:
            steps.switch(recorded)
            start = clock()
            for _ in range(row.block):
                step()
            return clock() - start

        def pair() -> tuple[float, float]:
            return block(training.step, False), block(steps.recorded, True)

        for _ in range(_WARM_UP):
            pair()
        gc.collect()
        end, beside = time.monotonic() + seconds, _beside()
        found: list[tuple[float, float]] = []
        while len(found) < _FEWEST or (time.monotonic() < end and len(found) < pairs):
            found.append(pair())
        plain = [p for p, _ in found] + [block(training.step, False)]
        # the background goes on with what it got; without a rest the last blocks' share of it would be missing
        time.sleep(1)
        used = (_beside() - beside) / len(found)
    ratios = [2 * recorded / (plain[i] + plain[i + 1]) for i, (_, recorded) in enumerate(found)]
    middle = statistics.median(plain)
    return Cost(ratios=ratios, plain=middle / row.block, beside=used / middle)


def _beside() -> float:
    """Processor time of all threads and child processes but the calling thread."""
    process = psutil.Process()
    total = 0.0
    for one in (process, *process.children(recursive=True)):
        with contextlib.suppress(psutil.NoSuchProcess):
            times = one.cpu_times()
            total += times.user + times.system
    return total - time.thread_time()


def _number(ratio: float) -> str:
    return f"{ratio:.3f}" if ratio < 1.995 else f"{ratio:.1f}"


def _goal(network: Network, row: Row) -> str:
    goal = dict(zip(("CNN", "MLP"), row.goals, strict=True)).get(network.name)
    return "" if goal is None else f" (goal: at most {goal})"


def _machine() -> str:
    found = Path("/proc/cpuinfo")
    model = re.search(r"model name\s*: (.*)", found.read_text()) if found.exists() else None
    versions = ["torch " + torch.__version__]
    for name in _PEERS:
        with contextlib.suppress(metadata.PackageNotFoundError):
            versions.append(f"{name} {metadata.version(name)}")
    threads = f"{torch.get_num_threads()} thread" + "s" * (torch.get_num_threads() > 1)
    return f"{model[1] if model else platform.machine()}, {threads}, batch {BATCH}; {', '.join(versions)}"


def _write(path: Path, section: str, lines: list[str]) -> None:
    """Replace what stands between the marks of that section."""
    begin, end = f"<!-- {section}: begin -->\n", f"<!-- {section}: end -->"
    text = path.read_text()
    head, _, rest = text.partition(begin)
    _, _, tail = rest.partition(end)
    path.write_text(head + begin + "\n".join(["", *lines, "", ""]) + end + tail)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=20, help="of measuring for each recorder and network")
    parser.add_argument("--cpu-time", action="store_true", help="one thread, its processor time")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="of PyTorch, by the wall clock")
    parser.add_argument("--only", default="", metavar="TEXT", help="networks whose name contains this")
    parser.add_argument("--row", default="", metavar="TEXT", help="recorders whose name contains this")
    parser.add_argument("--write", type=Path, metavar="FILE", help="such as docs/benchmarks/recorder.md")
    parser.add_argument("--trace", action="store_true", help="show the whole error of a recorder that fails")
    return parser.parse_args()


if __name__ == "__main__":
    logging.disable(logging.WARNING)
    main()
