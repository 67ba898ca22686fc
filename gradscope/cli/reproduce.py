"""`gradscope reproduce`."""

import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gradscope.cli.app import StoreOption, app, complain, open_named
from gradscope.cli.tasks import perform_here
from gradscope.cli.training import train_here
from gradscope.errors import ConfigError, StoreError
from gradscope.paths import is_url, store_name

if TYPE_CHECKING:
    from collections.abc import Callable

    from gradscope.records import Run, Status
    from gradscope.reproduce.group import Group, Item
    from gradscope.store import Store


_AFTERWARDS = "When they are trained, the same command queues their tests under noise"


@app.command()
def reproduce(
    paper: Annotated[str, typer.Argument(metavar="PAPER", help="Which paper: pn, elastic, kr or narrow-deep.")],
    scale: Annotated[
        str, typer.Option(help="tiny (seconds), glance, short, cpu (pn: up to an hour a seed on two cores) or full.")
    ] = "cpu",
    seeds: Annotated[int, typer.Option(help="Repetitions of each experiment, seeds 0 to N-1.", min=1, max=100)] = 3,
    data_folder: Annotated[
        str | None,
        typer.Option(metavar="PATH", help="Folder with cifar10, rdrd, imagenet, ...; else CIFAR is downloaded."),
    ] = None,
    only: Annotated[
        list[str] | None, typer.Option(metavar="EXPERIMENT", help="Only this experiment; may be given again.")
    ] = None,
    sweep: Annotated[
        bool, typer.Option("--sweep", help="Also vary what the paper leaves open, beside what that is compared with.")
    ] = False,
    queue: Annotated[bool, typer.Option("--queue", help="Train in the background, when there is room.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the runs and the time they take.")] = False,
    report: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the figures into a Markdown file; trains nothing.")
    ] = None,
    store: StoreOption = None,
) -> None:
    """Run a paper's experiments again, as a group of runs; given again, it goes on where it was.

    Exits with 0 when nothing failed, 1 when a run failed, 4 when one was stopped.
    """
    from gradscope import jobs
    from gradscope.reproduce.group import find_group
    from gradscope.reproduce.papers import chosen, paper_of
    from gradscope.reproduce.scales import scale_of

    about, size = paper_of(paper), scale_of(scale)
    experiments = chosen(about, only or (), sweep=sweep, heavy=size.whole)
    opened = _store(store, create=not (dry_run or report))

    def found() -> "Group":
        return find_group(opened, about, size, experiments, range(seeds), data_folder)

    if opened:
        jobs.reap(opened)  # what was killed is to be gone on with
    _tell_plan(found(), _earlier(opened), in_background=queue)
    if report:
        _report(report, opened, found())
    elif opened and not dry_run:
        _refuse_without_data(found())
        if queue:
            _queue(opened, found())
        else:
            _work_here(opened, found)


def _store(name: str | None, *, create: bool) -> "Store | None":
    """The store; None where there is none yet and none is to be made."""
    try:
        return open_named(name, create=create)
    except StoreError:
        if create or is_url(store_name(name)) or Path(store_name(name)).exists():
            raise
        return None


def _earlier(store: "Store | None") -> "list[Run]":
    from gradscope.store import read

    return read.runs(store) if store else []


def _tell_plan(group: "Group", earlier: "list[Run]", *, in_background: bool) -> None:
    from gradscope.analysis.wording import percent
    from gradscope.reproduce.plan import plan
    from gradscope.terminal import duration

    planned = plan(group, earlier, in_background=in_background)
    width = max(len(item.name) for item in group.items)
    for item, seconds in planned.items:
        done = percent(item.run.results.test_accuracy) if item.run and item.is_done else ""
        time = "" if seconds is None else f"about {duration(seconds)}"
        typer.echo(
            f"{item.name:<{width}}  {item.run.status.value if item.run else 'missing':<9}  {done or time}".rstrip()
        )
    typer.echo(f"{group.paper.citation}")
    typer.echo(f"scale {group.scale.name}: {group.scale.says}")
    typer.echo(planned.sentence)


def _report(path: Path, store: "Store | None", group: "Group") -> None:
    from gradscope.reproduce.report import write_report

    if store is None:
        raise StoreError("there is no store to report on yet; train something first, or name one with --store PATH")
    write_report(path, store, group)
    typer.echo(f"the figures are in {path}")


def _refuse_without_data(group: "Group") -> None:
    if not group.to_do and any(item.lacks and not item.is_done for item in group.items):
        raise ConfigError("nothing of this can be trained without its data; name the folder with --data-folder PATH")


def _queue(store: "Store", group: "Group") -> None:
    from gradscope.reproduce.start import queue

    found = queue(store, group.to_do)
    typer.echo(f"{len(found)} runs are queued; `gradscope runs` and the page Papers show how it goes. {_AFTERWARDS}")


def _work_here(store: "Store", found: "Callable[[], Group]") -> None:
    """One after the other; looks anew before each, for others may work on the same."""
    from gradscope import jobs
    from gradscope.reproduce.report import results_table

    tried: dict[str, Status] = {}
    while left := [item for item in found().to_do if item.name not in tried]:
        name = f"{len(tried) + 1}/{len(tried) + len(left)} {left[0].name}"
        tried[left[0].name] = status = _work_on(store, left[0], name)
        if status == "stopped":
            raise typer.Exit(4)
        jobs.reap(store)
    typer.echo(results_table(found()).to_string(index=False))
    if "failed" in tried.values():
        complain("some runs failed; the same command tries them again", 1)
        raise typer.Exit(1)


def _work_on(store: "Store", item: "Item", name: str) -> "Status":
    """Train what is not trained, then test under noise what is to be; how that ended."""
    from gradscope import jobs
    from gradscope.records import Status
    from gradscope.store import write

    run_id, status = item.run.id if item.run else 0, Status.COMPLETED
    if item.run is None:
        run_id = jobs.create(store, item.config, item.name, status=Status.RUNNING, tags=item.tags)
    elif not item.is_trained:
        write.take(store, run_id, host=socket.gethostname(), pid=os.getpid())
    if not item.is_trained:
        status = train_here(store, run_id, name)
    if item.noise and status is Status.COMPLETED:
        task_id = jobs.create_task(store, run_id, item.noise, status=Status.RUNNING)
        status = perform_here(store, task_id, f"{name} under noise")
    return status
