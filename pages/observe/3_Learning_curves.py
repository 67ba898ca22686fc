"""Does it learn, and does what it learns hold on images that it has not seen?"""

from collections.abc import Sequence
from datetime import UTC, datetime

import pandas as pd
import streamlit as st

from gradscope.analysis.curves import best_and_last, smoothed
from gradscope.analysis.life import seconds_taken
from gradscope.analysis.quantities import of_quantity, quantities, quantity_and_split
from gradscope.analysis.wording import UNKNOWN, count, duration, percent, plain, scored, significant
from gradscope.figures.learning import learning_curve
from gradscope.figures.style import RunStyle, tall
from gradscope.records import SCORE_SUFFIX, Run
from pages.frame import address, choice, show, source
from pages.frame.chips import chip

AGAINST = {"step": "step", "epoch": "epoch", "time": "seconds"}
SCORES = ["accuracy", "mAP"]
SUFFIXES = (("accuracy", SCORE_SUFFIX["accuracy"]), ("mAP", SCORE_SUFFIX["map"]))
OTHERS_AT_FIRST = 6
HOW = """
The whole line is the training, the dashed one with points the validation; pale is what was measured, strong the
moving average of it. **Healthy**: both losses fall and stay close. A training loss that falls while the validation
loss rises is **overfitting**; two flat lines mean that nothing is learned: look at the gradient decay. A red cross is
where a value stopped being finite, a red triangle where a loss that exploded leaves the axis, which would flatten the
other runs. Where two runs have one colour, their markers tell them apart, as in the legend and the table. Below the
table stands whatever else was logged; curves that differ only by train, val or test in their name share a figure.
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
    known = best_and_last(metrics)
    best = source.highest(store, runs, tuple(_validation_scores(list(metrics["name"].unique())))).set_index("run")
    rows = [
        {
            "": chip(looks[run.id]),
            "run": looks[run.id].label,
            **_best(run, best),
            **_last(known[known["run"] == run.id]),
            "test": scored(run.results.test_score, run.results.score),
            "epochs": UNKNOWN if run.progress.epoch is None else f"{run.progress.epoch:.1f}",
            "images/s": significant(run.progress.samples_per_second),
            "took": duration(seconds_taken(run, datetime.now(UTC))),
        }
        for run in runs
    ]
    config = {"": st.column_config.ImageColumn(width=46)}
    st.dataframe(pd.DataFrame(rows), hide_index=True, key="curves_table", column_config=config)


def _validation_scores(names: Sequence[str]) -> list[str]:
    return [name for name in names if quantity_and_split(name) in {(score, "validation") for score in SCORES}]


def _best(run: Run, best: pd.DataFrame) -> dict[str, str]:
    """The best validation accuracy; a curve on the page may be thinned and lack it."""
    known = best.loc[[run.id]] if run.id in best.index else None
    own = run.results.best_val_score
    value = own if own is not None or known is None else float(known["value"].iloc[0])
    suffix = SCORE_SUFFIX[run.results.score]
    return {"best val.": _share(value, suffix), "at step": count(None if known is None else int(known["step"].iloc[0]))}


def _share(value: float | None, suffix: str = "") -> str:
    """In per cent, as a program may have logged it itself, and what it is a share of unless that is accuracy."""
    shown = f"{significant(value)} %" if value is not None and value > 1 else percent(value)
    return shown if shown == UNKNOWN else shown + suffix


def _last(known: pd.DataFrame) -> dict[str, str]:
    """The last values; of several curves of a kind that of the first name."""
    told = [quantity_and_split(name) for name in known["name"]]
    values = dict(reversed(list(zip(told, known["last"], strict=True))))
    return {
        "last val.": _last_score(values),
        "training loss": significant(values.get(("loss", "training"))),
        "val. loss": significant(values.get(("loss", "validation"))),
    }


def _last_score(values: dict[tuple[str, str], float]) -> str:
    known = [
        _share(values[score, "validation"], suffix) for score, suffix in SUFFIXES if (score, "validation") in values
    ]
    return known[0] if known else UNKNOWN


def main_quantities(names: list[str]) -> list[str]:
    """The two large figures: the loss, and what the runs are judged by; accuracy before anything is logged."""
    return ["loss", next((score for score in SCORES if of_quantity(score, names)), SCORES[0])]


def others(names: list[str]) -> list[str]:
    """Which of the other curves to draw; some at first, for somebody may have logged hundreds."""
    known = [quantity for quantity in quantities(names) if quantity not in main_quantities(names)]
    if not known:
        return []
    if "curves" in st.session_state:
        st.session_state["curves"] = [curve for curve in st.session_state["curves"] if curve in known]
    return st.multiselect(
        f"Other curves ({len(known)})", known, known[:OTHERS_AT_FIRST], key="curves", bind="query-params"
    )


def grid(wanted: list[str], names: list[str], runs: list[Run], looks: dict[int, RunStyle]) -> None:
    """Small figures, three in a row."""
    chosen = tuple(name for quantity in wanted for name in of_quantity(quantity, names))
    curves = smoothed(source.metrics(store, runs, chosen, 200), weight)
    height = tall(200, len(looks), columns=2)
    for first in range(0, len(wanted), 3):
        for place, what in zip(st.columns(3), wanted[first : first + 3], strict=False):
            with place:
                figure = learning_curve(curves, looks, what=what, against=x_axis, height=height)
                show.chart(figure, f"curve_{what}", f"{what} against {x_axis} of {len(runs)} runs")


store = source.the_store()
show.header("Learning curves", __doc__)
runs_shown = show.runs_or_next_step(store, "learning curve")
x_axis, weight = controls()


def draw(runs: list[Run]) -> None:
    """Everything that moves."""
    show.live_badge(runs)
    names = source.metric_names(store, runs)
    if not names:
        st.info("None of these runs has logged a curve yet: `run.log({'train_loss': ...})` does.")
        return
    looks = choice.look(runs)
    large = main_quantities(names)
    main = tuple(name for what in large for name in of_quantity(what, names))
    metrics = source.metrics(store, runs, main, 500 if len(runs) < 5 else 200)
    curves = smoothed(metrics, weight)
    for column, what in zip(st.columns(2), large, strict=True):
        with column:
            figure = learning_curve(curves, looks, what=what, against=x_axis, height=tall(350, len(looks), columns=2))
            show.chart(figure, f"curve_{what}", f"{what} against {x_axis} of {len(runs)} runs")
    table(metrics, runs, looks)
    broken = [f"{plain(looks[r.id].label)} at step {count(r.nonfinite.step)}" for r in runs if r.nonfinite]
    if broken:
        st.warning(f"Stopped being finite: {', '.join(broken)}.", icon=":material/error:")
    if wanted := others(names):
        grid(wanted, names, runs, looks)
    show.how_to_read(HOW, metrics, "learning_curves")


show.live(store, draw)
