"""`gradscope cure`."""

from typing import Annotated

import typer

from gradscope.cli.app import RunArgument, StoreOption, app, open_named


@app.command()
def cure(
    run: RunArgument,
    epochs: Annotated[int | None, typer.Option(help="Length of each try (default: that of the run).", min=1)] = None,
    most: Annotated[int, typer.Option(help="Tries at most.", min=1, max=100)] = 12,
    store: StoreOption = None,
) -> None:
    """Try the remedies that fit a run's findings, each as a real run, until one is healthy.

    Exits with 0 when a healthy run was found or there is nothing to cure, 1 when not.
    """
    from gradscope.analysis.cure import tree
    from gradscope.cure import cure as cure_run
    from gradscope.jobs.command import command_line
    from gradscope.store import read

    opened = open_named(store)
    name = read.run(opened, run).name
    found = cure_run(opened, run, epochs=epochs, most=most, on_trial=lambda what: typer.echo(f"trying: {what}"))
    typer.echo(tree(found))
    if found.winner is not None:
        config = found.trials[found.winner].config
        typer.echo(f"\nthe winner's settings:\n{command_line(config, f'{name}, cured', opened)}")
    elif found.trials[0].judged.is_healthy:
        typer.echo(f"run {run} is healthy; there is nothing to cure")
    else:
        typer.echo("none of these is healthy; the findings that are left are those of the best one")
        raise typer.Exit(1)
