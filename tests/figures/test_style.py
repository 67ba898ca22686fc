import doctest
import re

import altair as alt
import numpy as np
import pandas as pd
import pytest
import vl_convert

from gradscope.figures import style


def test_a_run_looks_the_same_whatever_stands_beside_it() -> None:
    assert style.styles({3: "a", 7: "b"})[7] == style.styles({7: "b", 8: "c"})[7]


def test_runs_of_one_name_are_told_apart_by_their_id() -> None:
    assert [s.label for s in style.styles({1: "tanh", 2: "relu", 3: "tanh"}).values()] == ["tanh #1", "relu", "tanh #3"]


def test_forty_runs_differ_in_colour_or_dash() -> None:
    looks = style.styles({i: str(i) for i in range(1, 41)}).values()
    assert len({(s.colour, s.dash) for s in looks}) == 40
    assert len({(s.colour, s.shape) for s in looks}) == 40


def test_the_legend_shows_a_piece_of_the_line_so_that_runs_of_one_colour_are_told_apart() -> None:
    looks = style.styles({4: "a", 14: "b"})
    colour, dash = (channel(looks).to_dict() for channel in (style.run_colour, style.run_dash))
    assert colour["scale"]["range"][0] == colour["scale"]["range"][1]
    assert dash["scale"]["range"] == [[1, 0], [6, 3]]
    assert colour["legend"] == dash["legend"]
    assert dash["legend"]["symbolType"] == "stroke"


@pytest.mark.parametrize("width", [290, 450, 910])
@pytest.mark.parametrize("channel", [style.run_colour, style.marked_colour, style.line_and_marker_colour])
def test_the_legend_of_runs_stays_within_the_figure_and_cuts_a_name_only_where_it_must(width: int, channel) -> None:
    names = ["tanh-pn dual, seed 3", "kd-hinton, teacher of three", "sigmoid, ReLU instead", "resnet-20, shortcuts"]
    points = pd.DataFrame({"x": [0, 1, 2, 3], "label": names})
    lines = alt.Chart(points).mark_line().encode(x="x:Q", y="x:Q", color=channel(style.styles(dict(enumerate(names)))))
    figure = style.finished(lines, "", 200).properties(width=width, autosize={"type": "fit", "contains": "padding"})
    svg = vl_convert.vegalite_to_svg(figure.to_dict())
    plot, legend = (
        float(re.search(rf'role-{part}.*?class="background"[^>]*d="M[^h]*h([\d.]+)', svg, re.S)[1])
        for part in ("frame", "legend")
    )
    assert 0 < legend <= plot
    assert ("…" in svg) is (width == 290)


def linear(colour: str) -> np.ndarray:
    c = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    return np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)


def oklab(rgb: np.ndarray) -> np.ndarray:
    """Ottosson (2020)."""
    lms = np.array([[0.4122, 0.5363, 0.0514], [0.2119, 0.6807, 0.1074], [0.0883, 0.2817, 0.6300]]) @ rgb
    m = np.array([[0.2105, 0.7936, -0.0041], [1.9780, -2.4286, 0.4506], [0.0259, 0.7828, -0.8087]])
    return m @ np.cbrt(lms)


# Machado, Oliveira & Fernandes (2009), severity 1
SIGHTS = {
    "usual": np.eye(3),
    "deuteranopia": np.array([[0.3673, 0.8606, -0.2280], [0.2801, 0.6725, 0.0474], [-0.0118, 0.0429, 0.9689]]),
    "protanopia": np.array([[0.1523, 1.0526, -0.2049], [0.1145, 0.7863, 0.0992], [-0.0039, -0.0481, 1.0520]]),
    "tritanopia": np.array([[1.2555, -0.0767, -0.1788], [-0.0784, 0.9308, 0.1476], [0.0047, 0.6914, 0.3039]]),
}


def test_all_colours_stay_apart_for_every_kind_of_sight() -> None:
    for sight in SIGHTS.values():
        seen = np.array([oklab(np.clip(sight @ linear(c), 0, 1)) for c in style.PALETTE])
        distance = np.linalg.norm(seen[:, None] - seen[None], axis=-1) + np.eye(10)
        assert distance.min() > 0.055


def test_all_colours_stand_out_on_white_and_on_near_black() -> None:
    weights = np.array([0.2126, 0.7152, 0.0722])
    dark = linear("#0e1117") @ weights
    for colour in style.PALETTE:
        light = linear(colour) @ weights
        assert 1.05 / (light + 0.05) > 1.9
        assert (light + 0.05) / (dark + 0.05) > 2.9


def test_ticks_are_whole_powers() -> None:
    assert doctest.testmod(style).failed == 0
    assert style.ticks(0.2, 0.8) == []


def test_the_axis_of_nothing_is_still_an_axis() -> None:
    nothing = pd.DataFrame({"n": [], "rms": [], "nan": [], "pos_inf": [], "neg_inf": []})
    assert style.log_span([nothing]) == (-4, 0)
    assert style.log_span([nothing.reindex([0]).assign(n=1, rms=1.0, nan=0, pos_inf=0, neg_inf=0)]) == (0, 1)


def test_a_legend_of_lines_and_markers_has_a_picture_of_every_marker() -> None:
    looks = style.styles({i: str(i) for i in range(1, 8)})
    assert {look.shape for look in looks.values()} == set(style.SHAPES)
    pictures = style.line_and_marker_colour(looks).to_dict()["legend"]["symbolType"]["expr"]
    assert pictures.count("M-1,0H1M") == 7
