"""How good the diagnosis is: labelled small trainings, one planted fault each, and as many healthy ones of many kinds.

Every run is a real training, watched by the real recorder into a real store, and read back. Runs of even numbers are
for choosing thresholds; the report is of the odd ones. AutoTrainer's published rules look at the same runs. With
--cure the first faulty runs of each fault of the report are then cured as `gradscope cure` does it. With --keep the
records of all trainings are kept in a folder, and read from there the next time.
"""

import argparse
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

AT_ONCE = 4
"""Cases that share a store."""


def main() -> None:
    from benchmarks.labelled.cases import TWO_TERMS

    options = _options()
    with ProcessPoolExecutor(options.jobs, mp_context=get_context("spawn")) as pool:
        over = partial(_over, pool)
        single = range(options.first, options.first + options.runs)
        double = range(TWO_TERMS, TWO_TERMS + options.two_terms)
        numbers = [n for n in (*single, *double) if n % 2 in options.halves]
        told = over("trained and diagnosed", _tell_some, numbers, options.keep)
        cured = None
        if options.cure:
            from benchmarks.labelled.cures import cure_rate, first_of_each

            cured = cure_rate(over("cured", _cure_some, first_of_each(told), options.keep))
    from benchmarks.labelled.report import report

    text = report(told, cured)
    print(text)
    if options.out:
        options.out.write_text(text)


def _over(
    pool: ProcessPoolExecutor,
    what: str,
    function: Callable[[Path | None, Sequence], list],
    items: Sequence,
    keep: Path | None,
) -> list:
    """The function over pieces of the items, on several processes; progress on stderr."""
    from tqdm import tqdm

    pieces = [items[i : i + AT_ONCE] for i in range(0, len(items), AT_ONCE)]
    done = tqdm(pool.map(partial(function, keep), pieces), what, len(pieces), unit=f" x {AT_ONCE} runs")
    return [result for some in done for result in some]


def _tell_some(keep: Path | None, numbers: Sequence[int]) -> list:
    import torch

    from benchmarks.labelled.cases import draw
    from benchmarks.labelled.kept import bench
    from benchmarks.labelled.measure import tell

    torch.set_num_threads(1)
    with bench(keep) as trained:
        return [tell(trained.outcome(draw(number))) for number in numbers]


def _cure_some(keep: Path | None, faulty: Sequence) -> list:
    import torch

    from benchmarks.labelled.cures import cure
    from benchmarks.labelled.kept import bench

    torch.set_num_threads(1)
    with bench(keep) as trained:
        return [cure(told, trained) for told in faulty]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--first", type=int, default=0, help="number of the first case")
    parser.add_argument("--runs", type=int, default=2280)
    parser.add_argument("--two-terms", type=int, default=120, help="cases whose loss has two terms, beside those")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--keep", type=Path, help="folder of the trainings' records: read where they are there")
    parser.add_argument(
        "--cure", action="store_true", help="cure the first faulty runs of each fault of the report too"
    )
    parser.add_argument("--half", choices=("choose", "report"), help="the runs of one half alone")
    parser.add_argument("--out", type=Path, help="Markdown file of the report")
    options = parser.parse_args()
    options.halves = {"choose": (0,), "report": (1,), None: (0, 1)}[options.half]
    return options


if __name__ == "__main__":
    main()
