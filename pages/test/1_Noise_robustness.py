"""How much noise can the network bear?"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import pandas as pd
import streamlit as st

from gradscope import jobs
from gradscope.analysis.published_robustness import published
from gradscope.analysis.robustness import curves, over_runs, per_class, same_settings
from gradscope.analysis.wording import count, plain
from gradscope.config import FAMILIES, NOISES, Robustness
from gradscope.figures.robustness import class_map, robustness_curves, small_multiples, span, title_of
from gradscope.figures.style import RunStyle
from gradscope.records import Run
from pages.frame import address, choice, command, show, source, tasks
from pages.frame.chips import chip

KIND = "robustness"
MOST_WITH_INTERVALS = 2  # of so many kinds a table has an interval each, of more one for all of them together
WORDS = {"gaussian_noise": "Gaussian", "uniform_noise": "uniform"}
MEASURES = {"absolute": "accuracy", "relative": "relative"}
HOW = """
Each curve is a run: its accuracy on the test pictures when noise of the standard deviation below is added to the
**normalised** pictures, the same noise for every run; the band is one standard deviation over the draws, or over the
runs where seeds are pooled, cut at 0 and 100 %. **Robust** stays high for long; a curve that falls at once leans on
fine detail. A better network starts higher, so look at *relative* too: the share of its clean accuracy that is left.
**Area** is the mean accuracy over the levels, with its 95 % interval over the test pictures, or over the runs where
seeds are pooled. Diamonds are clean accuracies that the paper reports for its full training; those under noise are
not known to us.
"""


@dataclass(frozen=True, kw_only=True)
class Shown:
    """What is drawn."""

    points: pd.DataFrame
    groups: dict[int, int]
    """The group that each run's curve belongs to."""
    looks: dict[int, RunStyle]
    """How each group is drawn."""
    measure: str

    @property
    def curves(self) -> pd.DataFrame:
        """A curve a group and kind."""
        return curves(self.points, self.groups)


def settings_to_measure() -> Robustness:
    """What the popover asks for."""
    families = st.pills(
        "Under", list(FAMILIES), selection_mode="multi", default=["noise"], key="measure_under", bind="query-params"
    )
    images = st.number_input(
        "Test pictures", 10, None, None, key="measure_images", bind="query-params", placeholder="all", step=100
    )
    draws = st.number_input("Draws of each noise at each level", 1, 255, 10, key="measure_draws", bind="query-params")
    kinds = tuple(kind for family in families or ["noise"] for kind in FAMILIES[family])
    settings = Robustness(kinds=kinds, images=images, draws=int(draws))
    passes = 1 + sum(settings.draws_of(kind) * len(settings.levels_of(kind)) for kind in kinds)
    st.caption(f"Each run classifies its test pictures {count(passes)} times; what is known is not measured again.")
    return settings


def measure(runs: list[Run], settings: Robustness) -> None:
    """From the button: a task a run."""
    tasks.submit_all(runs, lambda run_id: jobs.submit_task(store, run_id, settings))


def measure_button(runs: list[Run], settings: Robustness, label: str) -> None:
    """Starts what the popover asks for."""
    command.button(
        label,
        lambda: measure(runs, settings),
        type="primary",
        key="measure",
        disabled=not runs or store.read_only,
    )


def some(runs: list[Run]) -> str:
    """How many runs, in words."""
    return "1 run" if len(runs) == 1 else f"{len(runs)} runs"


def controls(runs: list[Run]) -> tuple[str, bool]:
    """The row above the figures."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        address.seed("measure_as", list(MEASURES), "absolute")
        how = st.segmented_control(
            "Accuracy",
            list(MEASURES),
            key="measure_as",
            default="absolute",
            required=True,
            bind="query-params",
            label_visibility="collapsed",
        )
        pool = st.toggle(
            "Pool seeds", key="pool", bind="query-params", help="Runs that differ only in their seed as one"
        )
        with st.popover("Measure", icon=":material/science:"):
            able = [run for run in runs if tasks.has_network(store, run)]
            measure_button(able, settings_to_measure(), f"Measure {some(able)}")
    return MEASURES[how or "absolute"], pool


def shown_of(runs: list[Run], points: pd.DataFrame, measure_as: str, pool: bool) -> Shown:
    """Runs or groups of runs with their looks."""
    known = [run for run in runs if run.id in set(points["run"])]
    looks = choice.look(runs)
    groups = same_settings({r.id: r.config for r in known}) if pool else {r.id: r.id for r in known}
    sizes = Counter(groups.values())
    names = {run.id: run.name for run in known}
    pooled = {
        g: looks[g] if n == 1 else replace(looks[g], label=f"{names[g]}, {n} seeds") for g, n in sorted(sizes.items())
    }
    return Shown(points=points, groups=groups, looks=pooled, measure=measure_as)


def from_papers(runs: list[Run], shown: Shown) -> pd.DataFrame:
    """What papers report of networks like those shown."""
    found = {run.id: published(run.config) for run in runs if shown.groups.get(run.id) == run.id}
    rows = [(run, p.level, p.accuracy, p.what) for run, p in found.items() if p]
    return pd.DataFrame(rows, columns=["run", "level", "accuracy", "what"])


def draw_noise(runs: list[Run], shown: Shown) -> None:
    """Gaussian and uniform side by side, on one scale."""
    drawn = shown.curves
    drawn = drawn[drawn["kind"].isin(NOISES)]
    papers = from_papers(runs, shown) if shown.measure == "accuracy" else None
    ends = span(drawn, shown.measure, papers)
    for column, kind in zip(st.columns(2), NOISES, strict=True):
        with column:
            figure = robustness_curves(
                drawn, shown.looks, kind, family="noise", measure=shown.measure, ends=ends, published=papers
            )
            show.chart(
                figure, f"curve_{kind}", f"{title_of(kind)}: {shown.measure} of {len(shown.looks)} runs by level"
            )


def table(runs: list[Run], shown: Shown, kinds: Sequence[str], key: str) -> None:
    """A line a run or group: clean accuracy, areas with their intervals, what is left of the clean accuracy."""
    rows = [_row(group, runs, shown, kinds) for group in shown.looks]
    percent = st.column_config.NumberColumn(format="%.1f %%")
    half = st.column_config.NumberColumn(format="± %.1f")
    columns = {name: half if name.startswith("±") else percent for name in rows[0] if name not in {"", "run"}}
    look = {"": st.column_config.ImageColumn(width=46)}
    st.dataframe(pd.DataFrame(rows), hide_index=True, key=key, column_config={**columns, **look})


def how_measured(points: pd.DataFrame) -> str:
    """On how many pictures, with how many draws, up to which level; areas compare only where that is the same."""
    noisy = points[points["kind"].isin(NOISES) & (points["level"] > 0)]
    of_run = noisy.groupby("run").agg(images=("images", "max"), draws=("draws", "max"), level=("level", "max"))
    ways = [
        f"{count(int(images))} test pictures, {int(draws)} draws a level, levels up to {level:g}"
        for images, draws, level in of_run.drop_duplicates().to_numpy(dtype="float64")
    ]
    if len(ways) > 1:
        return f"Measured in {len(ways)} ways: {'; '.join(ways)}. Areas compare only between runs measured alike."
    return f"Area: mean accuracy over the levels, with its 95 % interval. {ways[0]}."


def _row(group: int, runs: list[Run], shown: Shown, kinds: Sequence[str]) -> dict[str, object]:
    members = [run for run in runs if shown.groups.get(run.id) == group]
    own = shown.points[shown.points["run"].isin([run.id for run in members])]
    clean = own.loc[own["level"] == 0].groupby("run")["accuracy"].first().mean()
    row: dict[str, object] = {"": chip(shown.looks[group]), "run": shown.looks[group].label, "clean": 100 * clean}
    together = {"all": list(kinds)} if len(kinds) > MOST_WITH_INTERVALS else {}
    for name, which in {**together, **{WORDS.get(kind, title_of(kind)): [kind] for kind in kinds}}.items():
        middle, half = _area(members, own[own["kind"].isin(which)], len(which))
        row[f"area, {name}"] = 100 * middle
        if len(which) > 1 or not together:
            row |= {f"± {name}": 100 * half, f"of clean, {name}": 100 * middle / clean if clean else float("nan")}
    return row


def _area(members: list[Run], own: pd.DataFrame, kinds: int) -> tuple[float, float]:
    """Area and half its interval; NaN where a kind was not measured."""
    known = [(run, own[own["run"] == run.id]) for run in members]
    found = [source.robustness_area(store, run, rows) for run, rows in known if rows["kind"].nunique() == kinds]
    areas = [each for each in found if each]
    if not areas:
        return float("nan"), float("nan")
    whole = areas[0] if len(areas) == 1 else over_runs([each.mean for each in areas])
    return whole.mean, (whole.high - whole.low) / 2


def draw_others(runs: list[Run], shown: Shown) -> None:
    """Small multiples of what is neither Gaussian nor uniform noise."""
    drawn = shown.curves
    for family, title in (("corruptions", "Corruptions"), ("attacks", "Attacks")):
        kinds = [kind for kind in FAMILIES[family] if kind in set(drawn["kind"])]
        if kinds:
            figure = small_multiples(drawn, shown.looks, kinds, family=family, measure=shown.measure, title=title)
            show.chart(figure, family, f"{title}: {shown.measure} by level, {len(kinds)} kinds")
            table(runs, shown, kinds, f"areas_{family}")


def draw_classes(runs: list[Run], points: pd.DataFrame) -> None:
    """Class by class, on demand."""
    with st.expander("Class by class", icon=":material/category:"):
        kinds = [kind for family in FAMILIES.values() for kind in family if kind in set(points["kind"])]
        address.seed("class_kind", kinds, kinds[0])
        kind = st.selectbox("Under", kinds, key="class_kind", format_func=title_of, bind="query-params", width=260)
        family = next(family for family, known in FAMILIES.items() if kind in known)
        looks = {run: look for run, look in choice.look(runs).items() if run in set(points["run"])}
        figure = class_map(per_class(points, kind), looks, kind, family=family)
        show.chart(figure, "classes", f"Accuracy of each class under {title_of(kind)} by level")


def nothing_measured(runs: list[Run], going: bool) -> None:
    """The empty state, with the button that ends it."""
    if going:
        st.info("The first curve appears as soon as its first level is measured.", icon=":material/hourglass_empty:")
        return
    able = [run for run in runs if tasks.has_network(store, run)]
    if not able:
        text = "None of these runs has a checkpoint to test: a run launched here has one after its first epoch. "
        show.nothing(f"{text}Choose others at the left, or launch one.", show.LAUNCH, "Launch a run")
    text = "None of these runs has been measured yet: here will be their accuracy against the strength of the noise."
    st.info(text, icon=":material/info:")
    with st.container(width=420):
        measure_button(able, settings_to_measure(), f"Measure {some(able)}")


def draw(runs: list[Run]) -> None:
    """Everything that moves."""
    found = tasks.of(store, runs, KIND)
    tasks.panel(store, runs, found, "pictures")
    points = source.robustness(store, runs)
    if points.empty is measured:  # the row above the figures is to come or to go
        st.rerun()
    if points.empty:
        nothing_measured(runs, tasks.is_moving(found))
    else:
        draw_measured(runs, points)
    if tasks.is_moving(found) is not moving:  # a task was started or has ended here: watch it, or stop watching
        st.rerun()


def draw_measured(runs: list[Run], points: pd.DataFrame) -> None:
    """The figures and numbers."""
    shown = shown_of(runs, points, *chosen)
    if points["kind"].isin(NOISES).any():
        draw_noise(runs, shown)
        table(runs, shown, NOISES, "areas")
        st.caption(how_measured(shown.points))
    draw_others(runs, shown)
    draw_classes(runs, points)
    missing = [run for run in runs if run.id not in shown.groups]
    for has, text in ((True, "Not measured yet"), (False, "No trained network is kept to be measured")):
        found = [plain(choice.text_of(run)) for run in missing if tasks.has_network(store, run) is has]
        if found:
            st.caption(f"{text}: {', '.join(found)}.")
    show.how_to_read(HOW, points.drop(columns=["per_class"]), "noise_robustness")


store = source.the_store()
show.header("Noise robustness", __doc__)
runs_shown = show.runs_or_next_step(store, "robustness")
measured = not source.robustness(store, runs_shown).empty
moving = tasks.is_moving(tasks.of(store, runs_shown, KIND))
chosen = controls(runs_shown) if measured else ("accuracy", False)
show.live(store, draw, moving=moving)
