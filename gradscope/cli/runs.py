"""`gradscope runs`, and what is done to one of them: stop, resume, delete."""

import json
from typing import TYPE_CHECKING, Annotated

import typer

from gradscope.cli.app import RunArgument, StoreOption, app, open_named

if TYPE_CHECKING:
    from gradscope.records import Run


@app.command()
def runs(
    store: StoreOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, for programs.")] = False,
) -> None:
    """List the runs, newest first."""
    from gradscope.store import read
    from gradscope.terminal import table

    opened = open_named(store)
    if not opened.read_only:
        from gradscope.store import write

        write.mark_lost(opened)
    found = read.runs(opened)
    if as_json:
        typer.echo(json.dumps([_summary(run) for run in found], indent=2, ensure_ascii=False))
    else:
        typer.echo(table(found) if found else "no runs yet; `gradscope train --preset tanh` makes one")


def _summary(run: "Run") -> dict[str, object]:
    return {
        "id": run.id,
        "name": run.name,
        "status": str(run.status),
        "config": run.config,
        "last_step": run.progress.last_step,
        "val_accuracy": run.results.val_accuracy,
        "test_accuracy": run.results.test_accuracy,
        "val_map": run.results.val_map,
        "test_map": run.results.test_map,
    }


@app.command()
def stop(run: RunArgument, store: StoreOption = None) -> None:
    """Stop a run: it writes a checkpoint and ends."""
    from gradscope import jobs

    status = jobs.stop(open_named(store), run)
    typer.echo(f"run {run} is {status}")


@app.command()
def resume(run: RunArgument, store: StoreOption = None) -> None:
    """Go on with an ended run from its checkpoint, in the background."""
    from gradscope import jobs

    jobs.resume(open_named(store), run)
    typer.echo(f"run {run} is queued; `gradscope runs` shows how it goes")


@app.command()
def delete(
    run: RunArgument,
    store: StoreOption = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Delete a run with its records and files."""
    from gradscope import jobs
    from gradscope.store import read

    opened = open_named(store)
    name = read.run(opened, run).name
    if not yes and not typer.confirm(f"Delete run {run} ({name}) with its records and files?"):
        typer.echo(f"run {run} is kept")
        return
    jobs.delete(opened, run)
    typer.echo(f"run {run} is deleted")
