"""Serving the dashboard: this process becomes the Streamlit server, or another one is it for a while."""

import contextlib
import os
import re
import runpy
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import typer

from gradscope.errors import GradScopeError
from gradscope.paths import STORE_VARIABLE, is_url

ADDRESS = "127.0.0.1"
DEFAULT_PORT = 8501
_PORTS_TO_TRY = 100
_POLL_SECONDS = 0.02
"""Between two questions whether the server listens, which no event tells."""


def serve(store: str, port: int = DEFAULT_PORT) -> NoReturn:
    """Become the dashboard of the store of that path or URL; Ctrl-C ends it, runs go on.

    A process that has trained starts anew for it: PyTorch takes hundreds of megabytes that no page needs, and the
    bindings that it loads complain at great length when a server ends around them.

    Args:
        store: was opened once, or its header was found current.
        port: the next free one is taken if this one is not.
    """
    app = _app()
    if "torch" in sys.modules:
        sys.stdout.flush()
        os.execv(sys.executable, [sys.executable, "-m", "gradscope", "ui", "--store", store, "--port", str(port)])
    found = free_port(port)
    if found != port:
        typer.echo(f"Port {port} is taken, so another one is used.")
    typer.echo(f"GradScope is at http://{ADDRESS}:{found} (Ctrl-C closes it; runs go on)")
    name = store if is_url(store) else str(Path(store).absolute())
    sys.stdout.flush()
    os.environ[STORE_VARIABLE] = name
    sys.path.insert(0, str(app.parent))
    sys.argv = ["streamlit", "run", str(app), *_options(found)]
    runpy.run_module("pages.frame.start", run_name="__main__")
    sys.exit()


@contextlib.contextmanager
def served(store: str, port: int = DEFAULT_PORT) -> Iterator[str]:
    """The dashboard of a store in a process of its own, until the block ends; for scripts that look at it.

    Args:
        store: path or URL.
        port: the next free one is taken if this one is not.

    Returns:
        Its address, once it answers.

    Raises:
        GradScopeError: it ended at once.
    """
    command = [sys.executable, "-m", "gradscope", "ui", "--store", store, "--port", str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            yield _address_of(process)
        finally:
            process.terminate()
            process.communicate()  # it says good-bye: a pipe that nobody reads would keep it


def _address_of(process: "subprocess.Popen[str]") -> str:
    """As printed, and not as asked for: somebody else may have taken the port in between."""
    assert process.stdout
    for line in process.stdout:
        if found := re.search(rf"http://{re.escape(ADDRESS)}:\d+", line):
            while process.poll() is None:
                if answers(found.group()):
                    return found.group()
                time.sleep(_POLL_SECONDS)
    raise GradScopeError(f"the dashboard ended with exit code {process.wait()}; run `gradscope ui` to see why")


def answers(address: str) -> bool:
    """Whether a dashboard at that address takes requests."""
    import urllib.request  # takes longer to load than all else here, and a dashboard that starts needs none of it

    with contextlib.suppress(OSError), urllib.request.urlopen(f"{address}/_stcore/health", timeout=5) as reply:
        return bool(reply.status == 200)
    return False


def _app() -> Path:
    app = Path(__file__).parents[1] / "app.py"
    if not app.is_file():
        raise GradScopeError(
            f"the dashboard's {app} is missing; install GradScope from its source folder with `pip install -e .`"
        )
    return app


def _options(port: int) -> list[str]:
    options = {
        "server.headless": "true",
        "server.address": ADDRESS,
        "server.port": str(port),
        "server.fileWatcherType": "none",
        "browser.gatherUsageStats": "false",
        "client.toolbarMode": "viewer",
        "logger.hideWelcomeMessage": "true",
    }
    return [word for name, value in options.items() for word in (f"--{name}", value)]


def free_port(wished: int) -> int:
    """The first port from `wished` on that nobody listens on."""
    for port in range(wished, min(wished + _PORTS_TO_TRY, 65_536)):
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            # without it a port stays taken for a minute after its server ended; the server sets it too
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((ADDRESS, port))
            except OSError:
                continue
            return port
    raise GradScopeError(f"no port from {wished} on is free; name another with --port")
