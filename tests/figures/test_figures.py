"""Every figure against its specification in golden/, data left out; GRADSCOPE_OVERWRITE=1 renews the files."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import altair as alt
import numpy as np
import pandas as pd
import pytest

from gradscope import histogram
from gradscope.analysis.comparison import decay_difference as decay_of_two
from gradscope.analysis.curves import smoothed
from gradscope.analysis.robustness import CURVE_COLUMNS
from gradscope.figures.amplification import amplification, raw_and_treated
from gradscope.figures.comparison import decay_difference
from gradscope.figures.decay import gradient_decay
from gradscope.figures.gain_series import gains_over_steps, shares_over_steps
from gradscope.figures.histograms import histogram_bars, histogram_lines, histogram_map
from gradscope.figures.layer_map import layer_map
from gradscope.figures.layer_series import lost_values, update_ratio
from gradscope.figures.learning import learning_curve
from gradscope.figures.network_strip import network_strip
from gradscope.figures.papers import reproduction
from gradscope.figures.pseudo_norm import layer_gains, layer_shares, map_cells, scale_map
from gradscope.figures.robustness import class_map, robustness_curves, small_multiples, span
from gradscope.figures.style import styles
from gradscope.figures.terms import term_shares
from gradscope.records import Kind

GOLDEN = Path(__file__).parent / "golden"
RUNS = styles({1: "sigmoid", 2: "tanh", 12: "tanh"})


def statistics(rms: dict[int, list[float]], steps: tuple[int, ...] = (5,)) -> pd.DataFrame:
    rows = [
        {"run": run, "step": step, "layer": i, "name": f"fc{i + 1}", "depth": i / (len(values) - 1), "rms": value}
        for run, values in rms.items()
        for step in steps
        for i, value in enumerate(values)
    ]
    zeros = [100 if row["rms"] == 0 else 0 for row in rows]
    nan = [100 if np.isnan(row["rms"]) else 0 for row in rows]
    shares = {"saturated": 0.25, "dead": 0.5, "max_abs": 1.0, "mean_abs": 0.1}
    return pd.DataFrame(rows).assign(n=100, zeros=zeros, nan=nan, pos_inf=0, neg_inf=0, **shares)


HEALTHY = statistics({1: [1e-4, 1e-3, 1e-2], 2: [1e-2, 1.1e-2, 1e-2]})
BROKEN = statistics({1: [0.0, 1e-3, 1e-2], 12: [1e-2, np.nan, 1.0]})
NOTHING = HEALTHY.head(0)
MAP = statistics({1: [0.0, 1e-3, np.nan, 1.0]}, steps=(0, 1, 10))
STEPS = np.array([0, 1, 10])
COUNTS = np.stack([histogram.count(np.array([0.5, 0.25, 0.3, 2.0])) for _ in STEPS])
METRICS = smoothed(
    pd.DataFrame(
        [
            (run, name, step, step / 10, value, step * 1.0)
            for run in (1, 2)
            for name in ("train_loss", "val_loss", "val_accuracy")
            for step, value in ((0, 0.9), (10, 0.5 * run), (20, np.nan if run == 2 else 0.2))
        ],
        columns=["run", "name", "step", "epoch", "value", "seconds"],
    ),
    0.5,
)
GAINS = pd.DataFrame({"layer": [0, 1], "gain": [1.2, 3.0], "share": [0.4, 0.3], "kind": ["plain", "normalised"]})
SCALES = map_cells(
    pd.DataFrame(
        {"weight_scale": [1.0, 1.0, 2.0], "bias_scale": [0.0, 0.5, 0.0], "decades": [-9.0, 0.2, np.inf]}
    ).assign(here=[True, False, False])
)
REPRODUCED = pd.DataFrame(
    {"title": ["a", "b"], "published": [0.8, np.nan], "mean": [0.7, np.nan], "deviation": [0.02, np.nan]}
)
SEEDS = pd.DataFrame({"title": ["a", "a"], "seed": [0, 1], "accuracy": [0.69, 0.71]})
STRIP = pd.DataFrame(
    {"step": [0, 0, 10, 10], "layer": [0, 1, 0, 1], "name": ["a", "b", "a", "b"], "n_weights": [900, 100, 900, 100]}
).assign(health=["warning", "healthy", "critical", "note"], why=["dead units", "", "dead units", "frozen"])
AMPLIFIED = pd.DataFrame(
    {"run": [1, 1, 2], "step": 5, "layer": [0, 1, 0], "name": ["fc1", "fc2", "fc1"], "depth": [0.0, 1.0, 0.0]}
).assign(
    rms=0.1,
    plain_rms=[0.01, 0.05, np.nan],
    amplification=[10.0, 2.0, np.nan],
    gain=[np.nan, 2.0, np.nan],
    share_above_one=[np.nan, 0.32, np.nan],
)
GAIN_SERIES = pd.DataFrame(
    [
        (run, s, layer, s * 0.01 + layer, None if run == 12 else 0.6)
        for run in (2, 12)
        for s in (0, 9)
        for layer in (1, 3)
    ],
    columns=["run", "step", "layer", "gain", "share_above_one"],
).assign(name="fc", depth=0.5, method="pseudo_norm")
RATIO = pd.DataFrame({"step": [0, 10], "ratio": [1e-3, 0.5]})

ROBUST = pd.DataFrame(
    [
        (run, kind, level, right, right - 0.02, right + 0.03, right / 0.8, right / 0.8 - 0.02, right / 0.8 + 0.03, 1)
        for run, kind in ((1, "gaussian_noise"), (2, "gaussian_noise"), (1, "fog"))
        for level, right in ((0.0, 0.8), (1.0, 0.45))
    ],
    columns=CURVE_COLUMNS,
)
PUBLISHED = pd.DataFrame({"run": [1], "level": [0.0], "accuracy": [0.826], "what": ["a paper: model 1"]})

POOLED = HEALTHY.assign(low=[0.0, 5e-4, 5e-3, np.nan, np.nan, np.nan], high=[2e-4, 2e-3, 2e-2, np.nan, np.nan, np.nan])
SHARES = pd.DataFrame(
    [
        (1, 5, layer, f"fc{layer}", float(layer), term, share, 0.1)
        for layer in (0, 1)
        for term, share in (("label", 4.0 - 3 * layer), ("hint", -3.0 + 3 * layer))
    ],
    columns=["run", "step", "layer", "name", "depth", "term", "share", "rms"],
)
DIFFERENCE = decay_of_two(HEALTHY, reference=1)

FIGURES: dict[str, Callable[[], alt.TopLevelMixin]] = {
    "decay": lambda: gradient_decay(HEALTHY, RUNS),
    "decay_relative_signal": lambda: gradient_decay(HEALTHY, RUNS, kind=Kind.SIGNAL, relative=True, span=(-6, 0)),
    "decay_with_zero_and_nan": lambda: gradient_decay(BROKEN, RUNS),
    "decay_empty": lambda: gradient_decay(NOTHING, RUNS),
    "layer_map": lambda: layer_map(MAP, layer=1, step=10),
    "layer_map_empty": lambda: layer_map(NOTHING),
    "loss": lambda: learning_curve(METRICS, RUNS, what="loss"),
    "accuracy_by_epoch": lambda: learning_curve(METRICS, RUNS, what="accuracy", against="epoch"),
    "loss_empty": lambda: learning_curve(METRICS.head(0), RUNS),
    "histogram_map": lambda: histogram_map(STEPS, COUNTS, step=10),
    "histogram_map_empty": lambda: histogram_map(STEPS[:0], COUNTS[:0]),
    "histogram_bars": lambda: histogram_bars(COUNTS[0], step=1234),
    "histogram_lines": lambda: histogram_lines({1: COUNTS[0], 2: COUNTS[1]}, RUNS),
    "histogram_lines_empty": lambda: histogram_lines({}, RUNS),
    "update_ratio": lambda: update_ratio(RATIO),
    "update_ratio_empty": lambda: update_ratio(RATIO.head(0)),
    "lost_values": lambda: lost_values(MAP[MAP["layer"] == 0]),
    "reproduction": lambda: reproduction(REPRODUCED, SEEDS, "A paper"),
    "reproduction_empty": lambda: reproduction(REPRODUCED.head(0), SEEDS.head(0), "A paper"),
    "layer_gains": lambda: layer_gains(GAINS, 160),
    "layer_shares": lambda: layer_shares(GAINS, 160),
    "scale_map": lambda: scale_map(SCALES, "plain", 260, legend=True),
    "network_strip": lambda: network_strip(STRIP, layer=1),
    "network_strip_empty": lambda: network_strip(STRIP.head(0)),
    "amplification": lambda: amplification(AMPLIFIED, RUNS),
    "raw_and_treated": lambda: raw_and_treated(AMPLIFIED, RUNS),
    "raw_and_treated_empty": lambda: raw_and_treated(AMPLIFIED.assign(rms=np.nan, plain_rms=0.0), RUNS),
    "amplification_empty": lambda: amplification(AMPLIFIED.tail(1), RUNS),
    "gains_over_steps": lambda: gains_over_steps(GAIN_SERIES, RUNS),
    "gains_over_steps_empty": lambda: gains_over_steps(GAIN_SERIES.assign(gain=np.nan), RUNS),
    "shares_over_steps": lambda: shares_over_steps(GAIN_SERIES, RUNS),
    "shares_over_steps_empty": lambda: shares_over_steps(GAIN_SERIES.head(0), RUNS),
    "robustness": lambda: robustness_curves(ROBUST, RUNS, "gaussian_noise", family="noise", published=PUBLISHED),
    "robustness_relative": lambda: robustness_curves(
        ROBUST, RUNS, "gaussian_noise", family="noise", measure="relative", ends=span(ROBUST, "relative")
    ),
    "robustness_empty": lambda: robustness_curves(ROBUST.head(0), RUNS, "gaussian_noise", family="noise"),
    "decay_pooled": lambda: gradient_decay(POOLED, RUNS),
    "accuracy_pooled": lambda: learning_curve(
        METRICS.assign(low=METRICS["value"] - 0.1, high=METRICS["value"] + 0.1), RUNS, what="accuracy"
    ),
    "decay_difference": lambda: decay_difference(DIFFERENCE, RUNS, "sigmoid"),
    "decay_difference_by_layer": lambda: decay_difference(DIFFERENCE, RUNS, "sigmoid", kind="signal", relative=False),
    "decay_difference_empty": lambda: decay_difference(DIFFERENCE.head(0), RUNS, "sigmoid"),
    "term_shares": lambda: term_shares(SHARES, RUNS),
    "term_shares_empty": lambda: term_shares(SHARES.head(0), RUNS),
    "lost_values_empty": lambda: lost_values(NOTHING),
}


def specification(chart: alt.TopLevelMixin) -> dict:
    """What is drawn, without the data and the names that Altair makes up."""
    found = chart.to_dict()
    found.pop("datasets", None)
    names: dict[str, str] = {}

    def clean(value: object) -> object:
        if isinstance(value, dict):
            return {k: clean(v) for k, v in value.items() if k not in {"data", "$schema"}}
        if isinstance(value, list):
            return [clean(v) for v in value]
        if isinstance(value, str) and value.startswith("view_"):
            return names.setdefault(value, f"view_{len(names)}")
        return value

    return clean(found)


@pytest.mark.parametrize("name", FIGURES)
def test_the_figure_is_as_it_was_agreed(name: str) -> None:
    path, found = GOLDEN / f"{name}.json", specification(FIGURES[name]())
    if os.environ.get("GRADSCOPE_OVERWRITE"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(found, indent=1, sort_keys=True, ensure_ascii=False) + "\n")
    assert found == json.loads(path.read_text()), (
        "the figure changed; look at it, then renew with GRADSCOPE_OVERWRITE=1"
    )


@pytest.mark.parametrize("name", [n for n in FIGURES if not n.endswith("_empty")])
def test_every_axis_has_a_title_and_every_figure_a_tooltip(name: str) -> None:
    text = json.dumps(specification(FIGURES[name]()))
    whole = FIGURES[name]().to_dict()
    unit = whole.get("spec", whole)
    layers = unit.get("layer") or [unit]
    axes = [e["axis"] for layer in layers for k, e in layer["encoding"].items() if k in {"x", "y"} and "axis" in e]
    assert axes
    assert all(axis["title"] for axis in axes)
    assert '"tooltip"' in text


def drawn(chart: alt.TopLevelMixin, layer: int) -> pd.DataFrame:
    own = chart.layer[layer].data
    return chart.data if own is alt.Undefined else own  # Altair lifts what all layers share


def test_a_zero_and_a_nan_stand_on_lines_below_the_axis() -> None:
    chart = gradient_decay(BROKEN, RUNS)
    special = drawn(chart, -1).set_index("mark")
    assert special["at"].to_dict() == pytest.approx({"exactly zero": -3.4, "not finite": -3.8})
    points = drawn(chart, 3)
    assert points["at"].tolist() == pytest.approx([-3.0, -2.0, -2.0, 0.0])


def test_the_band_is_a_factor_of_ten_around_the_output_layer() -> None:
    band = drawn(gradient_decay(HEALTHY, RUNS, span=(-6, 0)), 0)
    assert (band["at"][0], band["upper"][0]) == pytest.approx((-3.0, -1.0))


def test_an_interval_is_a_deviation_to_both_sides_and_what_is_unknown_has_no_mark() -> None:
    chart = reproduction(REPRODUCED, SEEDS, "A paper")
    assert drawn(chart, 0)[["low", "high"]].to_numpy().tolist() == [[pytest.approx(0.68), pytest.approx(0.72)]]
    assert drawn(chart, 2)[["title", "accuracy"]].to_numpy().tolist() == [["a", 0.7], ["a", 0.8]]


def test_colours_of_the_map_of_scales_end_at_six_decades() -> None:
    assert SCALES["colour"].tolist() == [-6.0, 0.2, 6.0]
    assert SCALES["text"].tolist() == ["-9.0", "+0.2", "beyond 300"]


def test_the_fitted_line_goes_from_the_first_layer_to_the_last_of_its_run() -> None:
    straight = statistics({1: [1e-4, 1e-3, 1e-2], 2: [1e-2, np.nan, 0.0]})
    for relative, depths in ((False, [0, 2]), (True, [0, 1])):
        chart = gradient_decay(straight, RUNS, relative=relative)
        fits = drawn(chart, 1)
        assert fits["run"].tolist() == [1, 1]
        assert fits["depth" if relative else "layer"].tolist() == depths
        assert fits["at"].tolist() == pytest.approx([-4, -2])
    points = drawn(chart, 3)
    assert points[["run", "fit"]].drop_duplicates().to_numpy().tolist() == [
        [1, "\N{MULTIPLICATION SIGN}0.100 a layer"],
        [2, "—"],
    ]


def test_layers_that_no_two_runs_name_differently_are_named_on_the_axis() -> None:
    names = ["hidden.0.layer", "hidden.1.layer", "an_output_of_many_letters"]
    chart = gradient_decay(HEALTHY.assign(name=names * 2), RUNS)
    axis = chart.layer[2].to_dict()["encoding"]["x"]["axis"]
    assert axis["labelExpr"] == """{'0': "hidden.0", '1': "hidden.1", '2': "an_output_of_…"}[datum.value]"""


def test_a_cell_of_the_map_lasts_until_the_next_record() -> None:
    cells = drawn(layer_map(MAP), 0)
    assert cells.loc[cells["layer"] == 1, "until"].tolist() == [1, 10, 19]


def test_many_histograms_are_thinned_to_what_a_browser_draws() -> None:
    steps = np.arange(2000)
    counts = np.repeat(COUNTS[:1], 2000, axis=0)
    assert len(drawn(histogram_map(steps, counts), 0)) <= 6000


def test_shares_of_a_histogram_sum_to_one() -> None:
    assert drawn(histogram_map(STEPS, COUNTS), 0).groupby("step")["share"].sum().tolist() == pytest.approx([1, 1, 1])


def test_the_first_value_that_is_not_finite_is_marked_where_the_curve_was_last_seen() -> None:
    broken = drawn(learning_curve(METRICS, RUNS, what="loss"), -1)
    assert broken[["run", "name", "step", "seen"]].to_numpy().tolist() == [
        [2, "train_loss", 20, 1.0],
        [2, "val_loss", 20, 1.0],
    ]


def losses(*values: float) -> pd.DataFrame:
    steps = list(range(len(values)))
    return (
        METRICS.head(1)
        .drop(columns=["step", "value", "smooth"])
        .merge(pd.DataFrame({"step": steps, "value": values, "smooth": values}), how="cross")
    )


def test_a_loss_that_exploded_leaves_the_axis_to_the_other_runs_and_is_counted() -> None:
    calm, gone = losses(2.5, 3.0, 1.0).assign(run=1), losses(2.0, 9.0, 1e5, 1e11).assign(run=2)
    spec = learning_curve(pd.concat([calm, gone]), RUNS, what="loss").to_dict()
    assert spec["layer"][1]["encoding"]["y"]["scale"] == {"domainMax": 4.0, "nice": False, "zero": False}
    assert spec["title"]["subtitle"] == "3 points of tanh #2 lie above, up to 1·10¹¹"
    marks = pd.DataFrame(spec["datasets"][spec["layer"][-1]["data"]["name"]])
    assert marks[["run", "step", "seen", "mark"]].to_numpy().tolist() == [[2, 1, 4.0, "above the axis"]]


def test_where_every_loss_exploded_the_axis_is_logarithmic_and_nothing_is_cut() -> None:
    spec = learning_curve(losses(2.0, 9.0, 1e5, 1e11).assign(run=2), RUNS, what="loss").to_dict()
    assert spec["layer"][1]["encoding"]["y"]["scale"] == {"type": "log"}
    assert "subtitle" not in spec["title"]


def test_a_loss_that_overfits_and_a_learning_rate_that_warms_up_are_drawn_whole() -> None:
    for what, curve in (("loss", losses(2.0, 0.1, 9.0)), ("learning rate", losses(1e-5, 1e-2).assign(name="lr"))):
        spec = learning_curve(curve.assign(run=2), RUNS, what=what).to_dict()
        assert spec["layer"][1]["encoding"]["y"]["scale"] == {"zero": False}


def test_two_runs_of_one_colour_have_markers_on_their_training_lines_too() -> None:
    twins = styles({2: "a", 12: "b"})
    curves = pd.concat([losses(*range(40)).assign(run=run) for run in twins])
    spec = learning_curve(curves, twins).to_dict()
    points = pd.DataFrame(spec["datasets"][spec["layer"][-1]["data"]["name"]])
    assert points["run"].value_counts().to_dict() == {2: 8, 12: 8}
    assert spec["layer"][-1]["encoding"]["shape"]["scale"]["range"] == ["square", "triangle-down"]
    legend = spec["layer"][1]["encoding"]["color"]["legend"]["symbolType"]["expr"]
    assert legend == '{"a": "M-1,0H1M-.25,-.25H.25V.25H-.25Z", "b": "M-1,0H1M0,.3L.3,-.25H-.3Z"}[datum.value]'
    alone = learning_curve(curves, {2: twins[2]}).to_dict()
    assert len(alone["layer"]) == len(spec["layer"]) - 1
    assert alone["layer"][1]["encoding"]["color"]["legend"]["symbolType"] == "stroke"


def test_an_axis_of_accuracy_holds_every_band_and_published_point_in_tenths() -> None:
    assert span(ROBUST, "accuracy") == pytest.approx((0.4, 0.9))
    assert span(ROBUST[ROBUST["level"] == 1], "accuracy", PUBLISHED) == pytest.approx((0.4, 0.9))
    assert span(ROBUST.head(0), "accuracy") == (0.0, 1.0)


def test_small_multiples_have_a_panel_a_kind_in_the_order_asked_for_on_one_scale() -> None:
    chart = small_multiples(ROBUST, RUNS, ["fog", "jpeg", "gaussian_noise"], family="corruptions", title="Both")
    found = chart.to_dict()
    assert found["facet"]["sort"] == ["Fog", "Gaussian noise"]
    assert found["title"]["text"] == "Both: test accuracy"
    layers = found["spec"]["layer"]
    assert all("data" not in layer for layer in layers), "a layer with data of its own would be drawn in every panel"
    assert {tuple(layer["encoding"]["y"]["scale"]["domain"]) for layer in layers} == {span(ROBUST, "accuracy")}
    assert layers[0]["encoding"]["x"]["axis"]["title"] == "severity"


def test_classes_are_rows_in_their_order_with_a_panel_a_run_and_blank_where_unknown() -> None:
    rows = [(run, name, 0.5, a) for run in (2, 1) for name, a in (("dog", 0.25), ("cat", np.nan))]
    chart = class_map(pd.DataFrame(rows, columns=["run", "class", "level", "accuracy"]), RUNS, "fog", family="noise")
    found = chart.to_dict()
    assert found["facet"]["sort"][:2] == ["sigmoid", "tanh #2"]
    assert found["spec"]["encoding"]["y"]["sort"] == ["dog", "cat"]
    assert found["spec"]["encoding"]["color"]["scale"] == {"domain": [0, 1], "scheme": "viridis"}
    assert [row["accuracy"] for row in next(iter(found["datasets"].values()))] == [0.25, None] * 2


def test_an_axis_of_differences_holds_zero_and_a_decade_to_both_sides() -> None:
    y = decay_difference(DIFFERENCE, RUNS, "sigmoid").to_dict()["layer"][1]["encoding"]["y"]
    assert y["scale"]["domain"] == [-1.0, pytest.approx(2 * 1.05)]


def test_the_band_of_a_pooled_run_ends_at_the_axis() -> None:
    spec = gradient_decay(POOLED, RUNS).to_dict()
    bands = [layer for layer in spec["layer"] if layer["mark"]["type"] == "area"]
    rows = spec["datasets"][bands[0]["data"]["name"]]
    assert [(row["run"], round(row["at"], 2)) for row in rows] == [(1, -4.0), (1, -3.3), (1, -2.3)]
    assert not [layer for layer in gradient_decay(HEALTHY, RUNS).to_dict()["layer"] if layer["mark"]["type"] == "area"]


def test_a_share_beyond_the_edge_is_drawn_at_it_and_told_as_it_is() -> None:
    spec = term_shares(SHARES, RUNS).to_dict()
    rows = next(iter(spec["datasets"].values()))
    assert [(row["at"], row["share"]) for row in rows] == [(1.5, 4.0), (-1.5, -3.0), (1.0, 1.0), (0.0, 0.0)]
