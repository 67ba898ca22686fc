import io

import pandas as pd
import pytest
from PIL import Image

from gradscope.figures.decay import gradient_decay
from gradscope.figures.export import as_parquet, as_png, as_svg, numbers
from gradscope.figures.style import Figure, empty, styles


@pytest.fixture(scope="module")
def figure() -> Figure:
    rows = {"run": 1, "step": 5, "layer": [0, 1], "name": ["fc1", "fc2"], "depth": [0.0, 1.0], "rms": [1e-4, 1e-2]}
    counts = {"n": 9, "zeros": 0, "nan": 0, "pos_inf": 0, "neg_inf": 0, "max_abs": 1.0}
    return gradient_decay(pd.DataFrame(rows | counts), styles({1: "sigmoid"}))


def test_a_picture_is_on_white_and_as_wide_as_a_page(figure: Figure) -> None:
    picture = Image.open(io.BytesIO(as_png(figure)))
    assert picture.width > 2 * 860
    assert picture.convert("RGB").getpixel((0, 0)) == (255, 255, 255)


def test_a_drawing_is_svg_with_its_words_as_text(figure: Figure) -> None:
    drawing = as_svg(figure)
    assert drawing.startswith("<svg")
    assert "RMS of dL/dW" in drawing
    assert "sigmoid" in drawing


def test_the_numbers_are_those_of_the_largest_layer(figure: Figure) -> None:
    assert numbers(figure)["rms"].tolist() == [1e-4, 1e-2]
    assert numbers(empty("nothing"))["text"].tolist() == ["nothing recorded"]


def test_the_numbers_keep_their_types_as_parquet(figure: Figure) -> None:
    there = numbers(figure)
    back = pd.read_parquet(io.BytesIO(as_parquet(there)))
    pd.testing.assert_frame_equal(back, there.reset_index(drop=True), check_dtype=False)
    assert back["rms"].dtype == "float64"


def test_a_column_of_several_types_is_written_as_text() -> None:
    mixed = pd.DataFrame({"value": [1, "two", None], "runs": [(1, 2), (3,), ()], "n": [1, 2, 3]})
    back = pd.read_parquet(io.BytesIO(as_parquet(mixed)))
    assert back["value"].tolist()[:2] == ["1", "two"]
    assert back["runs"].tolist()[0] == "(1, 2)"
    assert back["n"].tolist() == [1, 2, 3]
