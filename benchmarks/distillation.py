"""What a step of each distillation costs, over its teacher's forward pass and the student's plain step together.

ResNet-20 teaches ResNet-8 on random pictures of 32x32. The processor time of one thread is taken, which others on the
machine do not change; the three are timed in turn, and the median of the ratios is printed with its quartiles. 1.00
would be a method that costs no more than asking the teacher and stepping the student.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Sequence

import torch
from torch import nn

from gradscope.config import KdAttention, KdFitNet, KdFsp, KdGan, KdHinton, KdKr, KdNst, Resnet, RunConfig, Settings
from gradscope.data import Dataset, MiniBatch, Split
from gradscope.methods import Given, Method, build_methods, cross_entropy
from gradscope.models import build_model

SHAPE, CLASSES = (3, 32, 32), 10
METHODS: dict[str, Settings] = {
    "Hinton": KdHinton(),
    "Hinton, teacher asked once for all": KdHinton(),
    "FitNet": KdFitNet(),
    "FSP, both terms": KdFsp(first_stage=0.0),
    "NST": KdNst(),
    "attention transfer": KdAttention(),
    "KDGAN": KdGan(),
    "knowledge representing": KdKr(),
    "knowledge representing + KDGAN": KdKr(gan=True),
}
ONCE = "Hinton, teacher asked once for all"


class Student:
    """A student, with its method or without."""

    def __init__(self, settings: Settings | None, teacher: nn.Module, batch: MiniBatch, *, augmented: bool) -> None:
        self.model = build_model(Resnet(depth=8), SHAPE, CLASSES, seed=0).train()
        self.batch = batch
        self.methods: list[Method] = build_methods([settings] if settings else [])
        for method in self.methods:
            method.prepare(_given(self.model, teacher, batch, augmented=augmented))
            method.at_epoch(self.model, 0, 10)
        own = [group for method in self.methods for group in method.parameter_groups()]
        self.optimizer = torch.optim.SGD([{"params": list(self.model.parameters())}, *own], 1e-4, momentum=0.9)

    def step(self) -> None:
        objective = self.methods[0].objective if self.methods else cross_entropy
        for method in self.methods:
            method.before_pass(self.model, self.batch)
        self.optimizer.zero_grad(set_to_none=True)
        objective(self.model, self.batch).loss.backward()
        for method in self.methods:
            method.before_step(self.model)
        self.optimizer.step()


def main() -> None:
    options = _options()
    torch.set_num_threads(1)
    batch = _pictures(options.batch)
    teacher = build_model(Resnet(depth=20), SHAPE, CLASSES, seed=1).eval().requires_grad_(False)
    plain = Student(None, teacher, batch, augmented=True)

    def asked() -> None:
        with torch.no_grad():
            teacher(batch.images)

    print(f"torch {torch.__version__}, processor time of one thread, batch {options.batch}, {options.turns} turns")
    for name, settings in METHODS.items():
        taught = Student(settings, teacher, batch, augmented=name != ONCE)
        ratios = _ratios([taught.step, asked, plain.step], options.turns)
        low, middle, high = statistics.quantiles(ratios, n=4)
        print(f"{name:36} x{middle:.2f}  ({low:.2f} to {high:.2f})")


def _ratios(calls: Sequence[Callable[[], None]], turns: int) -> list[float]:
    """The first call's time over that of the others together, turn by turn; one turn before is not counted."""
    found = []
    for turn in range(turns + 1):
        times = [_timed(call) for call in calls]
        if turn:
            found.append(times[0] / sum(times[1:]))
    return found


def _timed(call: Callable[[], None]) -> float:
    began = time.thread_time()
    call()
    return time.thread_time() - began


def _pictures(n: int) -> MiniBatch:
    draws = torch.Generator().manual_seed(0)
    images = torch.randn(n, *SHAPE, generator=draws)
    return MiniBatch(images=images, labels=torch.randint(0, CLASSES, (n,), generator=draws), places=torch.arange(n))


def _given(model: nn.Module, teacher: nn.Module, batch: MiniBatch, *, augmented: bool) -> Given:
    split = Split(images=torch.zeros(len(batch), *SHAPE, dtype=torch.uint8), labels=batch.labels)
    config = RunConfig.model_validate(
        {
            "data": {"name": "cifar10", "augment": "flip_crop" if augmented else "none"},
            "model": {"name": "resnet", "depth": 8},
        }
    )
    data = Dataset(
        train=split,
        val=split,
        test=split,
        classes=tuple(map(str, range(CLASSES))),
        shape=SHAPE,
        fingerprint="",
        mean=(),
        std=(),
    )
    return Given(
        model=model,
        config=config,
        data=data,
        normalise=lambda images: images / 255,
        device=torch.device("cpu"),
        generator=torch.Generator().manual_seed(0),
        teacher=lambda _: teacher,
        rate=lambda: 1e-4,
        tell=lambda _: None,
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--turns", type=int, default=15)
    return parser.parse_args()


if __name__ == "__main__":
    main()
