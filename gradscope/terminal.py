"""A training's progress for whoever started it: a bar on a terminal, about a line an epoch elsewhere."""

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import NoReturn, Protocol, TextIO, TypeVar

import typer
from tqdm import tqdm

from gradscope.records import SCORE_SUFFIX, Run

Progress = TypeVar("Progress", contravariant=True)


class Seen(Protocol):
    """What is shown of `gradscope.progress.TrainProgress`, which would bring torch along."""

    @property
    def step(self) -> int:
        """Optimiser steps done."""

    @property
    def total_steps(self) -> int:
        """0 as long as the data are not loaded."""

    @property
    def epoch(self) -> float:
        """Epochs done."""

    @property
    def epochs(self) -> int:
        """Epochs to do."""

    @property
    def loss(self) -> float | None:
        """In nats."""

    @property
    def val_score(self) -> float | None:
        """In 0..1."""

    @property
    def score(self) -> str:
        """What the score is: `accuracy` or `map`."""

    @property
    def seconds_left(self) -> float | None:
        """None before the first step."""

    @property
    def phase(self) -> str:
        """What it does: loading data, training, evaluating, done."""


class Bar:
    """A bar that fills, with loss, accuracy and time left."""

    def __init__(self, name: str) -> None:
        # tqdm's own measure prints nothing on a terminal that calls itself 0 by 0
        width = shutil.get_terminal_size().columns - 1
        layout = "{desc:<16} {percentage:3.0f}% |{bar}| {postfix}"
        self._bar: tqdm[NoReturn] = tqdm(desc=name, ncols=width, nrows=20, bar_format=layout)

    def __call__(self, progress: Seen) -> None:
        """Show where the training is."""
        self._bar.total = progress.total_steps or None
        self._bar.n = progress.step
        self._bar.set_postfix_str(", ".join(_numbers(progress)), refresh=True)

    def close(self) -> None:
        """Leave the bar as it is."""
        self._bar.close()


class Lines:
    """A line when the data are loaded and after each epoch."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._shown: int | None = None

    def __call__(self, progress: Seen) -> None:
        """Show where the training is, if there is something new to tell."""
        epochs = int(progress.epoch)
        if progress.phase.startswith("training") and epochs and epochs != self._shown:
            self._shown = epochs
            typer.echo(f"{self._name}  epoch {epochs}/{progress.epochs}  {', '.join(_numbers(progress))}")
        elif self._shown is None:
            self._shown = 0
            typer.echo(f"{self._name}  {progress.phase}")

    def close(self) -> None:
        """Nothing is open."""


class SeenTask(Protocol):
    """What is shown of `gradscope.tasks.report.TaskProgress`, which would bring torch along."""

    @property
    def done(self) -> int:
        """Parts done."""

    @property
    def total(self) -> int | None:
        """Parts in all."""

    @property
    def phase(self) -> str:
        """What it does."""

    @property
    def seconds_left(self) -> float | None:
        """None before the first part is done."""


class TaskBar:
    """A bar that fills with a task's parts, with the time left."""

    def __init__(self, name: str) -> None:
        width = shutil.get_terminal_size().columns - 1  # as in Bar
        layout = "{desc:<24} {percentage:3.0f}% |{bar}| {postfix}"
        self._bar: tqdm[NoReturn] = tqdm(desc=name, ncols=width, nrows=20, bar_format=layout)

    def __call__(self, progress: SeenTask) -> None:
        """Show where the task is."""
        self._bar.total, self._bar.n = progress.total, progress.done
        left = f", {duration(progress.seconds_left)} left" if progress.seconds_left is not None else ""
        self._bar.set_postfix_str(f"{progress.phase}{left}", refresh=True)

    def close(self) -> None:
        """Leave the bar as it is."""
        self._bar.close()


class TaskLines:
    """A line for each tenth of a task."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._tenth = -1

    def __call__(self, progress: SeenTask) -> None:
        """Show where the task is, if there is something new to tell."""
        tenth = 10 * progress.done // progress.total if progress.total else 0
        if tenth > self._tenth:
            self._tenth = tenth
            of = f"/{progress.total}" if progress.total else ""
            typer.echo(f"{self._name}  {progress.phase}  {progress.done}{of}")

    def close(self) -> None:
        """Nothing is open."""


def shown(name: str) -> AbstractContextManager[Callable[[Seen], None]]:
    """What shows the progress of the run of that name here, as long as somebody reads it."""
    return _told(Bar(name) if sys.stderr.isatty() else Lines(name))


def shown_task(name: str) -> AbstractContextManager[Callable[[SeenTask], None]]:
    """What shows the progress of a task here, as long as somebody reads it."""
    return _told(TaskBar(name) if sys.stderr.isatty() else TaskLines(name))


class _Display(Protocol[Progress]):
    def __call__(self, progress: Progress) -> None: ...

    def close(self) -> None: ...


@contextmanager
def _told(display: _Display[Progress]) -> Iterator[Callable[[Progress], None]]:
    def show(progress: Progress) -> None:
        with unread_is_no_error():
            display(progress)

    try:
        yield show
    finally:
        with unread_is_no_error():
            display.close()


@contextmanager
def unread_is_no_error() -> Iterator[None]:
    """Inside, a reader that went away (`gradscope train | head`) or a full disk behind the output ends no training."""
    try:
        yield
    except OSError:
        for stream in (sys.stdout, sys.stderr):
            _let_go(stream)


def _let_go(stream: TextIO | None) -> None:
    """If nobody takes what the stream is given, give it to nobody: at its end the interpreter would try once more."""
    if stream is None:  # closed before we began
        return
    try:
        stream.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _numbers(progress: Seen) -> list[str]:
    known = [progress.phase] if progress.phase != "training" else []
    if progress.loss is not None:
        known.append(f"loss {progress.loss:.3g}")
    if progress.val_score is not None:
        known.append(f"validation {progress.val_score:.1%}{SCORE_SUFFIX[progress.score]}")
    if progress.seconds_left is not None and progress.phase != "done":
        known.append(f"{duration(progress.seconds_left)} left")
    return known


def duration(seconds: float) -> str:
    """Such as 12 s, 2 min 10 s, 3 h 5 min."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def told(value: float | None, score: str) -> str:
    """Such as `91.2%` of an accuracy, `41.0% mAP` of a mean average precision; empty where it is not known."""
    return "" if value is None else f"{value:.1%}{SCORE_SUFFIX[score]}"


def table(runs: list[Run]) -> str:
    """Runs as aligned columns."""
    rows = [("ID", "NAME", "STATUS", "EPOCH", "STEP", "VALIDATION", "TEST"), *(_row(run) for run in runs)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "\n".join("  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in rows)


def _row(run: Run) -> tuple[str, ...]:
    epoch = "" if run.progress.epoch is None else f"{run.progress.epoch:.4g}"
    step = "" if run.progress.last_step < 0 else str(run.progress.last_step)
    results = run.results
    scores = (told(value, results.score) for value in (results.val_score, results.test_score))
    return (str(run.id), run.name, str(run.status), epoch, step, *scores)
