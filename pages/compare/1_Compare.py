"""What is different, and what did it change?"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

import numpy as np
import pandas as pd
import streamlit as st
from streamlit.elements.lib.column_types import ColumnConfig

from gradscope.analysis import comparison
from gradscope.analysis.curves import smoothed
from gradscope.analysis.distances import median_log2, wasserstein_decades
from gradscope.analysis.pooling import (
    pooled_counts,
    pooled_curves,
    pooled_profile,
    pooled_shares,
)
from gradscope.analysis.quantities import of_quantity
from gradscope.analysis.settings import differing, side_by_side
from gradscope.analysis.wording import UNKNOWN, count, duration, significant
from gradscope.figures.comparison import decay_difference
from gradscope.figures.decay import gradient_decay
from gradscope.figures.histograms import histogram_lines
from gradscope.figures.learning import learning_curve
from gradscope.figures.terms import term_shares
from gradscope.records import Kind, Run
from pages.frame import address, choice, show, source
from pages.frame.chips import chip
from pages.frame.comparison_report import report
from pages.frame.comparison_view import View, view_of
from pages.frame.downloads import Drawn

HOW = """
Above, every layer's newest value and the accuracy, validation dashed: a run whose line on the left falls towards the
input usually lags on the right. **Runs of the same settings and other seeds are one line**: the geometric mean with
its least and greatest on the left, the mean with its standard deviation on the right, cut at 0 and 100 %; in the
table mean, standard deviation and Student's 95 % interval over the seeds, never cut. Below, the same layers
subtracted: at 1 a run's value is ten times that of the one it is compared with, at 0 equal, and a flat line means
that both decay alike. And one layer's magnitudes in every run: the distance in decades says how far, on the whole,
its values have to be moved to become the other's.
"""

# columns of runs on pictures with several labels
MAPS = ("test", "test_map"), ("best val.", "val_map")


def results(view: View, gradient: pd.DataFrame) -> pd.DataFrame:
    """A row a group, with numbers to sort by."""
    found = comparison.outcomes(view.runs, view.groups, gradient, datetime.now(UTC))
    of = {run.id: run for run in view.runs}
    states = [", ".join(dict.fromkeys(choice.status_text(of[i]) for i in ids)) for ids in found["runs"]]
    looks = [view.looks[group] for group in found["group"]]
    shown = {
        "": [chip(look) for look in looks],
        "run": [look.label for look in looks],
        "n": found["n"],
        "status": states,
        "test": 100 * found["test_accuracy"],
        "± test": 100 * found["test_deviation"],
        "from": 100 * found["test_low"],
        "to": 100 * found["test_high"],
        "best val.": 100 * found["val_accuracy"],
        "± val.": 100 * found["val_deviation"],
        **{f"{name} mAP": 100 * found[column] for name, column in MAPS},
        "a layer": found["factor"],
        "gradient": found["verdict"],
        "time at work": [duration(seconds) for seconds in found["seconds"]],
        "images/s": found["samples_per_second"],
        "parameters": found["parameters"],
        "multiply-adds": found["macs"],
        "recording": 100 * found["recording"],
    }
    return pd.DataFrame(shown)


def draw_results(shown: pd.DataFrame) -> None:
    """The table of results; columns that nothing is known of are left out."""
    known = [str(name) for name in shown if shown[name].notna().any()]
    st.dataframe(
        shown,
        hide_index=True,
        column_order=known,
        column_config=result_columns(),
        key="results",
        width="stretch",
        placeholder=UNKNOWN,
    )


def result_columns() -> dict[str, ColumnConfig]:
    """How the columns of the results are shown, and what the pointer says about them."""
    column = st.column_config
    cost = "Of the convolutions and dense layers in the training so far: three forward passes a picture"
    return {
        "": column.ImageColumn(width=46),
        "test": column.NumberColumn("test acc.", format="%.1f %%", help="Test accuracy, mean over the seeds"),
        "± test": column.NumberColumn("±", format="± %.1f", help="Standard deviation over the seeds"),
        "from": column.NumberColumn(format="%.1f %%", help="Student's 95 % interval of the mean over the seeds"),
        "to": column.NumberColumn(format="%.1f %%"),
        "best val.": column.NumberColumn(format="%.1f %%", help="Best validation accuracy, mean over the seeds"),
        "± val.": column.NumberColumn(format="± %.1f"),
        "a layer": column.NumberColumn(
            format="\N{MULTIPLICATION SIGN} %.3g",
            help="By what the gradient's RMS is multiplied at each layer towards the input",
        ),
        "images/s": column.NumberColumn(format="%.0f"),
        "parameters": column.NumberColumn(format="compact"),
        "multiply-adds": column.NumberColumn(format="scientific", help=cost),
        "recording": column.NumberColumn(format="%.1f %%", help="Share of the time that recording took"),
    }


def settings(view: View) -> pd.DataFrame:
    """A row a setting, a column a group; those that are equal hidden on demand."""
    hide = st.toggle("Hide equal settings", value=True, key="hide", bind="query-params")
    configs = {run.id: run.config for run in view.runs if run.id in view.looks}
    whole = side_by_side(configs)
    found = differing(whole) if hide else whole
    if found.empty:
        st.caption("These runs have the same settings." if len(configs) > 1 else "One kind of run has no differences.")
    shown = found.rename(columns={group: look.label for group, look in view.looks.items()}).reset_index()
    if len(shown):
        height: Literal["content"] | int = "content" if len(shown) <= 12 else 420
        st.dataframe(shown, hide_index=True, key="compare_settings", height=height, width="stretch")
    return shown


def overlaid(view: View, profile: pd.DataFrame) -> tuple[Drawn, Drawn]:
    """Every layer of every group, and their accuracy."""
    title = f"{view.kind.value.capitalize()} against depth"
    decay = gradient_decay(
        profile,
        view.looks,
        kind=view.kind,
        relative=view.is_relative,
        height=view.height,
        title=title,
    )
    names = tuple(of_quantity("accuracy", source.metric_names(store, view.runs)))
    curves = pooled_curves(source.metrics(store, view.runs, names, 200), view.groups)
    return decay, learning_curve(smoothed(curves, 0.0), view.looks, what="accuracy", height=view.height)


def subtracted(view: View, profile: pd.DataFrame, reference: int) -> Drawn:
    """The same layers less those of one group."""
    others = {group: look for group, look in view.looks.items() if group != reference}
    return decay_difference(
        comparison.decay_difference(profile, reference, view.align),
        others,
        view.looks[reference].label,
        kind=view.kind.value,
        relative=view.is_relative,
        height=view.height,
    )


def choose_reference(view: View) -> int:
    """The group that the others are compared with."""
    options = list(view.looks)

    def text(group: int) -> str:
        return f"{group} {view.looks[group].label}"

    address.seed("less", options, options[0], text)
    found = st.selectbox(
        "Compared with",
        options,
        key="less",
        bind="query-params",
        format_func=text,
        help="Its curve is subtracted from the others', and distances of magnitudes are from it",
    )
    return int(found)


def choose_layer(view: View) -> str | None:
    """One layer, by its name; None where nothing was recorded."""
    names = list(dict.fromkeys(source.layers(store, view.runs)["name"]))
    if not names:
        return None
    address.seed("layer_name", names, names[0])
    return str(st.selectbox("Layer", names, key="layer_name", bind="query-params", width=260))


@dataclass(frozen=True, kw_only=True)
class Beside:
    """One layer of every group."""

    counts: dict[int, np.ndarray]
    """Its histogram."""
    names: dict[int, str]


def layers_beside(view: View, name: str) -> Beside:
    """The layer of that name, or at its place in another kind of network, at the step or the one before it."""
    layers, found, names = source.layers(store, view.runs), {}, {}
    for run in view.runs:
        beside = comparison.layer_beside(layers, run.id, name, view.align)
        if beside is None:
            continue
        steps, counts = source.histograms(store, run, beside[0], view.kind)
        before = counts if view.step is None else counts[steps <= view.step]
        if len(before) and before[-1].any():
            found[run.id], names[view.groups[run.id]] = before[-1], beside[1]
    return Beside(counts=pooled_counts(found, view.groups), names=names)


def distances(view: View, beside: Beside, reference: int) -> pd.DataFrame:
    """How far each group's magnitudes are from the reference's."""
    base, label = beside.counts.get(reference), view.looks[reference].label
    rows = [
        {
            "": chip(view.looks[group]),
            "run": view.looks[group].label,
            "layer": beside.names[group],
            "values": count(int(own.sum())),
            "median magnitude": significant(2.0 ** median_log2(own)),
            f"decades from {label}": UNKNOWN if base is None else f"{wasserstein_decades(base, own):.2f}",
        }
        for group, own in beside.counts.items()
    ]
    return pd.DataFrame(rows)


def apart(view: View, profile: pd.DataFrame) -> tuple[list[Drawn], pd.DataFrame]:
    """What is subtracted, and one layer's magnitudes: the figures drawn, and the distances."""
    left, right = st.columns(2)
    with left:
        reference = choose_reference(view)
        figure = subtracted(view, profile, reference)
        if len(view.looks) > 1:
            show.chart(figure, "difference", f"decades of {view.kind} above {view.looks[reference].label}")
        else:
            st.caption("With a second kind of run, chosen at the left, the difference of the two stands here.")
    with right:
        name = choose_layer(view)
        beside = layers_beside(view, name) if name else Beside(counts={}, names={})
        magnitudes = histogram_lines(
            beside.counts,
            view.looks,
            what=f"{view.kind.value} of {name}",
            height=view.height,
        )
        if name:
            show.chart(magnitudes, "same_layer", f"magnitudes of {name} in {len(view.looks)} runs")
    far = distances(view, beside, reference)
    if len(far):
        look = {"": st.column_config.ImageColumn(width=46)}
        st.dataframe(far, hide_index=True, key="distances", column_config=look, width="stretch")
    return [figure, magnitudes], far


def causes(view: View) -> list[Drawn]:
    """Which term of the loss, or which exit, each layer learns from; nothing where no run's loss has several."""
    shares = source.term_gradients(store, view.runs, view.step)
    if shares.empty:
        return []
    figure = term_shares(pooled_shares(shares, view.groups), view.looks)
    show.chart(figure, "causes", "share of each term of the loss in the gradient, over depth")
    st.caption("The shares of a layer add up to 100 %; a term below zero pulls against the others there.")
    return [figure]


def draw(runs: list[Run]) -> None:
    """Everything that moves."""
    show.live_badge(runs)
    view = view_of(store, runs)
    profile = pooled_profile(source.profile(store, runs, view.kind, view.step), view.groups)
    decay, accuracy = overlaid(view, profile)
    left, right = st.columns(2)
    with left:
        show.chart(decay, "compare_decay", f"{view.kind} RMS against depth of {len(view.looks)} runs")
    with right:
        show.chart(accuracy, "compare_accuracy", "accuracy against step")
    outcome = results(view, source.profile(store, runs, Kind.GRADIENT, view.step))
    draw_results(outcome)
    tables = {"Results": outcome, "Settings": settings(view)}
    figures, tables["Magnitudes"] = apart(view, profile)
    figures += causes(view)
    st.download_button(
        "Report as one HTML file",
        lambda: report(store, view, HOW, [decay, accuracy, *figures], tables),
        "comparison.html",
        "text/html",
        key="report",
        icon=":material/description:",
        on_click="ignore",
        help="Everything shown here with its numbers; the figures answer the pointer without a network",
    )
    show.how_to_read(HOW, outcome.drop(columns=[""]), "compare")


store = source.the_store()
show.header("Compare", __doc__)
show.runs_or_next_step(store, "comparison")
show.live(store, draw, every=2.0)  # four figures and two tables take half a second of a core
