import json
from collections.abc import Callable

from streamlit.testing.v1 import AppTest

from gradscope.store import Store

Page = Callable[..., AppTest]
TITLE = "Pseudo-normalisation"


def badges(test: AppTest) -> list[str]:
    return [m.value for m in test.markdown if "badge[" in m.value]


def titles(test: AppTest) -> list[str]:
    return [json.loads(chart.proto.spec)["title"]["text"] for chart in test.get("vega_lite_chart")]


def test_it_shows_curves_gains_shares_and_the_three_maps(store: Store, page: Page) -> None:
    test = page(TITLE)
    assert not test.exception
    assert titles(test) == [
        "Gradient of every layer",
        "Gain of each layer",
        "Share of f'/RMS above 1 (dashed: Gaussian)",
        "plain",
        "every second layer",
        "every layer",
    ]


def test_the_verdicts_answer_the_sliders(store: Store, page: Page) -> None:
    test = page(TITLE)
    first = badges(test)
    assert "every second layer: eases" in first[0]
    assert "every layer: cures" in first[1]
    test.slider(key="weight_scale").set_value(0.8)
    test.slider(key="bias_scale").set_value(0.0).run()
    assert all("does nothing" in badge for badge in badges(test))
    test.slider(key="weight_scale").set_value(1.5)
    test.slider(key="bias_scale").set_value(1.0).run()
    assert all("explodes" in badge for badge in badges(test))


def test_the_address_says_which_net(store: Store, page: Page) -> None:
    test = page(
        TITLE, net_depth="7", weight_scale="2.0", bias_scale="0.25", form="dual", curve="signal", net_input="digits"
    )
    assert not test.exception
    assert [test.slider(key=k).value for k in ("net_depth", "weight_scale", "bias_scale")] == [7, 2.0, 0.25]
    assert titles(test)[0] == "Signal of every layer"


def test_the_deepest_and_the_shallowest_net_are_drawn(store: Store, page: Page) -> None:
    for depth, activation in (("3", "tanh"), ("100", "sigmoid")):
        assert not page(TITLE, net_depth=depth, net_activation=activation, weight_scale="3.0").exception
