"""The tree of a cure: a line a run, and who came of whom."""

import math

import pandas as pd

from gradscope.figures.cure_tree import CRITICAL_RUN, FAILED, HEALTHY_RUN, cure_tree

TRIED = pd.DataFrame(
    {
        "place": [0, 1, 3, 2],
        "parent": [math.nan, 0, 1, 0],
        "depth": [0, 1, 2, 1],
        "run": [1, 2, 4, 3],
        "remedy": ["as it was", "ReLU", "Adam", "norms"],
        "state": [CRITICAL_RUN, HEALTHY_RUN, HEALTHY_RUN, FAILED],
        "said": ["vanishing gradient", "healthy", "healthy", "failed"],
        "accuracy": [0.1, 0.9, 0.95, math.nan],
        "wins": [False, False, True, False],
    }
)


def drawn(tried: pd.DataFrame) -> dict:
    return cure_tree(tried).to_dict(format="vega")


def data(tried: pd.DataFrame, column: str) -> list[list[dict]]:
    sets = cure_tree(tried).to_dict()["datasets"].values()
    return sorted((rows for rows in sets if rows and column in rows[0]), key=len, reverse=True)


def test_each_run_has_a_line_below_its_parent_with_what_came_of_it() -> None:
    lines = data(TRIED, "text")[0]
    assert [line["text"] for line in lines] == [
        "as it was: vanishing gradient, validation 10.0%",
        "ReLU: healthy, validation 90.0%",
        "Adam: healthy, validation 95.0%",
        "norms: failed",
    ]
    assert [line["row"] for line in lines] == [0, -1, -2, -3]
    assert [line["sign"] for line in lines] == ["✕", "✓", "✓", "-"]
    joints = {row["run"]: (row["from_x"], row["from_row"]) for row in data(TRIED, "from_x")[0]}
    assert joints == {2: (0.0, 0), 4: (0.05, -1), 3: (0.0, 0)}
    assert "marks" in drawn(TRIED)


def test_it_is_as_high_as_its_lines() -> None:
    assert cure_tree(TRIED).to_dict()["height"] - cure_tree(TRIED.head(1)).to_dict()["height"] == 3 * 30


def test_no_cure_is_no_tree() -> None:
    assert "marks" in drawn(TRIED.head(0))
