"""What our loop costs: the paper's CNN, model 1, recorded every 10 steps, against a plain loop.

Both train the same network with the same optimiser on the same pictures in one process, in turn: A B A B ... The plain
loop is what people write: a DataLoader over a TensorDataset of normalised float images, nothing recorded. Prints the
ratio of each pair.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import torch
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

from gradscope.config import RunConfig
from gradscope.methods import build_methods
from gradscope.models import build_model
from gradscope.optimizers import build_optimizer
from gradscope.overrides import with_overrides
from gradscope.presets import preset
from gradscope.recorder.session import Session
from gradscope.records import Status
from gradscope.store import open_store, write
from gradscope.train import Training


def main() -> None:
    options = _options()
    with tempfile.TemporaryDirectory() as folder:
        config = _config(options)
        ours = _ours(config, Path(folder) / "runs.db")
        plain = _plain(config, ours)
        ratios = []
        for pair in range(options.pairs + 1):
            one, other = _seconds(plain), _seconds(lambda pair=pair: ours.epoch(pair))
            if pair:  # the first pair warms up
                ratios.append(other / one)
                print(f"pair {pair}: plain {one:.2f} s, ours {other:.2f} s, ratio {ratios[-1]:.3f}")
        print(f"ours / plain: median {statistics.median(ratios):.3f}, from {min(ratios):.3f} to {max(ratios):.3f}")
        ours.run.finish(Status.COMPLETED)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default="shapes", help="as of `gradscope train`")
    parser.add_argument("--images", type=int, default=2000, help="training images an epoch")
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--every", type=int, default=10, help="steps between records")
    return parser.parse_args()


def _config(options: argparse.Namespace) -> RunConfig:
    changes = {
        "data": options.data,
        "data.limit": options.images,
        "record.every": options.every,
        "train.epochs": 1000,
    }
    return with_overrides(preset("paper-tanh").config, changes)


def _ours(config: RunConfig, path: Path) -> Training:
    store = open_store(path, create=True)
    run_id = write.create_run(
        store, name="ours", source="train", config=config.model_dump(mode="json"), status=Status.RUNNING
    )
    training = Training(config, Session.attach(store, run_id), store, lambda _: None)
    training.watch()
    return training


def _plain(config: RunConfig, ours: Training):
    split = ours.data.train
    images = torch.cat([ours.normalise(part) for part in split.images.split(500)])
    loader = DataLoader(TensorDataset(images, split.labels), config.train.batch_size, shuffle=True)
    generator = torch.Generator().manual_seed(0)
    model = build_model(config.model, in_shape=ours.data.shape, n_classes=len(ours.data.classes))
    for method in (methods := build_methods(config.methods)):
        model = method.adapt(model, generator)
    model.to(ours.device)
    optimizer = build_optimizer(config.optimizer, model.parameters())

    def epoch() -> None:
        for batch, labels in loader:
            optimizer.zero_grad(set_to_none=True)
            functional.cross_entropy(model(batch), labels).backward()
            for method in methods:
                method.before_step(model)
            optimizer.step()

    return epoch


def _seconds(action) -> float:
    began = time.perf_counter()
    action()
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
