import json
import re

import pandas as pd
import pytest

from gradscope.exchange.html_report import Drawing, Table, Words, html_report
from gradscope.figures.comparison import decay_difference
from gradscope.figures.style import Figure, styles

NASTY = "a </script><b>bold</b> & run"


@pytest.fixture(scope="module")
def figure() -> Figure:
    rows = {"run": 2, "layer": [0, 1], "name": ["fc1", "fc2"], "depth": [0.0, 1.0], "rms": 1e-3, "reference": 1e-2}
    frame = pd.DataFrame(rows).assign(decades=[-1.0, 0.5])
    return decay_difference(frame, styles({2: NASTY}), "tanh")


def test_a_report_holds_its_figures_with_their_data_and_names_no_other_place(figure: Figure) -> None:
    written = html_report("Runs", [Words(text="Two runs."), Drawing(figure=figure), Drawing(figure=figure)])
    told = re.findall(r'<script type="application/json" data-of="figure-\d">(.*?)</script>', written)
    assert len(told) == 2
    specification = json.loads(told[0])
    assert specification["width"] == "container"
    assert [row["decades"] for data in specification["datasets"].values() for row in data if "label" in row] == [
        -1.0,
        0.5,
    ]
    assert not re.search(r"""(src|href)=["']""", written.split("<script>")[0])
    assert written.count("vegaEmbed=") == 1


def test_names_are_text_and_never_markup(figure: Figure) -> None:
    table = Table(title=NASTY, frame=pd.DataFrame({"run": [NASTY], "n": [1.5], "gap": [None]}))
    written = html_report(NASTY, [Words(text=NASTY), table, Drawing(figure=figure)])
    assert "<b>bold</b>" not in written
    assert "a &lt;/script&gt;&lt;b&gt;bold" in written
    assert json.loads(re.findall(r'data-of="figure-2">(.*?)</script>', written)[0])


def test_a_report_without_figures_is_small() -> None:
    assert len(html_report("Nothing", [Words(text="No run.")])) < 2000
