"""How many layer rows a second reach the store, alone and while another process reads them.

A layer row is what one tensor of one layer leaves at one recorded step: its row in `layer_stats` and its histogram.
Two ways are measured, each without and with a reader that asks twice a second what the live pages ask:

    append    `store.write.append` of rows that are ready
    recorder  the whole way from measured tensors through the writer's thread, as in a training that records every step

Rounds without and with the reader alternate; printed are the median rates, and the ratio of neighbouring rounds.
"""

import argparse
import itertools
import statistics
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import torch

import gradscope
from gradscope.recorder.groups import Group
from gradscope.recorder.measure import Measured, measure, wait_until_compiled
from gradscope.recorder.record import Record
from gradscope.recorder.session import Session
from gradscope.records import Batch, Kind, Layer
from gradscope.store import open_store, write

LAYERS, KINDS = 20, (Kind.GRADIENT, Kind.WEIGHT, Kind.UPDATE, Kind.ACTIVATION, Kind.SIGNAL)
ROWS = LAYERS * len(KINDS)
"""Layer rows of a recorded step."""
GOAL = 20_000

READER = """
    import sys, time
    from gradscope.records import Kind
    from gradscope.store import open_store, read
    store, run = open_store(sys.argv[1]), int(sys.argv[2])
    print("ready", flush=True)
    while True:
        read.fingerprint(store), read.revision(store, [run])
        read.layer_map(store, run, Kind.GRADIENT), read.profile(store, [run], Kind.SIGNAL)
        read.histograms(store, run, 0, Kind.GRADIENT)
        time.sleep(0.5)  # a page looks twice a second
"""


def main() -> None:
    options = _options()
    wait_until_compiled()
    print(f"{LAYERS} layers x {len(KINDS)} kinds, {options.seconds:g} s a round, {options.rounds} rounds each")
    for name, store_rows in (("append", by_append), ("recorder", by_recorder)):
        alone, watched = [], []
        for _ in range(options.rounds):
            alone.append(rate(store_rows, options, reads=False))
            watched.append(rate(store_rows, options, reads=True))
        ratios = [b / a for a, b in zip(alone, watched, strict=True)]
        print(
            f"{name}: {statistics.median(alone):,.0f} rows/s alone, {statistics.median(watched):,.0f} with a reader "
            f"(x{statistics.median(ratios):.2f}; goal {GOAL:,})"
        )


Clock = Callable[[], float]


def rate(store_rows: Callable[[Session, float, Clock], float], options: argparse.Namespace, *, reads: bool) -> float:
    """Layer rows a second into a store of its own."""
    clock = time.process_time if options.cpu_time else time.perf_counter
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "runs.db"
        run = gradscope.init("rows", store=path)
        found = [Layer(index=i, name=f"fc{i}", type="Linear", shape=(64, 64), n_weights=4096) for i in range(LAYERS)]
        write.layers(open_store(path), run.id, found)
        with _reader(path, run.id) if reads else nullcontext():
            rows = store_rows(run, options.seconds, clock)
        run.finish()
        assert run.lost_rows == 0
        return rows


def by_append(run: Session, seconds: float, clock: Clock) -> float:
    step, taken = 0, 0.0
    while taken < seconds:
        stats = tuple(itertools.chain(*(_record(step + i).stats() for i in range(5))))
        began = clock()
        write.append(run._store, run.id, Batch(stats=stats))
        taken += clock() - began
        step += 5
    return step * ROWS / taken


def by_recorder(run: Session, seconds: float, clock: Clock) -> float:
    began, step = clock(), 0
    while clock() < began + seconds:
        if run._writer._waiting < 4_000:
            run._take_record(_record(step))
            step += 1
        else:
            time.sleep(0.002)  # the queue is full; the writer says to nobody when it has room
    run._writer.close()
    return step * ROWS / (clock() - began)


def _record(step: int) -> Record:
    groups = [Group(kind, range(LAYERS), measured) for kind, measured in _measured().items()]
    return Record(step, [f"fc{i}" for i in range(LAYERS)], KINDS, groups)


_MEASURED: dict[Kind, Measured] = {}


def _measured() -> dict[Kind, Measured]:
    """Rows of tensors whose spread is that of real gradients, a decade or two."""
    if not _MEASURED:
        torch.manual_seed(0)
        for kind in KINDS:
            tensors = [torch.randn(64, 64) * torch.randn(64, 1).exp() * 10.0**-layer for layer in range(LAYERS)]
            _MEASURED[kind] = measure(tensors)
    return _MEASURED


@contextmanager
def _reader(path: Path, run_id: int) -> Iterator[None]:
    command = [sys.executable, "-c", textwrap.dedent(READER), str(path), str(run_id)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield
        process.terminate()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--cpu-time", action="store_true", help="seconds of the writing process's processor time: for a busy machine"
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
