"""A student is launched with its teacher in one go: it waits, starts, finishes, and its page shows what it learnt."""

import pytest
from driven import PATIENCE_SECONDS, Dashboard, alright, at, becomes, fill, go, row, rows, until, waiting
from playwright.sync_api import Page, expect

from gradscope.records import Status
from gradscope.store import Store, read

pytestmark = pytest.mark.browser

TEACHER, STUDENT = "1 kd-hinton, teacher", "2 kd-hinton"


TRAININGS = 2 * PATIENCE_SECONDS
"""Two trainings after each other take longer than one answer of a page."""


@pytest.mark.timeout(2400)
def test_a_student_waits_for_the_teacher_that_was_launched_with_it(
    dashboard: Dashboard, store: Store, page: Page
) -> None:
    dashboard.open()
    page.goto(f"{dashboard.url}/launch?preset=kd-hinton")
    at(page, "Launch")
    expect(page.get_by_label("Name", exact=True)).to_have_value("kd-hinton")
    fill(page, "limit", 200)
    fill(page, "epochs", 2)
    with waiting(store):
        page.get_by_role("button", name="Start", exact=True).click()
        at(page, "Runs", moving=True)
        becomes(lambda: row(page, STUDENT).get("time left"), "waits for 1", "the student waits")
        assert read.run(store, 2).waits_for == 1
        assert read.run(store, 2).status is Status.QUEUED
    until(lambda: read.run(store, 1).status.is_final, "the teacher ends", TRAININGS)
    until(lambda: read.run(store, 2).status.is_final, "the student ends", TRAININGS)
    for name in (TEACHER, STUDENT):
        until(lambda name=name: row(page, name).get("status", "").endswith(f" {Status.COMPLETED}"), f"{name} is done")
    runs = {run.id: run for run in read.runs(store)}
    assert runs[1].ended is not None
    assert runs[2].started is not None
    assert runs[2].started >= runs[1].ended, "the student began after its teacher was done"

    go(page, "Distillation")
    taught = {"student": STUDENT, "teacher": "run 1"}
    until(lambda: any(taught.items() <= found.items() for found in rows(page)), "the table of students")
    expect(page.get_by_text("Share of each term of the loss in the gradient")).to_be_visible()
    alright(page)
