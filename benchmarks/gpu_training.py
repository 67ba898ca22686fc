"""What a CUDA graph saves a training of the paper's networks, batch 50, recording included; run by benchmarks/gpu.sh.

Our own loop on generated pictures of 32 x 32, everything recorded every 10 steps, with `train.cuda_graph` off and on in
turn. A pair is compared by the time of its second epoch, one validation included: by then all is compiled and captured.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import torch

from gradscope import train as training
from gradscope.overrides import with_overrides
from gradscope.presets import preset
from gradscope.progress import TrainProgress
from gradscope.records import Status
from gradscope.store import Store, open_store, write

PRESETS = ("paper-tanh", "paper-tanh-pn", "paper-tanh-pn-dual", "paper-relu")


def main() -> None:
    options = _options()
    device = torch.cuda.get_device_name() if options.device == "cuda" else options.device
    print(
        f"## A training as a CUDA graph\n\n{device}, torch {torch.__version__}; {options.pictures} pictures, batch 50\n"
    )
    print("| preset | epoch, s | as a graph, s | times as fast, median (least, most) |\n|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        store = open_store(Path(folder) / "runs.db", create=True)
        for name in PRESETS:
            pairs = [[_epoch(store, name, options, graph) for graph in (False, True)] for _ in range(options.pairs)]
            eager, graphed = (statistics.median(seconds) for seconds in zip(*pairs, strict=True))
            ratios = sorted(one / other for one, other in pairs)
            spread = f"{statistics.median(ratios):.2f} ({ratios[0]:.2f}, {ratios[-1]:.2f})"
            print(f"| {name} | {eager:.2f} | {graphed:.2f} | {spread} |", flush=True)
        store.close()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--pictures", type=int, default=10_000)
    parser.add_argument("--device", default="cuda", help="cpu tries the script: there a graph changes nothing")
    return parser.parse_args()


def _epoch(store: Store, name: str, options: argparse.Namespace, graph: bool) -> float:
    """Seconds from the end of the first epoch to the end of the second."""
    settings = {
        "data": "shapes",
        "data.limit": options.pictures,
        "train.epochs": 2,
        "train.device": options.device,
        "train.cuda_graph": graph,
        "schedule.tail_epochs": 0,
    }
    config = with_overrides(preset(name).config, settings)
    run = write.create_run(
        store, name=name, source="train", config=config.model_dump(mode="json"), status=Status.RUNNING
    )
    ends: dict[int, float] = {}

    def note(progress: TrainProgress) -> None:
        if progress.phase == "evaluating":
            if options.device == "cuda":
                torch.cuda.synchronize()
            ends.setdefault(round(progress.epoch), time.perf_counter())

    training.train(store, run, on_progress=note)
    return ends[2] - ends[1]


if __name__ == "__main__":
    main()
