"""`gradscope ui`."""

import gc
from pathlib import Path
from typing import Annotated

import typer

from gradscope.cli.app import StoreOption, app, named, open_named


@app.command()
def ui(
    store: StoreOption = None,
    port: Annotated[int, typer.Option(help="Port of the dashboard.", min=1, max=65_535)] = 8501,
) -> None:
    """Open the dashboard."""
    # most of a start is imports, and a fifth of their time the garbage collector's, which finds nothing to collect yet
    gc.disable()
    from gradscope.serve import serve
    from gradscope.store.header import is_current

    if not is_current(Path(named(store))):
        open_named(store, create=True).close()
    serve(named(store), port)
