"""Which pixels does the answer come from?"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import streamlit as st

from gradscope.analysis.completeness import completeness_error
from gradscope.analysis.contribution import THRESHOLD, contribution
from gradscope.analysis.scores import Cell
from gradscope.analysis.wording import percent, plain, significant
from gradscope.config.attributions import MOST_ERROR, parse_attribution
from gradscope.config.explaining import Explain
from gradscope.figures.attribution_maps import Grid, head, map_grid, scales, shown_places
from gradscope.figures.attribution_pixels import enlarged, grey, overlay, picture, scale_bar, summed
from gradscope.figures.style import RunStyle
from gradscope.overview import Overview
from gradscope.records import Run
from pages.frame import address, attribution_choice, choice, show, source, tasks

GRID_WIDTH, GRID_HEIGHT = 590, 560
ENLARGED = 224
PANEL = 64
COLUMNS_MOST = 9  # in more, pictures are too small to see anything
SCALES = ["one scale", "each its own"]
HOW = """
Every row is a test picture, every column a run and a method. **Orange** pixels speak for the explained class, **blue**
ones against it, the stronger the colour the more; on one scale, the same colour is the same contribution in all maps
of a method, so a pale map has little to say. Under each map stands what the run answers, ✓ right or ✕ wrong. A map that
promises to add up and misses its sum by more than 1 % is not called SHAP. Click on a map to enlarge it: its four panels
are the contribution map of the pseudo-normalising paper, each contribution scaled to 0..1, what is left above the
threshold, the mean of its colours, and which pixels are left.
"""


def controls() -> tuple[str, float]:
    """Scale and strength of all maps."""
    address.seed("map_scale", SCALES, SCALES[0])
    scale = st.segmented_control(
        "Colour scale",
        SCALES,
        key="map_scale",
        default=SCALES[0],
        required=True,
        bind="query-params",
        label_visibility="collapsed",
    )
    strength = st.slider(
        "Overlay strength",
        0.0,
        1.0,
        0.8,
        0.05,
        key="overlay",
        bind="query-params",
        width=260,
        help="0 shows the picture alone, 1 the map alone",
    )
    return scale or SCALES[0], strength


def pick() -> None:
    """A clicked map becomes the enlarged one."""
    point = show.picked("maps")
    if point:
        st.session_state["map_clicked"] = (int(point["place"]), int(point["column"]))


def text_of(cell: Cell, found: Overview, looks: Mapping[int, RunStyle]) -> str:
    """How a column is named in a choice."""
    return f"{looks[cell[0]].label}, {found.titles[cell[1]]}"


def picked(found: Overview, columns: Sequence[Cell], looks: Mapping[int, RunStyle]) -> tuple[Cell, int]:
    """The map to enlarge: the one last clicked or chosen, else the first."""
    rows = shown_places(found)
    if "map_clicked" in st.session_state:
        place, column = st.session_state.pop("map_clicked")
        st.session_state["picture"], st.session_state["map"] = place, columns[column]
    labels = {int(p): found.classes[k] for m in found.maps.values() for p, k in zip(m.places, m.labels, strict=True)}
    address.seed("picture", rows, rows[0], lambda place: f"{place} ({labels[place]})")
    address.seed("map", columns, columns[0], lambda cell: text_of(cell, found, looks))
    left, right = st.columns([2, 3])
    with left:
        place = st.selectbox(
            "Test picture",
            rows,
            key="picture",
            format_func=lambda place: f"{place} ({labels[place]})",
            bind="query-params",
        )
    with right:
        cell = st.selectbox(
            "Map", columns, key="map", format_func=lambda cell: text_of(cell, found, looks), bind="query-params"
        )
    return cell, place


def enlargement(found: Overview, cell: Cell, place: int, full: float, strength: float) -> None:
    """The map over its picture, what it adds up to, and what is left of it above a threshold."""
    maps = found.maps.get(cell)
    at = np.flatnonzero(maps.places == place) if maps is not None else np.zeros(0, np.int64)
    if maps is None or not at.size:
        st.caption("This map is not computed yet.")
        return
    i = int(at[0])
    left, right = st.columns([3, 2])
    with left:
        pixels = overlay(maps.images[i], summed(maps.maps[i]), full, strength)
        st.image(enlarged(pixels, ENLARGED), width=ENLARGED)
    with right:
        st.image(enlarged(picture(maps.images[i]), ENLARGED // 2), width=ENLARGED // 2)
        st.caption(answers(found, maps.probabilities[i], int(maps.labels[i])))
    st.caption(sum_text(found, cell, i))
    contributions(maps.maps[i])


def contributions(values: np.ndarray) -> None:
    """The paper's four panels of one map, and the threshold that they hang on.

    Args:
        values: the map, channels x height x width.
    """
    threshold = st.slider(
        "Threshold",
        0.0,
        1.0,
        THRESHOLD,
        0.05,
        key="threshold",
        bind="query-params",
        help="Of the contribution map: smaller contributions are set to zero; 0.3 in the paper",
    )
    panels = contribution(values, threshold)
    drawn = {
        "scaled": picture(np.rint(255 * panels.scaled).astype(np.uint8)),
        f"from {threshold:g}": picture(np.rint(255 * panels.kept).astype(np.uint8)),
        "mean": grey(panels.grey),
        "binary": grey(panels.binary.astype(np.float64)),
    }
    for column, (name, shown) in zip(st.columns(4), drawn.items(), strict=True):
        with column:
            st.image(enlarged(shown, PANEL), width=PANEL, caption=name)
    st.caption(f"Contribution map: {panels.binary.mean():.0%} of the pixels are left.")


def answers(found: Overview, probabilities: np.ndarray, label: int) -> str:
    """The three most probable classes, the true one marked."""
    best = probabilities.argsort()[::-1][:3]
    lines = [f"{'✓ ' if k == label else ''}{plain(found.classes[k])} {probabilities[k]:.0%}" for k in best]
    return "  \n".join(lines)


def sum_text(found: Overview, cell: Cell, i: int) -> str:
    """What the map explains, with what it is compared, and whether it adds up."""
    maps, settings = found.maps[cell], parse_attribution(cell[1])
    text = f"Explains the logit of **{plain(found.classes[maps.targets[i]])}**"
    if not settings.adds_up:
        return f"{text}; the sum of this map promises nothing."
    error = completeness_error(maps.totals[i : i + 1], maps.differences[i : i + 1], maps.logits[i : i + 1])[0]
    against = getattr(settings, "baseline", None)
    other = f"the baseline ({against})" if against else "the mean of training pictures"
    warning = "" if error <= MOST_ERROR else ": these are no Shapley values" if settings.careful_title else ""
    return (
        f"{text}: sum {significant(maps.totals[i])}, logit less that of {other} {significant(maps.differences[i])}, "
        f"gap {percent(error)}{warning}."
    )


def agreement(found: Overview, looks: Mapping[int, RunStyle]) -> None:
    """How alike the maps of the runs are."""
    if found.agreement.empty:
        return
    lines = found.agreement.to_dict("records")
    frame = pd.DataFrame(
        {
            "runs": [f"{looks[r['run']].label}, {looks[r['other']].label}" for r in lines],
            "method": [found.titles[r["method"]] for r in lines],
            "agreement": [f"{r['mean']:.2f} ({r['low']:.2f} to {r['high']:.2f})" for r in lines],
        }
    )
    pairs = frame["runs"].unique()
    names = f"of {plain(pairs[0])}" if len(pairs) == 1 else "of runs"
    st.caption(f"Agreement {names}: rank correlation of their maps, -1 to 1, over the {len(found.places)} pictures")
    shown = frame if len(pairs) > 1 else frame.drop(columns="runs")
    st.dataframe(shown, hide_index=True, key="agreement", height="content")


def draw_maps(found: Overview, columns: Sequence[Cell], looks: Mapping[int, RunStyle]) -> None:
    """The grid, and the enlarged map beside it."""
    full = scales(found, each=scale == SCALES[1])
    left, right = st.columns([GRID_WIDTH, 350])
    with right:
        cell, place = picked(found, columns, looks)
        enlargement(found, cell, place, full.get((cell, place), 1.0), strength)
        agreement(found, looks)
    grid = Grid.fitting(columns, GRID_WIDTH)
    with left:
        st.altair_chart(head(found, grid, looks), width="content", key="maps_head")
        with st.container(height=GRID_HEIGHT, border=False):
            figure = map_grid(found, grid, full=full, strength=strength, picked=(cell, place))
            st.altair_chart(figure, width="content", key="maps", on_select=pick, selection_mode="pick")
        with st.container(horizontal=True, vertical_alignment="center"):
            st.caption("against the class", width="content")
            st.image(scale_bar(), width=120)
            st.caption("for it", width="content")
        st.caption(legend(found, full))


def legend(found: Overview, full: Mapping[tuple[Cell, int], float]) -> str:
    """What full colour stands for."""
    if scale == SCALES[1]:
        return "Full colour: each map's own 99th percentile."
    ends = {cell[1]: value for (cell, _), value in full.items()}
    parts = [f"{significant(value)} ({found.titles[method]})" for method, value in ends.items()]
    return f"Full colour: {', '.join(parts)}."


def draw(runs: list[Run]) -> None:
    """Everything that moves."""
    looks = choice.look(runs)
    found_tasks = tasks.of(store, runs, attribution_choice.KIND)
    going = tasks.is_moving(found_tasks)
    # a place of its own for what comes and goes: a widget that moves down the page loses its hold on the address
    with st.container():
        tasks.panel(store, runs, found_tasks, "maps")
        able = [run for run in runs if tasks.has_network(store, run)]
        if not able:
            attribution_choice.nothing_to_ask()
        found = source.overview(store, able, wanted)
        attribution_choice.say_what_is_lacking(store, found, able, looks, checks=False, going=going)
        columns = columns_of(found)
    if found.maps:
        draw_maps(found, columns, looks)
        show.how_to_read(HOW, numbers(found, looks), "saliency")
    if moving is not going:  # the refreshing is to begin or to end
        st.rerun()


def columns_of(found: Overview) -> list[Cell]:
    """The maps beside each other: the runs by the first method, then by the next."""
    columns = [(run.id, m) for m in found.methods for run in found.runs if (run.id, m) in found.maps]
    if len(columns) > COLUMNS_MOST:
        st.caption(f"The first {COLUMNS_MOST} of {len(columns)} columns are shown; choose fewer runs or methods.")
    return columns[:COLUMNS_MOST]


def numbers(found: Overview, looks: Mapping[int, RunStyle]) -> pd.DataFrame:
    """A line a map, to take away."""
    parts = [
        frame.assign(run=looks[run].label, method=found.titles[method]).reset_index()
        for (run, method), frame in found.pictures.items()
    ]
    return pd.concat(parts)


store = source.the_store()
show.header("Saliency", __doc__)
runs_shown = show.runs_or_next_step(store, "map")
with_network = [run for run in runs_shown if tasks.has_network(store, run)]
choices = attribution_choice.Choices("maps", n=24, most=200)
wanted = choices.draw(source.overview(store, with_network, Explain())) if with_network else Explain()
with choices.row:
    scale, strength = controls() if with_network else (SCALES[0], 1.0)
moving = tasks.is_moving(tasks.of(store, runs_shown, attribution_choice.KIND))
show.live(store, draw, moving=moving)
