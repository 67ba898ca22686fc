"""Streamlit's server with the dashboard in it, in this process; run by `gradscope ui` with `streamlit run`'s arguments.

What the pages import takes longer to load than the server. It is loaded in a thread of its own while the server answers
already and the browser, in another process, reads Streamlit's scripts: the first page then waits for nothing.
"""

import contextlib
import gc
import importlib
import socket
import sys
import threading
import time
from typing import Any

from starlette.middleware import Middleware
from streamlit import cli_util
from streamlit.components.v2 import manifest_scanner
from streamlit.runtime.pages_manager import PagesManager
from streamlit.web.cli import main
from streamlit.web.server.starlette import starlette_app

from pages.frame.scripts import Scripts

NEEDED = (
    "gradscope.jobs",
    "gradscope.figures.decay",
    "gradscope.store.read",
    "gradscope.analysis.decay",
    "streamlit.elements.arrow",
    "streamlit.elements.vega_charts",
    "streamlit.emojis",
    "streamlit.material_icon_names",
    "PIL.Image",
    "narwhals._pandas_like.namespace",
    "gradscope.figures.amplification",
    "pages.frame.show",
)
"""By the frame and by the page most people open first; the other pages import little more."""

SWITCH_SECONDS = 0.0005
"""How long the importing thread may keep the server waiting; Python's 5 ms add up over a page's hundred files."""


def wait_until_answering() -> None:
    """Return when somebody listens at the port: until then the imports would only hold the server up."""
    port = int(sys.argv[sys.argv.index("--server.port") + 1])
    while True:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.005)


def load() -> None:
    """Import what the pages need; what they need beyond it they import themselves, as ever."""
    wait_until_answering()
    usual = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH_SECONDS)
    try:
        for name in NEEDED:
            importlib.import_module(name)
        look_after_runs()
    finally:
        sys.setswitchinterval(usual)
        # what the imports made will live until the end: no collection needs to look at it, now or later
        gc.freeze()
        gc.enable()


def look_after_runs() -> None:
    """Mark the runs whose process is gone, and see to it that somebody works on those that wait."""
    from gradscope import jobs
    from gradscope.errors import StoreError
    from gradscope.store import open_store

    with contextlib.suppress(StoreError):  # every page says what is wrong with the store
        store = open_store()
        jobs.reap(store)
        store.close()


def say(message: str, **how: Any) -> None:
    """What Streamlit says in the terminal, if anybody still listens: it stops only after it could say so."""
    with contextlib.suppress(BrokenPipeError):
        _spoken(message, **how)


_spoken = cli_util.print_to_cli

if __name__ == "__main__":
    gc.disable()
    threading.Thread(target=load, name="imports", daemon=True).start()
    # Streamlit takes a folder called pages for one of its older, flat kind until app.py has run once, and answers every
    # address but the first page's with "Page not found" until then
    PagesManager.uses_pages_directory = False
    # it reads the metadata of every package that is installed for components of their own; no page has one
    manifest_scanner.scan_component_manifests = lambda max_workers=None: []
    # ours comes first, and answers for files before Streamlit's looks up sessions and compresses
    usual = starlette_app.create_streamlit_middleware
    starlette_app.create_streamlit_middleware = lambda: [Middleware(Scripts), *usual()]
    cli_util.print_to_cli = say
    main()
