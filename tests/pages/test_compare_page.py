import json
from collections.abc import Callable
from dataclasses import replace

import pandas as pd
import pytest
from stores import STORIES, add, fill
from streamlit.testing.v1 import AppTest

from gradscope.records import Batch, Results, TermGradient
from gradscope.store import Store, write

Page = Callable[..., AppTest]
BY_NAME = {story.name: story for story in STORIES}
FEW = [0, 1, 2, 10]


def titles(test: AppTest) -> list[str]:
    return [json.loads(chart.proto.spec)["title"]["text"] for chart in test.get("vega_lite_chart")]


OF_TABLE = {"results": "n", "compare_settings": "setting", "distances": "median magnitude"}
"""A column that no other table of the page has."""


def table(test: AppTest, name: str) -> pd.DataFrame:
    assert not test.exception
    return next(frame.value for frame in test.dataframe if OF_TABLE[name] in frame.value)


@pytest.fixture
def seeds(store: Store) -> Store:
    """Two runs of one setting, two seeds, and one of another."""
    for seed, accuracy in ((0, 0.90), (1, 0.94)):
        story = replace(BY_NAME["tanh"], name=f"tanh seed={seed}", changed={"train.seed": seed})
        write.results(store, add(store, story, FEW), Results(test_accuracy=accuracy, best_val_accuracy=accuracy))
    add(store, BY_NAME["tanh-pn"], FEW)
    return store


def test_runs_of_other_seeds_are_one_row_with_their_interval(seeds: Store, page: Page) -> None:
    found = table(page("Compare"), "results")
    assert found["run"].tolist() == ["tanh, 2 seeds", "tanh-pn"]
    assert found["n"].tolist() == [2, 1]
    pooled = found.iloc[0]
    assert pooled[["test", "from", "to"]].tolist() == pytest.approx([92.0, 66.6, 100.0], abs=0.05)
    assert pooled["± test"] == pytest.approx(2.83, abs=0.01)


def test_each_seed_has_a_row_of_its_own_on_demand(seeds: Store, page: Page) -> None:
    test = page("Compare")
    test.toggle(key="pool_seeds").set_value(False).run()
    assert table(test, "results")["run"].tolist() == ["tanh seed=0", "tanh seed=1", "tanh-pn"]
    assert "train.seed" in table(test, "compare_settings")["setting"].tolist()


def test_settings_that_are_equal_are_hidden(seeds: Store, page: Page) -> None:
    test = page("Compare")
    hidden = table(test, "compare_settings")["setting"].tolist()
    assert "methods.pseudo_norm" in hidden
    assert not {"data", "train.seed"} & set(hidden)
    test.toggle(key="hide").set_value(False).run()
    assert "data" in table(test, "compare_settings")["setting"].tolist()


def test_the_address_says_what_is_subtracted_from_what_and_when(seeds: Store, page: Page) -> None:
    test = page("Compare", runs=["1", "3"], values="signal", less="3 tanh-pn", align="layer index", compared_at="2")
    assert not test.exception
    assert titles(test) == [
        "Signal against depth",
        "Accuracy",
        "Signal less that of tanh-pn",
        "Magnitudes of the signal of fc1",
    ]
    assert "decades from tanh-pn" in table(test, "distances")
    assert test.select_slider(key="compared_at").value == 2


def test_one_layer_s_magnitudes_are_so_many_decades_apart(store: Store, page: Page) -> None:
    for factor in (1.0, 0.1):
        add(store, replace(BY_NAME["relu"], name=f"factor {factor}", factor=factor, changed={"train.seed": 1}), [0])
    test = page("Compare", layer_name="fc9", pool_seeds="false")
    apart = table(test, "distances")
    assert apart["decades from factor 1.0"].tolist()[0] == "0.00"
    assert float(apart["decades from factor 1.0"].tolist()[1]) == pytest.approx(1.0, abs=0.15)


def test_terms_of_the_loss_are_drawn_where_a_run_has_several(seeds: Store, page: Page) -> None:
    terms = (("label", 0.75), ("distillation", 0.25))
    rows = [TermGradient(step=10, layer=i, term=t, share=s, rms=0.1) for i in range(3) for t, s in terms]
    write.append(seeds, 3, Batch(term_gradients=tuple(rows)))
    test = page("Compare")
    assert titles(test)[-1] == "Share of each term of the loss in the gradient"


def test_a_report_is_offered(seeds: Store, page: Page) -> None:
    assert page("Compare").get("download_button")[0].proto.label == "Report as one HTML file"


def test_ten_runs_of_every_kind_are_compared(store: Store, page: Page) -> None:
    fill(store, 10, FEW)
    test = page("Compare", runs=[str(i) for i in range(1, 11)], pool_seeds="false")
    assert not test.exception
    assert len(table(test, "results")) == 10


def test_a_run_that_was_repeated_is_no_other_seed(store: Store, page: Page) -> None:
    for _ in range(2):
        add(store, BY_NAME["tanh"], FEW)
    assert table(page("Compare"), "results")["run"].tolist() == ["tanh, 2 runs"]


def test_networks_of_other_layers_stand_beside_each_other_by_place(store: Store, page: Page) -> None:
    for name in ("tanh", "live"):
        add(store, BY_NAME[name], [0, 1])
    test = page("Compare", layer_name="fc1")
    assert table(test, "distances")["layer"].tolist() == ["fc1", "blocks.0.conv"]
