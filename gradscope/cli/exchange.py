"""`gradscope import` and `gradscope export`."""

from pathlib import Path
from typing import Annotated

import typer

from gradscope.cli.app import RunArgument, StoreOption, app, open_named
from gradscope.exchange.formats import Format

imports = typer.Typer(help="Make runs of what another program recorded.")
app.add_typer(imports, name="import")


@imports.command()
def tensorboard(
    logdir: Annotated[Path, typer.Argument(metavar="LOGDIR", help="The folder that `tensorboard --logdir` is given.")],
    store: StoreOption = None,
) -> None:
    """Make a run of every folder of event files: curves, and histograms of gradients and weights."""
    from gradscope.exchange.tensorboard_import import import_logdir

    for imported in import_logdir(open_named(store, create=True), logdir):
        typer.echo(imported)


@app.command()
def export(
    run: RunArgument,
    to: Annotated[Format, typer.Option(help="What to write.")],
    out: Annotated[Path | None, typer.Option(metavar="PATH", help="A new folder (default: run-RUN-FORMAT).")] = None,
    store: StoreOption = None,
) -> None:
    """Write a run as event files for TensorBoard, or as tables."""
    from gradscope.exchange.export import export as export_run

    typer.echo(export_run(open_named(store), run, to, out))
