"""Every page of the menu on stores of every kind: empty, one run, a diverged one, thirty, and each kind alone."""

import ast
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from stores import PAGES, STORIES, WITHOUT_RUNS, add
from streamlit.testing.v1 import AppTest

from gradscope.store import Store

Page = Callable[..., AppTest]
ROOT = Path(__file__).parents[2]
BY_NAME = {story.name: story for story in STORIES}
FEW = [0, 1, 2, 10]


def test_every_page_that_there_is_stands_in_the_menu_and_is_tried_here() -> None:
    entries = re.findall(r'st\.Page\(\s*"([^"]+)",\s*title="([^"]+)"', (ROOT / "app.py").read_text())
    files = {str(path.relative_to(ROOT)) for path in (ROOT / "pages").glob("*/[0-9]*.py")}
    assert {path for path, _ in entries} == files
    assert {title: path for path, title in entries} == PAGES, "name the page in stores.py and in browser/driven.py"


@pytest.mark.parametrize("path", PAGES.values())
def test_a_page_has_no_words_of_its_source_on_it(path: str) -> None:
    """Streamlit shows every expression that stands alone in a page, such as a word on a constant."""
    statements = ast.parse((ROOT / path).read_text()).body[1:]
    assert [ast.unparse(s) for s in statements if isinstance(s, ast.Expr) and isinstance(s.value, ast.Constant)] == []


@pytest.mark.parametrize("title", PAGES)
def test_every_page_on_an_empty_store_names_the_next_step(store: Store, page: Page, title: str) -> None:
    test = page(title)
    assert not test.exception
    assert test.title[0].value == title
    if title not in WITHOUT_RUNS:
        assert "No run yet" in test.info[0].value
        assert [button.key for button in test.button] == ["train_demo", "launch_one"]


@pytest.mark.parametrize(("title", "preset"), [("Distillation", "kd-hinton"), ("Elastic exits", "elastic-resnet")])
def test_a_page_of_a_method_leads_to_a_run_of_it(store: Store, app: Page, title: str, preset: str) -> None:
    test = app(title)
    test.button(key="launch_one").click().run()
    assert not test.exception
    assert test.title[0].value == "Launch"
    assert test.query_params["preset"] == preset


@pytest.mark.parametrize("title", PAGES)
def test_every_page_shows_one_run(store: Store, page: Page, title: str) -> None:
    add(store, BY_NAME["sigmoid"], FEW)
    test = page(title)
    assert not test.exception
    assert not test.error


@pytest.mark.parametrize("title", PAGES)
def test_every_page_shows_a_run_that_diverged(store: Store, page: Page, title: str) -> None:
    add(store, BY_NAME["exploded"], [0, 1, 2, 180, 190])
    test = page(title)
    assert not test.exception


@pytest.mark.parametrize("title", PAGES)
@pytest.mark.usefixtures("full_store")
def test_every_page_shows_thirty_runs_of_every_kind(app: Page, title: str) -> None:
    test = app(title)
    assert not test.exception
    assert test.title[0].value == title
    assert test.multiselect(key="runs").value == [30, 29, 28, 27]


@pytest.mark.parametrize("name", ["waiting", "failed early", "my own loop", "live", "dead", "lost"])
@pytest.mark.parametrize("title", PAGES)
def test_every_page_shows_a_run_of_each_kind(store: Store, page: Page, title: str, name: str) -> None:
    add(store, BY_NAME[name], FEW)
    assert not page(title).exception


HOSTILE = {
    "Runs": {"status": "banana", "tag": "x", "group": "zzz", "q": "<script>"},
    "Launch": {"preset": "nope"},
    "Gradient decay": {"kind": "banana", "depth": "x", "step": "99999999999999999999"},
    "Layers over time": {"run": "999", "layer": "77", "at": "-1", "beside": "abc", "what": ""},
    "Learning curves": {"x": "y", "smoothing": "5", "curves": "zzz"},
    "Compare": {"layer_name": "nope", "values": "zz", "hide": "maybe"},
}


@pytest.mark.parametrize("title", HOSTILE)
def test_an_address_full_of_nonsense_is_read_as_far_as_it_makes_sense(store: Store, page: Page, title: str) -> None:
    add(store, BY_NAME["relu"], FEW)
    test = page(title, runs=["\x00", "1"], **HOSTILE[title])
    assert not test.exception
    assert not test.error
