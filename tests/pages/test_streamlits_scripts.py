"""Streamlit's scripts on their way to the browser."""

import asyncio
import re
from pathlib import Path
from typing import Any

import streamlit
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from pages.frame.scripts import FOLDER, Scripts, needed

STATIC = Path(streamlit.__file__).parent / "static"


def page(request: Request) -> Response:
    return HTMLResponse("<html><head><title>It</title></head><body>é</body></html>")


def encodings(request: Request) -> Response:
    return JSONResponse(request.headers.get("accept-encoding", "none"))


APP = Scripts(Starlette(routes=[Route("/page", page), Route("/encodings", encodings)]))


def answer(path: str, *, accept: str = "*/*", method: str = "GET") -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body."""
    headers = [(b"accept", accept.encode()), (b"accept-encoding", b"gzip")]
    scope = {"type": "http", "method": method, "path": path, "headers": headers, "query_string": b""}
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(APP(scope, receive, send))
    found = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], found, b"".join(m.get("body", b"") for m in sent[1:])


def test_a_script_comes_whole_and_may_be_kept() -> None:
    main = re.search(r"static/js/index\.\w+\.js", (STATIC / "index.html").read_text(encoding="utf-8"))
    assert main
    status, headers, body = answer(f"/{main[0]}")
    assert (status, body) == (200, (STATIC / main[0]).read_bytes())
    assert headers["content-type"] == "text/javascript; charset=utf-8"
    assert headers["content-length"] == str(len(body))
    assert "immutable" in headers["cache-control"]


def test_what_is_not_streamlits_own_is_left_to_streamlit() -> None:
    assert answer("/static/js/../../../config.py")[0] == 404
    assert answer("/static/js/nothing.js")[0] == 404
    assert answer("/encodings")[2] == b'"gzip"'
    assert b"modulepreload" not in answer("/page")[2]


def test_a_page_names_the_scripts_of_a_chart_at_the_end_of_its_head() -> None:
    status, headers, body = answer("/page", accept="text/html,*/*")
    head, _, rest = body.decode().partition("</head>")
    assert status == 200
    assert headers["content-length"] == str(len(body))
    assert head.startswith("<html><head><title>It</title><link rel=")
    assert head.count("modulepreload") == len(needed(FOLDER))
    assert rest == "<body>é</body></html>"


def test_the_scripts_of_charts_and_choices_are_found_with_all_that_they_import() -> None:
    names = needed(FOLDER)
    assert all((FOLDER / "js" / name).is_file() for name in names)
    first = {name.split(".")[0] for name in names}
    assert first > {"ArrowVegaLiteChart", "embed", "Multiselect", "ButtonGroup", "Slider"}
    assert not first & {"PlotlyChart", "DeckGlJsonChart", "EChartsChart"}


def test_where_streamlit_packs_its_scripts_otherwise_none_are_named(tmp_path) -> None:
    (tmp_path / "js").mkdir()
    (tmp_path / "js/index.abc.js").write_text("import('./ArrowVegaLiteChart.js')", encoding="utf-8")
    assert needed(tmp_path) == []
