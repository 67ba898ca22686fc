"""The architecture, checked: who may import whom, and that the checks can fail."""

import ast
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = ("gradscope", "pages", "tests", "benchmarks", "docs", "examples")
LONGEST_FILE, LONGEST_BODY = 400, 25
LONGER_BODIES = {"gradscope/recorder/triton_kernel.py: count"}
"""A kernel is one loop over values that all its parts change."""
CHECK = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(cache_dir=None, no_cache=True))"


def lint(folder):
    return subprocess.run([sys.executable, "-c", CHECK], cwd=folder, capture_output=True, text=True, check=False)


def test_every_module_imports_only_what_it_may():
    done = lint(ROOT)
    assert done.returncode == 0, done.stdout
    assert "0 broken" in done.stdout


@pytest.mark.parametrize(
    ("file", "line", "contract"),
    [
        ("store/read.py", "import streamlit", "The library does not know the dashboard BROKEN"),
        ("jobs/slots.py", "def late():\n    import torch", "What the dashboard imports never loads torch BROKEN"),
        ("config/train.py", "from gradscope.recorder import statistics", "never loads torch BROKEN"),
        ("errors.py", "from gradscope import paths", "A module imports only what lies below it BROKEN"),
        ("jobs/plan.py", "from gradscope import figures", "Neither side knows the other"),
    ],
)
def test_a_wrong_import_is_found(file, line, contract, tmp_path):
    shutil.copytree(ROOT / "gradscope", tmp_path / "gradscope", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / ".importlinter", tmp_path)
    with (tmp_path / "gradscope" / file).open("a") as module:
        module.write(f"\n\n{line}\n")
    done = lint(tmp_path)
    assert done.returncode == 1, done.stdout
    assert contract in done.stdout


@pytest.mark.parametrize(
    "module",
    [
        "gradscope",
        "gradscope.analysis",
        "gradscope.cli",
        "gradscope.config",
        "gradscope.demo",
        "gradscope.figures",
        "gradscope.jobs",
        "gradscope.reproduce.papers",
        "gradscope.reproduce.start",
        "gradscope.reproduce.summary",
        "gradscope.store",
        "gradscope.store.notebook",
        "gradscope.store.read",
        "gradscope.store.write",
        "gradscope.theory.pseudo_norm_effect",
    ],
)
def test_importing_it_loads_neither_torch_nor_streamlit(module):
    heavy = {"torch", "torchvision", "streamlit", "captum", "shap", "sklearn", "numba"}
    code = f"import sys, {module}; print(sorted({heavy!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def bodies(code: str):
    """Each function's name with its lines of code: no docstring, no comment, no word on an attribute, nothing empty."""
    lines = code.splitlines()
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            words = [n for n in ast.walk(node) if isinstance(n, ast.Expr) and isinstance(n.value, ast.Constant)]
            said = {i for n in words for i in range(n.lineno, n.end_lineno + 1)}
            body = [i for i in range(node.body[0].lineno, node.end_lineno + 1) if i not in said]
            yield node.name, sum(bool(lines[i - 1].strip()) and lines[i - 1].strip()[0] != "#" for i in body)


def test_no_file_is_longer_than_a_few_screens_and_no_function_than_one():
    files = [file for folder in FOLDERS for file in (ROOT / folder).rglob("*.py")]
    code = {str(file.relative_to(ROOT)): file.read_text() for file in files}
    assert {name: n for name, text in code.items() if (n := text.count("\n")) > LONGEST_FILE} == {}
    ours = [name for name in code if name.startswith(("gradscope/", "pages/")) and "/migrations/" not in name]
    longer = {f"{file}: {name}": n for file in ours for name, n in bodies(code[file]) if n > LONGEST_BODY}
    assert longer.keys() == LONGER_BODIES, longer


def test_what_counts_as_a_line_of_a_function():
    code = """
def f():
    'Words
    on it.'
    # why
    a = 1
    'A word.'

    return (
        a
    )
""".replace("'", '"' * 3)
    assert list(bodies(code)) == [("f", 4)]


def asserts_of_a_page(code: str) -> list[int]:
    """Lines of the asserts that ask a page, which may not be drawn yet; `becomes`, `until` and `expect` wait."""
    asserts = [node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Assert)]
    return [
        found.lineno
        for found in asserts
        if any(isinstance(node, ast.Name) and node.id in ("page", "other") for node in ast.walk(found.test))
    ]


def test_no_browser_test_asks_a_page_only_once():
    files = (ROOT / "tests" / "browser").glob("test_*.py")
    assert {path.name: lines for path in files if (lines := asserts_of_a_page(path.read_text()))} == {}


def test_what_counts_as_asking_a_page_only_once():
    code = """
assert rows(page)[0] == {}
assert becoming == {}, f"at {page.url}"
becomes(lambda: rows(page)[0], {})
"""
    assert asserts_of_a_page(code) == [2]
