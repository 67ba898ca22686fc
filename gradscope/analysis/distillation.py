"""Students and teachers: who teaches whom, who is the same student alone, and how much of the gap was closed."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from gradscope.analysis.settings import essence
from gradscope.records import Run, Status

Config = Mapping[str, Any]  # Any: settings, as JSON
LEAST_GAP = 0.01
"""Between a teacher and the student alone, in accuracy: of a smaller one no share can be told from chance."""
GAP_COLUMNS = ["run", "student", "alone", "teacher", "closed", "n_alone"]


def teaching(config: Config) -> Mapping[str, Any] | None:  # Any: as above
    """The settings of a run's distillation; None where it has no teacher."""
    methods = config.get("methods") or ()
    return next((m for m in methods if isinstance(m, Mapping) and "teacher_run" in m), None)


def teacher_of(config: Config) -> int | None:
    """The run that teaches; None where there is none, or the teacher is a file."""
    found = teaching(config)
    return None if found is None or found["teacher_run"] is None else int(found["teacher_run"])


def alone(run: Run, runs: Sequence[Run]) -> Run | None:
    """The newest completed run of the same settings and seed without a teacher; None where there is none."""
    wanted = _without_teacher(run.config)
    known = [
        other
        for other in runs
        if other.status is Status.COMPLETED
        and other.source == "train"
        and teaching(other.config) is None
        and _without_teacher(other.config) == wanted
    ]
    return max(known, key=lambda r: r.id, default=None)


def _without_teacher(config: Config) -> dict[str, Any]:  # Any: as above
    methods = [m for m in config["methods"] if "teacher_run" not in m]
    return {**essence({**config, "methods": methods}), "data": config["data"]}


def gap_closed(student: float | None, teacher: float | None, without: float | None) -> float:
    """(student - student alone) / (teacher - student alone): 0 = the teacher was no help, 1 = the student is as good.

    NaN where one of the accuracies is not known, or the teacher is not better than the student alone by LEAST_GAP.
    """
    if student is None or teacher is None or without is None or teacher - without < LEAST_GAP:
        return math.nan
    return (student - without) / (teacher - without)


def gaps(students: Sequence[Run], runs: Sequence[Run]) -> pd.DataFrame:
    """What students, the same networks alone and their teachers are worth on the test pictures.

    Args:
        students: runs with a teacher.
        runs: all of the store.

    Columns: run, student, alone, teacher (accuracy or mAP in 0..1, NaN = not known), closed (see `gap_closed`),
    n_alone (the run of the student alone, NaN = none).
    """
    by_id = {run.id: run for run in runs}
    rows = []
    for student in students:
        teacher, without = by_id.get(teacher_of(student.config) or 0), alone(student, runs)
        known = [run.results.test_score if run else None for run in (student, without, teacher)]
        closed = gap_closed(known[0], known[2], known[1])
        numbers = [math.nan if value is None else value for value in known]
        rows.append((student.id, *numbers, closed, without.id if without else math.nan))
    return pd.DataFrame(rows, columns=GAP_COLUMNS)


def by_temperature(found: pd.DataFrame) -> pd.DataFrame:
    """How far students' distributions lie from their teachers'.

    Args:
        found: `gradscope.store.read_distilled.distilled`.

    Columns: run, temperature, divergence (nats).
    """
    rows = [
        (int(run), float(temperature), float(value))
        for run, known in zip(found["run"], found["divergences"], strict=True)
        for temperature, value in known.items()
    ]
    return pd.DataFrame(rows, columns=["run", "temperature", "divergence"])
