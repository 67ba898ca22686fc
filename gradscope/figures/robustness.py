"""Accuracy against the strength of noise, corruptions and attacks."""

from collections.abc import Mapping, Sequence

import altair as alt
import numpy as np
import pandas as pd

from gradscope.figures.style import (
    HEIGHT,
    NEUTRAL,
    Figure,
    RunStyle,
    empty,
    finished,
    labelled,
    mark_legend,
    run_colour,
    run_shape,
)

LEVELS = {
    "noise": "standard deviation of the noise (normalised pictures)",
    "corruptions": "severity",
    "attacks": "largest change of a pixel (in 255ths)",
}
"""What the horizontal axis says, by family."""
MEASURES = {"accuracy": "test accuracy", "relative": "share of the clean accuracy"}
"""What the vertical axis says; each measure is a column, its band `<column>_low` and `_high`, or low and high."""
PUBLISHED = "published, clean pictures"
_BANDS = {"accuracy": ("low", "high"), "relative": ("relative_low", "relative_high")}
_MOST = {"accuracy": 1.0, "relative": np.inf}
_COLUMNS = 4


def title_of(kind: str) -> str:
    """A kind in words.

    >>> title_of("gaussian_noise"), title_of("jpeg"), title_of("pgd")
    ('Gaussian noise', 'JPEG', 'PGD')
    """
    if kind in {"jpeg", "fgsm", "pgd"}:
        return kind.upper()
    return kind.replace("_", " ").capitalize()


def span(curves: pd.DataFrame, measure: str, published: pd.DataFrame | None = None) -> tuple[float, float]:
    """Ends of a vertical axis that holds every curve with its band, in tenths; (0, 1) where there is none."""
    drawn = _with_band(curves, measure)
    values = pd.concat(
        [drawn["lower"], drawn["upper"], *([] if published is None else [published["accuracy"]])]
    ).dropna()
    if values.empty:
        return 0.0, 1.0
    return max(0.0, values.min() // 0.1 / 10), max(0.1, -(-values.max() // 0.1) / 10)


def robustness_curves(
    curves: pd.DataFrame,
    runs: Mapping[int, RunStyle],
    kind: str,
    *,
    family: str,
    measure: str = "accuracy",
    ends: tuple[float, float] = (0.0, 1.0),
    published: pd.DataFrame | None = None,
    height: int = HEIGHT,
) -> Figure:
    """Accuracy under one kind of disturbance, a curve a run with its band of one standard deviation, within 0..1.

    Args:
        curves: `gradscope.analysis.robustness.curves`.
        runs: the runs, or groups of runs, to draw.
        kind: what was done to the pictures.
        family: of the kind; names the horizontal axis.
        measure: `accuracy` or `relative`.
        ends: of the vertical axis; figures beside each other share them.
        published: what papers report: run, level, accuracy, what; drawn as diamonds.
        height: in pixels.
    """
    rows = labelled(curves[curves["kind"] == kind], runs)
    rows = rows[rows[measure].notna()]
    if rows.empty:
        return empty(title_of(kind), height)
    base = alt.Chart(_with_band(rows, measure).drop(columns=["run"]))
    parts = _parts(base, runs, family, measure, ends)
    if published is not None and len(published):
        parts.append(_diamonds(labelled(published, runs), runs, ends))
    figure = alt.layer(*parts).resolve_scale(shape="independent")
    return finished(figure, title_of(kind), height, columns=3)


def _with_band(rows: pd.DataFrame, measure: str) -> pd.DataFrame:
    """Adds lower and upper, the band as it is drawn: a mean less or plus its deviation may leave what there is."""
    low, high = (rows[name].clip(0.0, _MOST[measure]) for name in _BANDS[measure])
    return rows.assign(lower=low, upper=high)


def _parts(
    base: alt.Chart,
    runs: Mapping[int, RunStyle],
    family: str,
    measure: str,
    ends: tuple[float, float],
    *,
    titled: bool = True,
) -> list[alt.Chart]:
    x = alt.X("level:Q", axis=alt.Axis(title=LEVELS[family]), scale=alt.Scale(nice=False, zero=True))
    scale = alt.Scale(domain=list(ends), nice=False)
    axis = alt.Axis(title=MEASURES[measure] if titled else None, format="%")
    band = base.mark_area(opacity=0.18).encode(
        x=x,
        y=alt.Y("lower:Q", scale=scale, axis=axis),
        y2="upper:Q",
        color=run_colour(runs),
        tooltip=alt.value(None),
    )
    y = alt.Y(f"{measure}:Q", scale=scale, axis=axis)
    line = base.mark_line(strokeWidth=2).encode(x=x, y=y, color=run_colour(runs))
    points = base.mark_point(filled=True, size=45, opacity=1).encode(
        x=x, y=y, color=run_colour(runs), shape=run_shape(runs), tooltip=_tooltip()
    )
    return [band, line, points]


def _tooltip() -> list[alt.Tooltip]:
    return [
        alt.Tooltip("label:N", title="run"),
        alt.Tooltip("kind:N", title="kind"),
        alt.Tooltip("level:Q", title="level", format=".3~g"),
        alt.Tooltip("accuracy:Q", title="accuracy", format=".1%"),
        alt.Tooltip("low:Q", title="one deviation below", format=".1%"),
        alt.Tooltip("high:Q", title="above", format=".1%"),
        alt.Tooltip("relative:Q", title="of clean", format=".1%"),
        alt.Tooltip("n:Q", title="runs"),
    ]


def _diamonds(rows: pd.DataFrame, runs: Mapping[int, RunStyle], ends: tuple[float, float]) -> alt.Chart:
    shape = alt.Shape("mark:N", scale=alt.Scale(domain=[PUBLISHED], range=["diamond"]), legend=mark_legend())
    points = alt.Chart(rows.assign(mark=PUBLISHED)).mark_point(size=140, strokeWidth=2.5, filled=False, color=NEUTRAL)
    chart: alt.Chart = points.encode(
        x="level:Q",
        y=alt.Y("accuracy:Q", scale=alt.Scale(domain=list(ends), nice=False)),
        color=run_colour(runs),
        shape=shape,
        tooltip=[alt.Tooltip("what:N", title="published"), alt.Tooltip("accuracy:Q", format=".2%")],
    )
    return chart


def small_multiples(
    curves: pd.DataFrame,
    runs: Mapping[int, RunStyle],
    kinds: Sequence[str],
    *,
    family: str,
    measure: str = "accuracy",
    title: str,
    size: tuple[int, int] = (168, 120),
) -> Figure:
    """A small picture of that width and height for each kind, all with the same axes; else as `robustness_curves`."""
    rows = labelled(curves[curves["kind"].isin(list(kinds))], runs)
    rows = rows[rows[measure].notna()]
    if rows.empty:
        return empty(title)
    shown = [title_of(kind) for kind in kinds if kind in set(rows["kind"])]
    rows = rows.assign(what=rows["kind"].map(title_of).astype("object"))
    parts = _parts(alt.Chart(), runs, family, measure, span(rows, measure), titled=False)
    facet = alt.Facet("what:N", sort=shown, title=None, header=alt.Header(labelFontWeight="bold", labelPadding=2))
    layers = alt.layer(*parts, data=_with_band(rows, measure).drop(columns=["run"])).properties(
        width=size[0], height=size[1]
    )
    figure = layers.facet(facet=facet, columns=_COLUMNS)
    return _of_facets(figure, f"{title}: {MEASURES[measure]}")


def class_map(classes: pd.DataFrame, runs: Mapping[int, RunStyle], kind: str, *, family: str) -> Figure:
    """Accuracy of each class against the level as a map, a panel a run; blank where no test picture is of a class.

    Args:
        classes: `gradscope.analysis.robustness.per_class`.
        runs: the runs to draw.
        kind: what was done to the pictures.
        family: of the kind; names the horizontal axis.
    """
    title = f"{title_of(kind)}, class by class"
    rows = labelled(classes, runs)
    if rows.empty:
        return empty(title)
    names = list(rows["class"].unique())
    levels = alt.Axis(title=LEVELS[family], format="~g", labelAngle=0, labelOverlap=True, grid=False)
    cells = (
        alt.Chart(rows.drop(columns=["run"]))
        .mark_rect()
        .encode(
            x=alt.X("level:O", axis=levels),
            y=alt.Y("class:N", sort=names, axis=alt.Axis(title=None, labelLimit=110, labelOverlap=False, grid=False)),
            color=alt.Color(
                "accuracy:Q",
                scale=alt.Scale(scheme="viridis", domain=[0, 1]),
                legend=alt.Legend(title="accuracy", format="%", orient="top", gradientLength=160),
            ),
            tooltip=_class_tooltip(),
        )
        .properties(width=215, height=max(120, 16 * len(names)))
    )
    order = [style.label for style in runs.values()]
    return _of_facets(cells.facet(facet=alt.Facet("label:N", sort=order, title=None), columns=3), title)


def _class_tooltip() -> list[alt.Tooltip]:
    return [
        alt.Tooltip("label:N", title="run"),
        alt.Tooltip("class:N", title="class"),
        alt.Tooltip("level:O", title="level"),
        alt.Tooltip("accuracy:Q", title="accuracy", format=".1%"),
    ]


def _of_facets(figure: alt.FacetChart, title: str) -> Figure:
    whole: Figure = (
        figure.properties(title=alt.TitleParams(title, anchor="start", offset=4))
        .configure_axis(titlePadding=6)
        .configure_legend(offset=6, padding=0, rowPadding=2, columnPadding=14, columns=5)
    )
    return whole
