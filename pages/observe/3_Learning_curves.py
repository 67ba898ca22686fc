"""Does it learn, and does what it learns hold on images that it has not seen?"""

import pandas as pd
import streamlit as st

from gradscope.analysis.curves import best_and_last, smoothed
from gradscope.analysis.wording import UNKNOWN, count, duration, percent, plain, significant
from gradscope.figures.learning import learning_curve
from gradscope.figures.style import RunStyle
from gradscope.records import Run
from pages.frame import address, choice, show, source
from pages.frame.chips import chip

AGAINST = {"step": "step", "epoch": "epoch", "time": "seconds"}
NAMES = ("train_loss", "val_loss", "train_accuracy", "val_accuracy", "loss", "accuracy")
HOW = """
The whole line is the training, the dashed one with points the validation; pale is what was measured, strong the moving
average of it. **Healthy**: both losses fall and stay close. A training loss that falls while the validation loss rises
is **overfitting**; two flat lines mean that nothing is learned: look at the gradient decay. A red cross is where a
value stopped being finite.
"""


def controls() -> tuple[str, float]:
    """The row above the figures."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        address.seed("x", list(AGAINST), "step")
        against = st.segmented_control(
            "Against",
            list(AGAINST),
            key="x",
            default="step",
            required=True,
            bind="query-params",
            label_visibility="collapsed",
        )
        smoothing = st.slider(
            "Smoothing",
            0.0,
            0.99,
            0.6,
            0.01,
            key="smoothing",
            bind="query-params",
            help="The share that the past keeps at each point; 0 shows the values as they are",
            width=320,
        )
    return AGAINST[against or "step"], smoothing


def table(metrics: pd.DataFrame, runs: list[Run], looks: dict[int, RunStyle]) -> None:
    """A line a run: best and last values, epochs, speed."""
    known = best_and_last(metrics).set_index(["run", "name"])

    def value(run: int, name: str, column: str) -> float | None:
        return float(known.loc[(run, name), column]) if (run, name) in known.index else None

    rows = [
        {
            "": chip(looks[run.id]),
            "run": looks[run.id].label,
            "best val. accuracy": percent(value(run.id, "val_accuracy", "best")),
            "at step": count(None if (at := value(run.id, "val_accuracy", "best_step")) is None else int(at)),
            "last val. accuracy": percent(value(run.id, "val_accuracy", "last")),
            "test accuracy": percent(run.results.test_accuracy),
            "last training loss": significant(value(run.id, "train_loss", "last") or value(run.id, "loss", "last")),
            "last val. loss": significant(value(run.id, "val_loss", "last")),
            "epochs": UNKNOWN if run.progress.epoch is None else f"{run.progress.epoch:.1f}",
            "images/s": significant(run.progress.samples_per_second),
        }
        for run in runs
    ]
    st.dataframe(
        pd.DataFrame(rows),
        hide_index=True,
        key="curves_table",
        column_config={"": st.column_config.ImageColumn(width=46)},
    )


store = source.the_store()
show.header("Learning curves", __doc__)
runs_shown = show.runs_or_next_step(store, "learning curve")
x_axis, weight = controls()


def draw(runs: list[Run]) -> None:
    """Everything that moves."""
    show.live_badge(runs)
    metrics = source.metrics(store, runs, NAMES, 500 if len(runs) < 5 else 200)
    if metrics.empty:
        st.info("None of these runs has logged a loss or an accuracy yet: `run.log({'train_loss': ...})` does.")
        return
    looks = choice.look(runs)
    curves = smoothed(metrics, weight)
    for column, what in zip(st.columns(2), ("loss", "accuracy"), strict=True):
        with column:
            figure = learning_curve(curves, looks, what=what, against=x_axis, height=350)
            show.chart(figure, f"curve_{what}", f"{what} against {x_axis} of {len(runs)} runs")
    table(metrics, runs, looks)
    broken = [f"{plain(looks[r.id].label)} at step {count(r.nonfinite.step)}" for r in runs if r.nonfinite]
    if broken:
        st.warning(f"Stopped being finite: {', '.join(broken)}.", icon=":material/error:")
    took = [
        f"{plain(looks[r.id].label)} {duration((r.ended - r.started).total_seconds())}"
        for r in runs
        if r.ended and r.started
    ]
    st.caption(f"Time taken: {', '.join(took)}." if took else "")
    show.how_to_read(HOW, metrics, "learning_curves")


show.live(store, draw)
