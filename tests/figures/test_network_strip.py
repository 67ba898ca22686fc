from typing import Any

import pandas as pd
import pytest

from gradscope.analysis.findings.finding import Evidence, Finding, Page, Severity
from gradscope.figures.network_strip import network_strip


def strip(n_weights: list[int], steps: tuple[int, ...] = (0, 10)) -> pd.DataFrame:
    rows = [(step, i, f"fc{i}", n, "healthy", "") for step in steps for i, n in enumerate(n_weights)]
    return pd.DataFrame(rows, columns=["step", "layer", "name", "n_weights", "health", "why"])


def drawn(health: pd.DataFrame, **told: Any) -> pd.DataFrame:
    """The cells of the figure."""
    specification = network_strip(health, **told).to_dict()
    name = specification["layer"][0]["data"]["name"]
    return pd.DataFrame(specification["datasets"][name])


def test_layers_are_as_wide_as_their_share_of_the_parameters() -> None:
    cells = drawn(strip([600, 300, 100])).drop_duplicates("layer")
    assert (cells["right"] - cells["left"]).tolist() == pytest.approx([0.6, 0.3, 0.1])
    assert (cells["left"].iloc[0], cells["right"].iloc[-1]) == (0, pytest.approx(1))


def test_a_tiny_layer_is_wide_enough_to_be_seen() -> None:
    cells = drawn(strip([1_000_000, 10])).drop_duplicates("layer")
    assert cells["right"].iloc[1] - cells["left"].iloc[1] > 0.1


def test_each_record_lasts_until_the_next_and_the_last_is_shown_again_as_now() -> None:
    cells = drawn(strip([1, 1], steps=(0, 4, 10)))
    first = cells[cells["layer"] == 0].sort_values("at")
    assert first["at"].tolist()[:3] == [0, 4, 10]
    assert first["until"].tolist()[:3] == [4, 10, 15]
    assert first["step"].tolist() == [0, 4, 10, 10]


def test_the_band_of_now_says_what_the_findings_say_even_of_a_step_after_the_last_record() -> None:
    evidence = Evidence(page=Page.LAYERS)
    found = [
        Finding(
            name=name, severity=severity, text="", layers=layers, since=11, until=until, confidence=1, evidence=evidence
        )
        for name, severity, layers, until in (
            ("nonfinite", Severity.CRITICAL, (1,), None),
            ("large_update", Severity.WARNING, (0, 1), None),
            ("dead_units", Severity.CRITICAL, (2,), 5),
        )
    ]
    cells = drawn(strip([1, 1, 1]), findings=found)
    now = cells[cells["step"] == 11].sort_values("layer")
    assert now[["health", "why", "sign"]].to_numpy().tolist() == [
        ["warning", "large update", "!"],
        ["critical", "nonfinite, large update", "✕"],
        ["healthy", "nothing found", "✓"],
    ]
    assert set(cells.loc[cells["step"] < 11, "health"]) == {"healthy"}, "what was known then stays"
