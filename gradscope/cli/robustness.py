"""`gradscope robustness`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gradscope.cli.app import StoreOption, app, open_named
from gradscope.cli.tasks import perform_here
from gradscope.cli.training import EXIT_CODES

if TYPE_CHECKING:
    from gradscope.config import Robustness
    from gradscope.records import Status
    from gradscope.store import Store


@app.command()
def robustness(
    runs: Annotated[list[int], typer.Argument(metavar="RUN...", help="Numbers of the runs, see `gradscope runs`.")],
    under: Annotated[
        list[str] | None,
        typer.Option(metavar="WHAT", help="noise (default), corruptions, attacks, or a kind such as fog; repeatable."),
    ] = None,
    images: Annotated[int | None, typer.Option(help="Use so many test pictures (default: all).")] = None,
    draws: Annotated[int | None, typer.Option(help="Draws of each noise at each level (default: 10).")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the noise (default: 0).")] = None,
    device: Annotated[str | None, typer.Option(help="auto (default), cpu, mps, cuda or cuda:N.")] = None,
    report: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write figures and settings as Markdown; measures nothing."),
    ] = None,
    queue: Annotated[bool, typer.Option("--queue", help="Measure in the background.")] = False,
    store: StoreOption = None,
) -> None:
    """Measure runs under noise, corruptions or attacks; what is known is not measured again. Exits as `train`."""
    from gradscope import jobs

    settings = settings_of(under or ["noise"], images=images, draws=draws, seed=seed, device=device)
    opened = open_named(store)
    if report:
        from gradscope.exchange.robustness_report import write_report

        typer.echo(f"written: {', '.join(map(str, write_report(report, opened, runs)))}")
        return
    code = 0
    for run in dict.fromkeys(runs):
        if queue:
            task = jobs.submit_task(opened, run, settings)
            typer.echo(f"robustness of run {run} is queued as task {task}")
            continue
        code = max(code, EXIT_CODES[measure_here(opened, run, settings)])
    raise typer.Exit(code)


def measure_here(store: "Store", run: int, settings: "Robustness") -> "Status":
    """Measure a run in this process and print its curves, as far as they came."""
    from gradscope import jobs
    from gradscope.records import Status

    task = jobs.create_task(store, run, settings, status=Status.RUNNING)
    status = perform_here(store, task, f"robustness of run {run}")
    _tell(store, run, settings)
    return status


def settings_of(under: list[str], **given: object) -> "Robustness":
    """The settings after the flags; None = flag not given."""
    from pydantic import ValidationError

    from gradscope.config import FAMILIES, Robustness
    from gradscope.config.run import explain
    from gradscope.errors import ConfigError

    kinds = [kind for what in under for kind in FAMILIES.get(what, (what,))]
    unknown = [kind for kind in kinds if not any(kind in family for family in FAMILIES.values())]
    if unknown:
        known = ", ".join([*FAMILIES, *(kind for family in FAMILIES.values() for kind in family)])
        raise ConfigError(f"--under {unknown[0]!r} is unknown; use one of {known}")
    values = {name: value for name, value in given.items() if value is not None}
    try:
        return Robustness.model_validate({"kinds": tuple(dict.fromkeys(kinds)), **values})
    except ValidationError as error:
        raise ConfigError("; ".join(explain(error))) from None


def _tell(store: "Store", run: int, settings: "Robustness") -> None:
    from gradscope.store import read_robustness

    found = read_robustness.points(store, [run])
    for kind in settings.kinds:
        rows = found[found["kind"] == kind]
        if len(rows):
            pairs = zip(rows["level"], rows["accuracy"], strict=True)
            curve = "  ".join(f"{level:g}: {accuracy:.1%}" for level, accuracy in pairs)
            typer.echo(f"run {run}  {kind}  {curve}")
