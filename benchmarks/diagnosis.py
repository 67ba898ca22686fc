"""How good the diagnosis is: labelled small trainings, one planted fault each, and as many healthy ones of many kinds.

Every run is a real training, watched by the real recorder into a real store, and read back. Thresholds were chosen on
the runs of even numbers; the report is of the odd ones. AutoTrainer's published rules look at the same runs. With
--cure the faulty runs of the report are then cured as `gradscope cure` does it.
"""

import argparse
import os
import pickle
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

ROOT = Path(__file__).parents[1]


def main() -> None:
    options = _options()
    outcomes = _kept(options.keep) or _trained(options.first, options.runs, options.jobs)
    if options.keep:
        options.keep.parent.mkdir(parents=True, exist_ok=True)
        options.keep.write_bytes(pickle.dumps(outcomes))
    from benchmarks.labelled.cures import cure_rate
    from benchmarks.labelled.measure import tell
    from benchmarks.labelled.report import report

    told = [tell(outcome) for outcome in outcomes]
    cured = cure_rate([t for t in told if t.outcome.case.half == "report"]) if options.cure else None
    text = report(told, cured)
    print(text)
    if options.out:
        options.out.write_text(text)


def _kept(path: Path | None) -> list | None:
    return pickle.loads(path.read_bytes()) if path and path.exists() else None


def _trained(first: int, runs: int, jobs: int) -> list:
    """Every case, on several processes, each with a store of its own; progress on stderr."""
    from tqdm import tqdm

    chunks = [range(start, min(start + 8, first + runs)) for start in range(first, first + runs, 8)]
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        done = list(tqdm(pool.map(_train_some, chunks), total=len(chunks), unit="x8 runs"))
    return [outcome for some in done for outcome in some]


def _train_some(numbers: range) -> list:
    import torch

    from benchmarks.labelled.cases import draw
    from benchmarks.labelled.measure import Outcome
    from benchmarks.labelled.training import train
    from gradscope.diagnosis import tables_of
    from gradscope.store import open_store, read

    torch.set_num_threads(1)
    outcomes = []
    with tempfile.TemporaryDirectory() as folder:
        store = open_store(Path(folder) / "runs.db", create=True)
        for number in numbers:
            case, began = draw(number), time.process_time()
            run = read.run(store, train(case, store))
            seconds = time.process_time() - began
            outcomes.append(Outcome(case=case, tables=tables_of(store, run, max_steps=10_000), seconds=seconds))
        store.close()
    return outcomes


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--first", type=int, default=0, help="number of the first case")
    parser.add_argument("--runs", type=int, default=648)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--keep", type=Path, help="file of the trained runs: written, or read if it is there")
    parser.add_argument("--cure", action="store_true", help="cure the faulty runs too: five times as long")
    parser.add_argument("--out", type=Path, help="Markdown file of the report")
    return parser.parse_args()


if __name__ == "__main__":
    main()
