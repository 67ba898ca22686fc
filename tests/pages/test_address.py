import ast
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from stores import PAGES, fill
from streamlit.testing.v1 import AppTest

from gradscope.store import Store

Page = Callable[..., AppTest]

ROOT = Path(__file__).parents[2]


def bound(script: str) -> set[str]:
    """Keys of the page's widgets that write to the address."""
    calls = [node for node in ast.walk(ast.parse((ROOT / script).read_text())) if isinstance(node, ast.Call)]
    given = [{word.arg: word.value for word in call.keywords} for call in calls]
    keys = [words["key"] for words in given if "bind" in words and "key" in words]
    keys += [call.args[0] for call in calls if ast.unparse(call.func) == "kinds.choose"]
    return {key.value for key in keys if isinstance(key, ast.Constant)}


def test_no_two_pages_write_to_the_address_under_the_same_key() -> None:
    pages = {title: bound(script) for title, script in PAGES.items()}
    assert pages["Gradient decay"] == {"kind", "depth", "step"}
    shared = [key for key, count in Counter(key for keys in pages.values() for key in keys).items() if count > 1]
    assert shared == [], "the way back in the browser's history loses what is chosen under a shared key"


def test_a_short_address_is_written_out_so_that_a_reload_shows_the_same(store: Store, app: Page) -> None:
    fill(store, 3, [0, 1])
    test = app("Diagnosis", of="1", runs=["1", "2"])
    assert test.selectbox(key="of").value == 1
    assert test.query_params["of"] == "1 sigmoid"
    assert test.query_params["runs"] == ["1 sigmoid", "2 tanh"]


def test_the_form_of_a_new_run_is_filled_in_as_the_address_says(store: Store, page: Page) -> None:
    address = {"sigmoid.model.mlp.depth": "7", "sigmoid.optimizer.sgd.lr": "0.02", "name_sigmoid": "mine"}
    test = page("Launch", **address, **{"sigmoid.methods": ["initialisation", "batch_norm"]})
    assert not test.exception
    assert test.number_input(key="sigmoid.model.mlp.depth").value == 7
    told = next(m.value for m in test.markdown if m.value.startswith("Changed:"))
    assert "`model.depth` 10 → **7**" in told
    assert "`optimizer.lr` 0.1 → **0.02**" in told
    assert "methods.batch_norm" in told
    assert test.text_input(key="name_sigmoid").value == "mine"
