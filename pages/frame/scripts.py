"""Streamlit's scripts on their way to the browser, quicker than Streamlit sends them.

A first visit fetches some 140 files. Streamlit reads each in pieces, every piece in a thread that waits for its turn
beside the imports; here a file is read and sent whole. And the browser learns of a chart's scripts only when the chart
arrives, of Vega's only when these have run; here the first page names them all, so they come while Python works.
"""

import re
from collections.abc import Sequence
from pathlib import Path

import streamlit
from starlette.types import ASGIApp, Message, Receive, Scope, Send

FOLDER = Path(streamlit.__file__).parent / "static/static"
TYPES = {".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".woff2": "font/woff2"}
ELEMENTS = ("Html", "Multiselect", "ButtonGroup", "Slider", "ArrowVegaLiteChart")
"""What nearly every page shows, by the names of Streamlit's scripts."""


class Scripts:
    """Middleware that answers for Streamlit's own files and names the scripts of `ELEMENTS` in its page."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._files = {f"/static/{p.relative_to(FOLDER).as_posix()}": p for p in FOLDER.rglob("*") if p.suffix in TYPES}
        self._links = "".join(f'<link rel="modulepreload" crossorigin href="/static/js/{n}">' for n in needed(FOLDER))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or let Streamlit answer."""
        if scope["type"] != "http" or scope["method"] != "GET":
            await self._app(scope, receive, send)
        elif scope["path"] in self._files:
            await self._send_whole(self._files[scope["path"]], send)
        elif b"text/html" in dict(scope["headers"]).get(b"accept", b""):
            headers = [(name, value) for name, value in scope["headers"] if name != b"accept-encoding"]
            await self._app({**scope, "headers": headers}, receive, _Page(send, self._links.encode()))
        else:
            await self._app(scope, receive, send)

    @staticmethod
    async def _send_whole(file: Path, send: Send) -> None:
        body = file.read_bytes()
        headers = [
            (b"content-type", TYPES[file.suffix].encode()),
            (b"content-length", str(len(body)).encode()),
            (b"cache-control", b"public, immutable, max-age=31536000"),  # as Streamlit has it: names tell contents
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})


class _Page:
    """Passes an answer on; into a page of HTML it puts links, at the end of the head."""

    def __init__(self, send: Send, links: bytes) -> None:
        self._send = send
        self._links = links
        self._start: Message | None = None
        self._body = b""

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start" and _is_page(message):
            self._start = message
        elif self._start is None:
            await self._send(message)
        else:
            await self._collect(self._start, message)

    async def _collect(self, start: Message, message: Message) -> None:
        self._body += message.get("body", b"")
        if message.get("more_body", False):
            return
        body = self._body.replace(b"</head>", self._links + b"</head>", 1)
        headers = [(name, value) for name, value in start["headers"] if name != b"content-length"]
        await self._send({**start, "headers": [*headers, (b"content-length", str(len(body)).encode())]})
        await self._send({"type": "http.response.body", "body": body})


def _is_page(start: Message) -> bool:
    return dict(start["headers"]).get(b"content-type", b"").startswith(b"text/html")


def needed(folder: Path) -> Sequence[str]:
    """File names of the scripts of `ELEMENTS` and of all that they import, in order; none if they are not to be found.

    Vite, which packs Streamlit's scripts, writes beside each script that is loaded on demand the numbers of the files
    that it imports, and their names in a list at the head of the file.
    """
    names: dict[str, None] = {}
    for script in (folder / "js").glob("index.*.js"):
        text = script.read_text(encoding="utf-8")
        listed = re.search(r"m\.f=\[(.*?)\]", text)
        files = re.findall(r'"\.{1,2}/([^"]+)"', listed[1]) if listed else []
        for loaded, numbers in re.findall(r"import\(`\./([^`]+)`\),__vite__mapDeps\(\[([\d,]*)\]\)", text):
            if loaded.split(".")[0] in ELEMENTS:
                names |= dict.fromkeys([loaded, *(files[int(n)] for n in numbers.split(",") if n)])
    return [name for name in names if name.endswith(".js")]
