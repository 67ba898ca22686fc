"""`gradscope demo`."""

from typing import TYPE_CHECKING, Annotated

import typer

from gradscope.cli.app import StoreOption, app, open_named
from gradscope.cli.training import EXIT_CODES, train_here

if TYPE_CHECKING:
    from gradscope.config import RunConfig
    from gradscope.store import Store


@app.command()
def demo(
    store: StoreOption = None,
    port: Annotated[int, typer.Option(help="Port of the dashboard.", min=1, max=65_535)] = 8501,
    no_ui: Annotated[bool, typer.Option("--no-ui", help="Train only.")] = False,
) -> None:
    """Train five small runs on hand-written digits, then open the dashboard; what is trained already is kept."""
    from gradscope.demo import DEMO_TAG, demo_runs
    from gradscope.jobs import create
    from gradscope.records import Status
    from gradscope.serve import serve

    opened = open_named(store, create=True)
    for name, config in demo_runs():
        if _has_completed(opened, name, config):
            typer.echo(f"{name}  already trained")
            continue
        run_id = create(opened, config, name, status=Status.RUNNING, tags=[DEMO_TAG])
        status = train_here(opened, run_id, name)
        if status is Status.STOPPED:
            raise typer.Exit(EXIT_CODES[status])
    opened.close()
    if not no_ui:
        serve(opened.name, port)


def _has_completed(store: "Store", name: str, config: "RunConfig") -> bool:
    from gradscope.analysis.settings import as_now
    from gradscope.records import Status
    from gradscope.store import read

    wanted = config.model_dump(mode="json")
    own = [r for r in read.runs(store) if r.name == name and r.status is Status.COMPLETED]
    return any(as_now(r.config) == wanted for r in own)
