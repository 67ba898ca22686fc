import base64
import io
import json

import altair as alt
import attributed
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from gradscope.config.attributions import IntegratedGradients, Occlusion
from gradscope.config.explaining import Explain, ImageSet
from gradscope.figures.attribution_maps import Grid, head, map_grid, scales, shown_places
from gradscope.figures.attribution_pixels import (
    AGAINST,
    FOR,
    address,
    enlarged,
    full_colour,
    overlay,
    picture,
    scale_bar,
)
from gradscope.figures.attribution_scores import ends, score_dots
from gradscope.figures.style import styles
from gradscope.overview import Overview, overview
from gradscope.records import Status
from gradscope.store import open_store, write

LOOKS = styles({1: "tanh-pn", 2: "relu"})
IG, OCCLUSION = IntegratedGradients().model_dump_json(), Occlusion().model_dump_json()
WANTED = Explain(methods=(IntegratedGradients(), Occlusion()), images=ImageSet(n=6))
GREY = np.full((1, 1, 3), 100, np.uint8)
VALUES = np.array([[1.0, -1.0, 0.0]])


@pytest.fixture(scope="module")
def found(tmp_path_factory) -> Overview:
    store = open_store(tmp_path_factory.mktemp("drawn") / "runs.db", create=True)
    for name in ("tanh-pn", "relu"):
        run = write.create_run(store, name=name, source="train", config={}, status=Status.COMPLETED)
        attributed.explain(store, run, checks=True)
    attributed.explain(store, 2, Occlusion(), places=attributed.default_places(4))
    yield overview(store, [1, 2], WANTED)
    store.close()


def layers(chart: alt.TopLevelMixin) -> list[pd.DataFrame]:
    return [chart.data if layer.data is alt.Undefined else layer.data for layer in chart.layer]


def test_orange_is_for_the_class_blue_against_it_and_nothing_lets_the_ground_through():
    drawn = overlay(GREY, VALUES, full=1.0, strength=1.0)
    assert drawn[0].tolist() == [[*FOR, 255], [*AGAINST, 255], [0, 0, 0, 0]]


def test_without_strength_the_picture_is_alone_and_in_between_it_shines_through():
    assert overlay(GREY, VALUES, full=1.0, strength=0.0)[0].tolist() == [[100, 100, 100, 255]] * 3
    half = overlay(GREY, VALUES / 2, full=1.0, strength=0.5)[0]
    assert half[0].tolist() == [round((c + 100) / 2) for c in FOR] + [255]
    assert half[2].tolist() == [100, 100, 100, 255]


def test_full_colour_is_not_set_by_one_outlier_and_never_zero():
    values = np.ones((100, 100))
    values[0, 0] = 1000
    assert full_colour([values]) == 1
    assert full_colour([np.zeros((2, 2))]) == 1
    assert full_colour([]) == 1


def test_pictures_are_enlarged_without_blur_and_sent_as_png():
    rgb = picture(np.array([[[10, 200]]], np.uint8))
    assert rgb.tolist() == [[[10, 10, 10], [200, 200, 200]]]
    large = enlarged(rgb, 6)
    assert large.shape == (3, 6, 3)
    data = base64.b64decode(address(large).removeprefix("data:image/png;base64,"))
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(data))), large)


def test_the_scale_goes_from_against_to_for():
    bar = scale_bar(101, 2)
    assert bar[0, 0].tolist() == [*AGAINST, 255]
    assert bar[0, 50, 3] == 0
    assert bar[1, 100].tolist() == [*FOR, 255]


def test_one_scale_holds_for_all_maps_of_a_method_and_its_own_for_each(found):
    one, own = scales(found, each=False), scales(found, each=True)
    assert len({value for (cell, _), value in one.items() if cell[1] == IG}) == 1
    assert len({value for (cell, _), value in own.items() if cell[1] == IG}) == 12
    assert len(one) == 6 + 6 + 4


def test_the_grid_has_a_row_a_picture_and_a_column_a_run_and_method(found):
    cells = [(1, IG), (2, IG), (2, OCCLUSION)]
    grid = Grid.fitting(cells, 600)
    chart = map_grid(found, grid, full=scales(found, each=False), strength=0.8, picked=((2, IG), found.places[1]))
    pictures, maps, words, frame = layers(chart)
    assert len(pictures) == 6
    assert maps.groupby("column").size().to_dict() == {0: 6, 1: 6, 2: 4}
    assert (grid.side, grid.width) == (96, 4 * 104)
    assert maps["y"].nunique() == 6
    assert frame[["x", "y"]].iloc[0].tolist() == [grid.x(2), grid.y(1)]
    answers = found.answers[1]
    first = found.places[0]
    guess = answers.probabilities[first].argmax()
    sign = "✓" if guess == answers.labels[first] else "✕"
    assert words["text"].tolist()[:2] == [found.classes[answers.labels[first]], f"{sign} {found.classes[guess]} 80%"]
    assert '"pick"' in json.dumps(chart.to_dict())


def test_many_columns_have_smaller_pictures(found):
    assert [Grid.fitting([(i, IG) for i in range(n)], 590).side for n in (1, 5, 6, 9)] == [96, 80, 64, 48]
    assert Grid.fitting([(i, IG) for i in range(9)], 590).width <= 590


def test_the_head_names_run_and_method_in_the_runs_colour(found):
    names = layers(head(found, Grid.fitting([(1, IG), (2, OCCLUSION)], 600), LOOKS))[0]
    assert names["run"].tolist() == ["tanh-pn", "relu"]
    assert names["method"].tolist() == ["Integrated gradients", "Occlusion"]
    assert names["colour"].tolist() == [LOOKS[1].colour, LOOKS[2].colour]


def test_only_pictures_with_a_map_have_a_row(found):
    assert shown_places(found) == list(found.places)


def test_dots_stand_at_the_means_with_their_intervals(found):
    own = found.summary[found.summary["method"] == IG]
    scores = ("contour", "margin")
    chart = score_dots(own, LOOKS, scores, title="IG", axis="share", span=ends(own, scores))
    rows = layers(chart)[2]
    assert rows[["label", "what"]].to_numpy().tolist() == [
        ["tanh-pn", "on contours"],
        ["tanh-pn", "at the margin"],
        ["relu", "on contours"],
        ["relu", "at the margin"],
    ]
    assert ((rows["low"] <= rows["mean"]) & (rows["mean"] <= rows["high"])).all()
    low, high = ends(own, scores)
    assert (low, high) == (0.0, float(rows[["high", "even"]].max().max()))


def test_an_axis_reaches_below_zero_only_where_an_interval_does(found):
    assert ends(found.summary, ["sanity"])[0] < 0
    assert ends(found.summary.head(0), ["sanity"]) == (0.0, 1.0)
    text = json.dumps(score_dots(found.summary.head(0), LOOKS, ["contour"], title="T", axis="", span=(0, 1)).to_dict())
    assert "nothing recorded" in text
