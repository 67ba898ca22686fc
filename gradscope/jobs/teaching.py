"""A student and its teacher in one go: the teacher is trained first, or is there already, and the student waits."""

from collections.abc import Mapping
from typing import Any

from gradscope.analysis.settings import essence
from gradscope.config import Distillation, RunConfig, distillation_in
from gradscope.errors import JobError
from gradscope.records import Run, Status
from gradscope.store import Store, read

_USEFUL = {Status.COMPLETED, Status.QUEUED, Status.RUNNING}
"""What a teacher may be: trained, or on the way there."""


def teacher_config(config: RunConfig) -> RunConfig | None:
    """What the teacher of a run is trained with, where it has to be trained first: the same data and settings, another
    network, no method. None where the run has no teacher, or names one.
    """
    wanted = distillation_in(config.methods)
    if wanted is None or not wanted.is_trained_first:
        return None
    epochs = wanted.teacher_epochs or config.train.epochs
    tail = round(config.schedule.tail_epochs * epochs / config.train.epochs)
    return RunConfig.model_validate(
        {
            **config.model_dump(),
            "preset": None,
            "methods": (),
            "model": wanted.teacher_network.model_dump(),
            "schedule": {**config.schedule.model_dump(), "tail_epochs": tail},
            "train": {**config.train.model_dump(), "epochs": epochs},
        }
    )


def taught_by(config: RunConfig, teacher: int) -> RunConfig:
    """The same run with a run as its teacher."""
    methods = tuple(
        m.model_copy(update={"teacher_run": teacher, "teacher_file": ""}) if isinstance(m, Distillation) else m
        for m in config.methods
    )
    return config.model_copy(update={"methods": methods})


def twin(store: Store, config: RunConfig) -> Run | None:
    """A run of the store that was, or is going to be, trained just so; the newest. None where there is none."""
    values = config.model_dump(mode="json")
    wanted = essence(values), _data_of(values)
    for run in read.runs(store):
        if run.source == "train" and run.status in _USEFUL and (essence(run.config), _data_of(run.config)) == wanted:
            return run
    return None


def _data_of(config: Mapping[str, Any]) -> Any:  # Any: JSON
    return config["data"]


def waits_for(store: Store, config: RunConfig) -> int | None:
    """The run that has to be complete before this one can begin; None where there is none, or it is complete.

    Raises:
        RunNotFound: there is no such run.
        JobError: it has ended and is not complete.
    """
    wanted = distillation_in(config.methods)
    if wanted is None or wanted.teacher_run is None:
        return None
    teacher = read.run(store, wanted.teacher_run)
    if teacher.status.is_final and teacher.status is not Status.COMPLETED:
        raise JobError(
            f"the teacher, run {teacher.id} ({teacher.name}), is {teacher.status}; resume it, or choose another by "
            f"methods.{wanted.name}.teacher_run"
        )
    return None if teacher.status is Status.COMPLETED else teacher.id
