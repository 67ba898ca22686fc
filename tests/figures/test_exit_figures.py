"""Figures of elastic networks: what is drawn of which rows, and what is drawn of none."""

import pandas as pd
import pytest

from gradscope.figures.exits import COSTS, EXIT, PLAIN, SURE, exit_curves, exit_map, leaving, trade_off
from gradscope.figures.export import as_svg
from gradscope.figures.style import styles

RUNS = styles({1: "elastic", 2: "plain"})
EXITS = pd.DataFrame(
    {
        "run": [1, 1, 2],
        "exit": [1, 2, 1],
        "point": ["blocks.0", None, None],
        "accuracy": [0.5, 0.9, 0.7],
        "calibration_error": 0.1,
        "macs": [100, 200, 150],
        "parameters": [10, 30, 20],
        "milliseconds": [0.1, 0.3, 0.2],
    }
)
SWEEPS = pd.DataFrame(
    {"run": 1, "rule": ["confidence", "entropy"], "threshold": 0.5, "accuracy": 0.8, "macs": 160.5, "milliseconds": 0.2}
)


def rows(figure) -> list[dict]:
    return [row for data in figure.to_dict()["datasets"].values() for row in data]


@pytest.mark.parametrize("cost", COSTS)
def test_exits_are_points_on_a_line_and_plain_networks_diamonds(cost) -> None:
    drawn = rows(trade_off(EXITS, SWEEPS, RUNS, cost=cost))
    marks = [(row["label"], row["mark"]) for row in drawn if "mark" in row]
    expected = [("elastic", EXIT)] * 2 + [("plain", PLAIN)]
    # leaving when sure has no number of parameters
    assert sorted(marks) == sorted(expected + ([] if cost == "parameters" else [("elastic", SURE)]))


def test_only_the_chosen_rule_is_drawn() -> None:
    drawn = rows(trade_off(EXITS, SWEEPS, RUNS, rule="entropy"))
    assert {row["rule"] for row in drawn if row.get("mark") == SURE} == {"entropy"}


def test_every_exit_has_a_curve() -> None:
    curves = pd.DataFrame(
        {"exit": [1, 1, 2, 2], "epoch": [1.0, 2.0] * 2, "step": [3, 7] * 2, "value": [0.1, 0.2, 0.3, None]}
    )
    found = rows(exit_curves(curves, "accuracy"))
    assert sorted((row["exit"], row["epoch"]) for row in found) == [(1, 1.0), (1, 2.0), (2, 1.0)]


def test_shares_below_zero_are_kept() -> None:
    frame = pd.DataFrame({"exit": [1.0, 2.0], "layer": 0, "name": "conv", "share": [-0.2, 1.2]})
    assert sorted(row["share"] for row in rows(exit_map(frame, "share", "t"))) == [-0.2, 1.2]


def test_an_exit_where_nobody_leaves_has_no_mark() -> None:
    frame = pd.DataFrame(
        {"exit": [1, 2], "pictures": [4, 0], "share": [1.0, 0.0], "accuracy": [0.5, None], "last": [0.75, None]}
    )
    values = [row["value"] for row in rows(leaving(frame)) if "value" in row]
    assert sorted(values) == [0.5, 0.75]


def test_with_nothing_to_show_every_figure_says_so() -> None:
    none = pd.DataFrame(
        {name: [] for name in ("exit", "epoch", "step", "value", "layer", "name", "share", "run", "rule")}
    )
    for figure in (
        trade_off(EXITS.iloc[:0], SWEEPS, RUNS),
        exit_curves(none, "loss"),
        exit_map(none, "share", "t"),
        leaving(none),
    ):
        assert [row["text"] for row in rows(figure)] == ["nothing recorded"]


def test_a_figure_can_be_taken_away() -> None:
    assert "elastic" in as_svg(trade_off(EXITS, SWEEPS, RUNS))
