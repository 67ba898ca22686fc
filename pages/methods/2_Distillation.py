"""What does a student learn from its teacher, and in which layers?"""

import math
from dataclasses import dataclass

import pandas as pd
import streamlit as st

from gradscope import jobs
from gradscope.analysis.curves import smoothed
from gradscope.analysis.distillation import alone, by_temperature, gaps, teacher_of, teaching
from gradscope.analysis.wording import UNKNOWN, count, percent, plain, scored, significant
from gradscope.config import Agreement
from gradscope.figures.distillation import divergences, term_angles
from gradscope.figures.learning import learning_curve
from gradscope.figures.terms import term_shares
from gradscope.records import Run, Status
from gradscope.store import read
from pages.frame import address, choice, command, show, source, tasks

KIND = "agreement"
# of what a run is judged by: its name, the quantity and its curves
CURVES = {"accuracy": ("Accuracy", "accuracy", ("train_accuracy", "val_accuracy")), "map": ("mAP", "mAP", ("val_map",))}
HOW = """
Each panel is a student; each line a term of its loss, over the layers from input to output: its **share** of the
layer's gradient. The shares of a layer add up to 100 %; below 0 the term pulls against the others there. Where the
teacher's terms have no share, the teacher does not reach. The **cosine** says whether two terms ask for the same step
(1), for steps that have nothing to do with each other (0) or for opposite ones (-1). **Gap closed** is how far the
student came from the same network alone (0 %) to its teacher (100 %); it can be negative, and it needs a completed run
of the student alone with the same settings and seed, and a teacher that is better by a point at least. **Agreement** is
the share of test pictures to which both give the same answer, right or wrong. Time is the median of a few passes.
"""


@dataclass(frozen=True, kw_only=True)
class View:
    """Choices of the row above the figures."""

    focus: Run
    """The student that the lower figures are about."""
    step: int | None
    """None: the last one recorded."""


def measure_button(students: list[Run]) -> None:
    """What the popover asks for, and the button that starts it."""
    images = st.number_input(
        "Test pictures", 10, None, Agreement().images, key="agreement_images", bind="query-params", step=500
    )
    st.caption("Both networks answer them, then the time of passes of 1 and of 128 pictures is taken.")
    able = [run for run in students if tasks.has_network(store, run) and run.status is Status.COMPLETED]
    settings = Agreement(images=images)
    command.button(
        f"Measure {'1 student' if len(able) == 1 else f'{len(able)} students'}",
        lambda: tasks.submit_all(able, lambda run_id: jobs.submit_task(store, run_id, settings)),
        type="primary",
        key="measure_agreement",
        disabled=not able or store.read_only,
    )


def controls(students: list[Run]) -> View:
    """The row above the figures."""
    by_id = {run.id: run for run in students}
    with st.container(horizontal=True, vertical_alignment="bottom"):
        address.seed("student", list(by_id), next(iter(by_id)), lambda i: choice.text_of(by_id[i]))
        chosen = st.selectbox(
            "Student",
            list(by_id),
            key="student",
            format_func=lambda i: choice.text_of(by_id[i]) if i in by_id else str(i),
            bind="query-params",
            width=280,
        )
        focus = by_id.get(chosen, students[0])
        steps = source.term_steps(store, [focus])
        step = None
        if len(steps) > 1:
            address.seed_step("split_at", steps)
            step = st.select_slider("Step", steps, value=steps[-1], key="split_at", bind="query-params", width=420)
        with st.popover("Measure", icon=":material/science:"):
            measure_button(students)
    return View(focus=focus, step=step)


def draw_shares(students: list[Run]) -> None:
    """The main picture: where each term of the loss arrives."""
    shares = source.term_gradients(store, students, view.step)
    if shares.empty:
        text = "No gradient was split by term yet: it comes with the first recorded step of a loss of several terms."
        st.info(text, icon=":material/hourglass_empty:")
        return
    show.chart(term_shares(shares, choice.look(students)), "shares", "share of each term of the loss over depth")


def table(students: list[Run]) -> pd.DataFrame:
    """A row a student: who teaches, how good both are, how much of the gap is closed, how alike, how cheap."""
    found, measured = gaps(students, read.runs(store)), source.distilled(store, students).set_index("run")
    rows = []
    for run, (_, gap) in zip(students, found.iterrows(), strict=True):
        own = measured.loc[[run.id]] if run.id in measured.index else None
        rows.append(
            {
                "student": choice.text_of(run),
                "teacher": teacher_text(run),
                "on test pictures": scored(_known(gap["student"]), run.results.score),
                "alone": scored(_known(gap["alone"]), run.results.score),
                "teacher's": scored(_known(gap["teacher"]), run.results.score),
                "gap closed": percent(_known(gap["closed"])),
                "agreement": UNKNOWN if own is None else percent(float(own["agreement"].iloc[0])),
            }
        )
    return pd.DataFrame(rows)


def _known(value: float) -> float | None:
    return None if math.isnan(value) else float(value)


def teacher_text(run: Run) -> str:
    """Who teaches a student."""
    found, number = teaching(run.config) or {}, teacher_of(run.config)
    if number is not None:
        return f"run {number}"
    return str(found.get("teacher_file") or found.get("teacher_model") or UNKNOWN)


def costs(students: list[Run]) -> pd.DataFrame:
    """What students and teachers cost, and how many times less the student."""
    rows = []
    for _, row in source.distilled(store, students).iterrows():
        for who, prefix in (("student", ""), ("teacher", "teacher_")):
            times = row[f"{prefix}milliseconds"]
            rows.append(
                {
                    "network": f"{who} of run {row['run']}" if prefix else f"student, run {row['run']}",
                    "parameters": count(int(row[f"{prefix}parameters"])),
                    "MACs a picture": count(int(row[f"{prefix}macs"])),
                    **{f"ms, {n} at once": significant(value) for n, value in times.items()},
                }
            )
    return pd.DataFrame(rows)


def draw_focus(run: Run) -> None:
    """Curves of the student beside its teacher and itself alone, and the angles between its terms."""
    known = read.runs(store)
    beside = [r for r in known if r.id == teacher_of(run.config)]
    own = alone(run, known)
    shown = [run, *beside, *([own] if own else [])]
    curves, angles = st.columns(2)
    with curves:
        name, what, names = CURVES[run.results.score]
        frame = smoothed(source.metrics(store, shown, names), 0.0)
        who = "student, teacher and student alone" if own else "student and teacher"
        title = f"{name} of {who}"
        figure = learning_curve(frame, choice.look(shown), what=what, against="epoch", height=230, title=title)
        show.chart(figure, what, f"{what} of student and teacher by epoch")
    with angles:
        cosines = source.term_cosines(store, [run], view.step)
        show.chart(term_angles(cosines, height=230), "angles", "cosine between the terms' gradients by layer")
    if own is None:
        st.caption(
            "No completed run of this student alone with the same settings and seed: launch one without the method to "
            "see how much of the gap its teacher closed."
        )


def draw_likeness(students: list[Run]) -> None:
    """Agreement and cost, where they were measured."""
    measured = source.distilled(store, students)
    if measured.empty:
        text = "Agreement with the teacher, size and time of a pass are measured on test pictures: press Measure above."
        st.info(text, icon=":material/info:")
        return
    left, right = st.columns([2, 3])
    with left:
        figure = divergences(by_temperature(measured), choice.look(students), height=220)
        show.chart(figure, "divergences", "distance from the teacher's answers by temperature")
    with right:
        st.dataframe(costs(students), hide_index=True, key="costs", height="content")
        pictures = count(int(measured["images"].max()))
        st.caption(plain(f"{pictures} test pictures; time on {', '.join(sorted(set(measured['device'])))}."))


def draw(runs: list[Run]) -> None:
    """Everything that moves."""
    students = [run for run in runs if teaching(run.config)]
    found = tasks.of(store, students, KIND)
    tasks.panel(store, students, found, "pictures")
    draw_shares(students)
    frame = table(students)
    st.dataframe(frame, hide_index=True, key="students", height="content")
    focus = next((run for run in students if run.id == view.focus.id), students[0])
    draw_focus(focus)
    draw_likeness(students)
    if waiting := [run for run in students if run.status is Status.QUEUED and run.waits_for]:
        names = ", ".join(f"{choice.text_of(run)} waits for run {run.waits_for}" for run in waiting)
        st.caption(plain(f"{names}."))
    show.how_to_read(HOW, frame, "distillation")
    if tasks.is_moving(found) is not moving:  # a task was started or has ended here: watch it, or stop watching
        st.rerun()


store = source.the_store()
show.header("Distillation", __doc__)
shown_runs = show.runs_or_next_step(store, "student", preset="kd-hinton")
shown_students = [run for run in shown_runs if teaching(run.config)]
if not shown_students:
    message = "None of these runs has a teacher. Launch one from a preset kd-…, which trains its teacher first."
    show.nothing(message, show.LAUNCH, "Launch a student", preset="kd-hinton")
moving = tasks.is_moving(tasks.of(store, shown_students, KIND))
view = controls(shown_students)
show.live(store, draw, moving=moving)
