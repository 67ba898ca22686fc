"""A student and its teacher are started in one go: the student waits, begins, or fails with the cause."""

import pytest

from gradscope.config import KdHinton, RunConfig
from gradscope.errors import ConfigError, JobError
from gradscope.jobs import actions
from gradscope.jobs.teaching import teacher_config
from gradscope.overrides import with_overrides
from gradscope.presets import preset
from gradscope.records import Status
from gradscope.store import read, write

STUDENT = preset("kd-hinton").config


@pytest.fixture(autouse=True)
def no_supervisor(monkeypatch):
    monkeypatch.setattr(actions, "ensure_supervisor", lambda store: None)


def claim(store):
    run = write.claim(store, host="here", pid=1)
    return None if run is None else run.id


def teacher_of(store, run_id):
    return next(m["teacher_run"] for m in read.run(store, run_id).config["methods"] if "teacher_run" in m)


def test_a_student_brings_its_teacher_and_begins_when_that_is_complete(store):
    student = actions.submit(store, STUDENT, "small", ["kd"])
    teacher = teacher_of(store, student)
    assert read.run(store, student).waits_for == teacher
    assert (read.run(store, teacher).name, read.run(store, teacher).tags) == ("small, teacher", ("kd",))
    assert claim(store) == teacher
    assert claim(store) is None, "the student waits"
    assert read.run(store, student).status is Status.QUEUED
    write.finish(store, teacher, Status.COMPLETED)
    assert claim(store) == student


def test_the_teacher_is_trained_as_the_student_would_be_without_a_method():
    config = teacher_config(with_overrides(STUDENT, {"methods.kd_hinton.teacher_epochs": 30, "data.limit": 500}))
    assert (config.model.depth, config.methods, config.preset) == (20, (), None)
    assert (config.train.epochs, config.data.limit) == (30, 500)
    assert config.optimizer == STUDENT.optimizer
    assert teacher_config(RunConfig()) is None
    assert teacher_config(with_overrides(STUDENT, {"methods.kd_hinton.teacher_run": 3})) is None


def test_students_of_one_launch_share_their_teacher(store):
    first, second = (actions.submit(store, STUDENT, name) for name in ("a", "b"))
    assert teacher_of(store, first) == teacher_of(store, second)
    other = actions.submit(store, with_overrides(STUDENT, {"train.seed": 1}), "c")
    assert teacher_of(store, other) != teacher_of(store, first), "another seed splits the data in another way"
    digits = actions.submit(store, with_overrides(STUDENT, {"data.name": "shapes"}), "d")
    assert teacher_of(store, digits) not in {teacher_of(store, first), teacher_of(store, other)}


def test_a_student_fails_with_the_cause_when_its_teacher_does(store):
    student = actions.submit(store, STUDENT, "small")
    teacher = claim(store)
    write.finish(store, teacher, Status.FAILED, error="the disk is full")
    assert claim(store) is None
    run = read.run(store, student)
    assert run.status is Status.FAILED
    assert run.error == (
        f"its teacher, run {teacher} (small, teacher), is failed: the disk is full; resume the teacher, then this run"
    )
    write.requeue(store, teacher)
    write.requeue(store, student)
    assert claim(store) == teacher


def test_a_student_whose_teacher_was_deleted_says_so(store):
    student = actions.submit(store, STUDENT, "small")
    teacher = teacher_of(store, student)
    actions.stop(store, teacher)
    actions.delete(store, teacher)
    assert claim(store) is None
    assert "was deleted; start it anew with another teacher" in read.run(store, student).error


def test_others_pass_a_student_that_waits(store):
    student = actions.submit(store, STUDENT, "small")
    teacher = claim(store)
    other = actions.submit(store, RunConfig(), "other")
    assert claim(store) == other
    assert read.run(store, student).status is Status.QUEUED
    assert read.run(store, teacher).status is Status.RUNNING


def test_a_teacher_that_will_not_be_complete_is_refused_at_once(store):
    teacher = actions.create(store, RunConfig(), "t", status=Status.RUNNING)
    write.finish(store, teacher, Status.DIVERGED)
    named = with_overrides(STUDENT, {"methods.kd_hinton.teacher_run": teacher})
    with pytest.raises(JobError, match=rf"the teacher, run {teacher} \(t\), is diverged; resume it, or choose another"):
        actions.submit(store, named, "s")


def test_two_teachers_are_one_too_many():
    with pytest.raises((ConfigError, ValueError), match="name one teacher, not two"):
        KdHinton(teacher_run=1, teacher_file="x.safetensors")
