"""`gradscope ui`."""

from typing import Annotated

import typer

from gradscope.cli.app import StoreOption, app, open_named


@app.command()
def ui(
    store: StoreOption = None,
    port: Annotated[int, typer.Option(help="Port of the dashboard.", min=1, max=65_535)] = 8501,
) -> None:
    """Open the dashboard."""
    from gradscope.jobs import reap
    from gradscope.serve import serve

    opened = open_named(store, create=True)
    reap(opened)
    serve(opened, port)
