"""`gradscope exits`."""

from typing import TYPE_CHECKING, Annotated

import typer

from gradscope.cli.app import StoreOption, app, open_named
from gradscope.cli.tasks import perform_here
from gradscope.cli.training import EXIT_CODES

if TYPE_CHECKING:
    from gradscope.config import Exits
    from gradscope.store import Store


@app.command()
def exits(
    runs: Annotated[list[int], typer.Argument(metavar="RUN...", help="Numbers of the runs, see `gradscope runs`.")],
    images: Annotated[int | None, typer.Option(help="Use so many test pictures (default: 2000).")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Pictures answered at once (default: 100).")] = None,
    device: Annotated[str | None, typer.Option(help="auto (default), cpu, mps, cuda or cuda:N.")] = None,
    queue: Annotated[bool, typer.Option("--queue", help="Measure in the background.")] = False,
    store: StoreOption = None,
) -> None:
    """Measure what each exit of runs costs and is worth, and what leaving early saves; runs without exits have one.

    What is known is not measured again. Exits as `train`.
    """
    from gradscope import jobs
    from gradscope.records import Status

    settings = settings_of(images=images, batch_size=batch_size, device=device)
    opened, code = open_named(store), 0
    for run in dict.fromkeys(runs):
        if queue:
            typer.echo(f"exits of run {run} are queued as task {jobs.submit_task(opened, run, settings)}")
            continue
        task = jobs.create_task(opened, run, settings, status=Status.RUNNING)
        code = max(code, EXIT_CODES[perform_here(opened, task, f"exits of run {run}")])
        _tell(opened, run)
    raise typer.Exit(code)


def settings_of(**given: object) -> "Exits":
    """The settings after the flags; None = flag not given."""
    from pydantic import ValidationError

    from gradscope.config import Exits
    from gradscope.config.run import explain
    from gradscope.errors import ConfigError

    try:
        return Exits.model_validate({name: value for name, value in given.items() if value is not None})
    except ValidationError as error:
        raise ConfigError("; ".join(explain(error))) from None


def _tell(store: "Store", run: int) -> None:
    from gradscope.store import read_exits

    for row in read_exits.exits(store, [run]).to_dict("records"):
        typer.echo(
            f"run {run}  exit {row['exit']}  {row['accuracy']:.1%}  {row['macs'] / 1e6:.3g} M MACs  "
            f"{row['parameters'] / 1e6:.3g} M parameters  {row['milliseconds']:.3g} ms"
        )
    for row in read_exits.sweeps(store, [run]).to_dict("records"):
        typer.echo(
            f"run {run}  {row['rule']} {row['threshold']:g}  {row['accuracy']:.1%}  {row['macs'] / 1e6:.3g} M MACs  "
            f"{row['milliseconds']:.3g} ms"
        )
