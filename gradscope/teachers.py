"""The network that teaches: out of a finished run, or out of a file of weights."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from gradscope import checkpoint
from gradscope.checkpoint import About
from gradscope.config import Distillation, RunConfig, parse_config
from gradscope.data import Dataset
from gradscope.errors import CheckpointError, ConfigError
from gradscope.records import Status
from gradscope.store import Store, read
from gradscope.trained import untrained


def load_teacher(store: Store, settings: Distillation, student: RunConfig, data: Dataset) -> nn.Module:
    """The teacher of a student, trained, on the CPU, in eval mode and without gradients.

    Args:
        store: where the teacher's run is.
        settings: name it.
        student: what the student is trained with.
        data: what the student is trained on.

    Raises:
        RunNotFound, CheckpointError: there is no such teacher, or it does not know the student's classes or pictures.
        ConfigError: nobody is named, or the teacher's run is not complete.
    """
    if settings.is_trained_first:
        raise ConfigError(
            f"{settings.name} names no teacher and none was trained before: name one by teacher_run or teacher_file, "
            "or start the run by the launch page or `gradscope train`, which train one first"
        )
    named = named_teacher(store, settings)
    weights, metadata = checkpoint.read_weights(named.path)
    _check(named.path, About.of(metadata), student, data)
    teacher = untrained(named.config, data, seed=0)
    checkpoint.put_weights(named.path, teacher, weights)
    return teacher.eval().requires_grad_(False)


@dataclass(frozen=True, kw_only=True)
class NamedTeacher:
    """Where a teacher is to be found."""

    config: RunConfig
    """Its network and what changes it; the rest is that of its run, or the defaults."""
    path: Path
    """Its weights."""


def named_teacher(store: Store, settings: Distillation) -> NamedTeacher:
    """The teacher that a distillation names.

    Raises:
        RunNotFound, CheckpointError, ConfigError: as `load_teacher`.
    """
    config, path = _of_file(settings) if settings.teacher_file else _of_run(store, settings)
    return NamedTeacher(config=config, path=path)


def _of_run(store: Store, settings: Distillation) -> tuple[RunConfig, Path]:
    run = read.run(store, settings.teacher_run or 0)
    if run.status is not Status.COMPLETED:
        raise ConfigError(f"the teacher, run {run.id} ({run.name}), is {run.status}; let it come to its end first")
    path = store.paths(run.id).model
    if run.source != "train" or not path.exists():
        raise CheckpointError(f"the teacher, run {run.id} ({run.name}), has no checkpoint; train one with GradScope")
    return parse_config(run.config), path


def _of_file(settings: Distillation) -> tuple[RunConfig, Path]:
    path = Path(settings.teacher_file)
    about = About.of(checkpoint.read_weights(path)[1])
    if about is None:
        return RunConfig(model=settings.teacher_network), path
    said: dict[str, Any] = {"model": about.model, "methods": about.methods}  # Any: JSON
    return parse_config(said), path


def _check(path: Path, about: About | None, student: RunConfig, data: Dataset) -> None:
    """CheckpointError where a teacher that says what it knows knows something else."""
    if about is None:
        return
    told = [
        ("classes", ", ".join(about.classes), ", ".join(data.classes)),
        ("pictures", "x".join(map(str, about.shape)), "x".join(map(str, data.shape))),
        ("normalisation", about.normalise, student.data.normalise),
    ]
    for what, theirs, ours in told:
        if theirs != ours:
            raise CheckpointError(
                f"the teacher {path} was trained with other {what} ({_short(theirs)}) than the student's "
                f"({_short(ours)}); choose a teacher of the same data"
            )


def _short(text: str) -> str:
    return text if len(text) <= 80 else f"{text[:77]}..."
