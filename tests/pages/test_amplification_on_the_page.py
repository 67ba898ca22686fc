"""What methods of the backward pass made of the gradient, below the decay."""

import json
from collections.abc import Callable

from stores import STORIES, add
from streamlit.testing.v1 import AppTest

from gradscope.records import Batch, Gain
from gradscope.store import Store, read, write

Page = Callable[..., AppTest]
BY_NAME = {story.name: story for story in STORIES}
FEW = [0, 1, 2, 10]


def titles(test: AppTest) -> list[str]:
    return [json.loads(chart.proto.spec)["title"]["text"] for chart in test.get("vega_lite_chart")]


def words(test: AppTest) -> str:
    return " ".join(str(e.value) for e in test.get("caption"))


def test_the_amplification_is_shown_where_a_run_has_any(store: Store, page: Page) -> None:
    add(store, BY_NAME["sigmoid"], FEW)
    assert titles(page("Gradient decay")) == ["Gradient of every layer"]
    add(store, BY_NAME["tanh-pn"], FEW)
    test = page("Gradient decay")
    assert not test.exception
    assert [title[:24] for title in titles(test)[1:]] == [
        *("Gradient, treated (line)", "Amplification of every l"),
        *("Gain of each layer over ", "Derivatives above 1 once"),
    ]
    assert "Derivatives above 1 once normalised (31.7 % of a Gaussian): tanh-pn 42.0 %." in words(test)
    assert "The paper expects 31.7 %" in words(test)


def test_a_method_without_derivatives_has_gains_and_no_shares(store: Store, page: Page) -> None:
    run = add(store, BY_NAME["tanh"], FEW)
    told = tuple(
        Gain(step=step, layer=1, method="gradient_amplification", gain=2.0, share_above_one=None) for step in FEW
    )
    write.append(store, run, Batch(gains=told))
    test = page("Gradient decay")
    assert not test.exception
    assert [title[:24] for title in titles(test)[3:]] == ["Gain of each layer over "]
    assert "The paper expects" not in words(test)
    assert read.gain_series(store, run)["gain"].tolist() == [2.0] * len(FEW)
