import ast
from collections import Counter
from pathlib import Path

from stores import PAGES

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
