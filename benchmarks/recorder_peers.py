"""Recorders as their own documentation shows them, each as a step with it, beside a step without.

A recorder is a context manager that is handed a training and a folder and yields the step to be timed and a switch.
Where the same network can be recorded or not from step to step, it is; what a tool has changed for good (Cockpit,
TorchExplorer) is a second copy of the network.
"""

import copy
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from recorder_networks import Training

import gradscope
from gradscope.recorder.watch import Log


@dataclass(frozen=True, kw_only=True)
class Steps:
    recorded: Callable[[], None]
    switch: Callable[[bool], None] = lambda on: None
    """Called, outside of what is timed, before the steps that are recorded and before those that are not."""


Recorder = Callable[[Training, Path], AbstractContextManager[Steps]]


@contextmanager
def ours(training: Training, folder: Path, *, log: Log, block: int) -> Iterator[Steps]:
    """One record in the middle of each block of steps that is recorded; every second block is."""

    def is_due(step: int) -> bool:
        return step // block % 2 == 1 and step % block == block // 2

    with gradscope.init(store=folder / "runs.db") as run:
        run.watch(training.model, training.optimizer, log=log, every=is_due)

        def step() -> None:
            loss = training.backward()
            training.optimizer.step()
            run.log({"loss": loss})

        yield Steps(recorded=step)


@contextmanager
def wandb(training: Training, folder: Path) -> Iterator[Steps]:
    import wandb

    settings = wandb.Settings(silent=True, console="off", x_disable_stats=True)
    run = wandb.init(mode="offline", dir=folder, settings=settings)

    run.watch(training.model, log="gradients", log_freq=1)

    def switch(on: bool) -> None:
        run.unwatch(training.model)
        if on:
            run.watch(training.model, log="gradients", log_freq=1)

    def step() -> None:
        loss = training.backward()
        training.optimizer.step()
        run.log({"loss": loss.item()})

    yield Steps(recorded=step, switch=switch)
    run.finish()


@contextmanager
def tensorboard(training: Training, folder: Path) -> Iterator[Steps]:
    from torch.utils.tensorboard import SummaryWriter

    writer = SummaryWriter(folder)
    done = 0

    def step() -> None:
        nonlocal done
        loss = training.backward()
        for name, parameter in training.model.named_parameters():
            writer.add_histogram(f"gradients/{name}", parameter.grad, done)
        training.optimizer.step()
        writer.add_scalar("loss", loss, done)
        done += 1

    yield Steps(recorded=step)
    writer.close()


@contextmanager
def cockpit(training: Training, folder: Path) -> Iterator[Steps]:
    from backpack import extend
    from cockpit import Cockpit
    from cockpit.quantities import GradHist1d
    from cockpit.utils.schedules import linear
    from torch import nn

    twin = copy.deepcopy(training)
    extend(twin.model)
    mean, each = extend(nn.CrossEntropyLoss()), nn.CrossEntropyLoss(reduction="none")
    board = Cockpit(twin.model.parameters(), quantities=[GradHist1d(linear(1))])
    done = 0

    def step() -> None:
        nonlocal done
        twin.optimizer.zero_grad()
        outputs = twin.model(twin.inputs)
        loss, losses = mean(outputs, twin.labels), each(outputs, twin.labels)
        info = {
            "batch_size": len(twin.labels),
            "individual_losses": losses,
            "loss": loss,
            "optimizer": twin.optimizer,
        }
        with board(done, info=info):
            loss.backward(create_graph=board.create_graph(done))
        twin.optimizer.step()
        done += 1

    yield Steps(recorded=step)


@contextmanager
def torchexplorer(training: Training, folder: Path) -> Iterator[Steps]:
    import torchexplorer

    twin = copy.deepcopy(training)
    torchexplorer.watch(twin.model, log=["params_grad"], log_freq=1, disable_inplace=True, backend="none")
    yield Steps(recorded=twin.step)


@dataclass(frozen=True, kw_only=True)
class Row:
    name: str
    what: str
    """What is recorded."""
    recorder: Recorder
    block: int = 1
    """Steps that are timed together."""
    goals: tuple[float | None, float | None] = (None, None)
    """On the CNN and on the MLP."""


_BINS = "640 half-octave bins, RMS, mean, maximum, zeros, NaN, ±Inf of each layer"
ROWS = (
    Row(
        name="GradScope, every step",
        what=f"gradients: {_BINS}",
        recorder=partial(ours, log="gradients", block=1),
        goals=(1.02, 1.10),
    ),
    Row(
        name="GradScope, all, every 10 steps",
        what="the same of gradients, signals, activations, weights and updates",
        recorder=partial(ours, log="all", block=10),
        block=10,
        goals=(1.05, 1.05),
    ),
    Row(
        name="GradScope, default settings",
        what="gradients, every 10 steps",
        recorder=partial(ours, log="gradients", block=10),
        block=10,
        goals=(1.01, 1.01),
    ),
    Row(
        name="W&B `watch`, offline, every step",
        what="gradients: 64 bins between each record's own ends, of each parameter; the loss",
        recorder=wandb,
    ),
    Row(
        name="TensorBoard `add_histogram`, every step",
        what="gradients: 1,549 exponential bins, of each parameter; the loss",
        recorder=tensorboard,
    ),
    Row(
        name="Cockpit `GradHist1d`, every step",
        what="gradients: 100 bins from -2 to 2 over all parameters together, of single samples",
        recorder=cockpit,
    ),
    Row(
        name="TorchExplorer, every step",
        what="gradients: 30 bins of 1,000 random elements of each parameter; nothing is written",
        recorder=torchexplorer,
    ),
)
