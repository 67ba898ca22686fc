"""`gradscope explain`."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gradscope.cli.app import StoreOption, app, complain, open_named
from gradscope.cli.tasks import perform_here
from gradscope.cli.training import EXIT_CODES
from gradscope.errors import GradScopeError

if TYPE_CHECKING:
    from gradscope.config.explaining import Explain
    from gradscope.store import Store


@app.command()
def explain(
    runs: Annotated[list[int], typer.Argument(metavar="RUN...", help="Numbers of the runs, see `gradscope runs`.")],
    method: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Such as deeplift_shap, or its settings as JSON; may be given again."),
    ] = None,
    images: Annotated[int, typer.Option(help="Test pictures, the same ones for every run.")] = 24,
    seed: Annotated[int, typer.Option(help="Of the choice of pictures.")] = 0,
    outcome: Annotated[str, typer.Option(help='any, right, wrong, "runs disagree" or "most confident error".')] = "any",
    true: Annotated[int | None, typer.Option(metavar="CLASS", help="Only pictures of this class, a number.")] = None,
    taken_for: Annotated[
        int | None, typer.Option(metavar="CLASS", help="Only pictures that some run takes for this class.")
    ] = None,
    target: Annotated[str, typer.Option(help="The explained class: predicted, true or a number.")] = "predicted",
    checks: Annotated[bool, typer.Option("--checks", help="Also whether the maps can be trusted.")] = False,
    device: Annotated[str, typer.Option(help="auto, cpu, mps, cuda or cuda:N.")] = "auto",
    report: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the scores and all settings as Markdown.")
    ] = None,
    queue: Annotated[bool, typer.Option("--queue", help="Compute in the background.")] = False,
    store: StoreOption = None,
) -> None:
    """Attributions of test pictures and what they say; what is stored is not computed again. Exits as `train`."""
    wanted = settings_of(
        methods=method,
        target=int(target) if target.isdecimal() else target,
        images={"n": images, "seed": seed, "outcome": outcome, "true": true, "taken_for": taken_for},
        beside=tuple(dict.fromkeys(runs)),
        checks=checks,
        device=device,
    )
    opened = open_named(store)
    code = _compute(opened, list(wanted.beside), wanted, queue)
    if not queue:
        code = _tell(opened, list(wanted.beside), wanted, report) or code
    raise typer.Exit(code)


def settings_of(methods: Sequence[str] | None, **given: object) -> "Explain":
    """The settings after the flags, or a ConfigError of one sentence."""
    from pydantic import ValidationError

    from gradscope.config.attributions import parse_attribution
    from gradscope.config.explaining import Explain
    from gradscope.config.run import explain as sentences
    from gradscope.errors import ConfigError

    chosen = {"methods": [parse_attribution(text) for text in methods]} if methods else {}
    try:
        return Explain.model_validate({**given, **chosen})
    except ValidationError as error:
        raise ConfigError("; ".join(sentences(error))) from None


def _compute(store: "Store", runs: Sequence[int], wanted: "Explain", queue: bool) -> int:
    from gradscope import jobs
    from gradscope.records import Status

    code = 0
    for run in runs:
        if queue:
            task = jobs.submit_task(store, run, wanted)
            typer.echo(f"attributions of run {run} are queued as task {task}")
            continue
        task = jobs.create_task(store, run, wanted, status=Status.RUNNING)
        try:
            code = max(code, EXIT_CODES[perform_here(store, task, f"attributions of run {run}")])
        except GradScopeError as error:  # the other runs may be explained all the same
            code = complain(f"run {run}: {error}", 2)
    return code


def _tell(store: "Store", runs: Sequence[int], wanted: "Explain", report: Path | None) -> int:
    from gradscope.exchange.attribution_report import markdown, text_table
    from gradscope.overview import overview

    found = overview(store, runs, wanted)
    typer.echo(text_table(found))
    if report:
        report.parent.mkdir(parents=True, exist_ok=True)
        report.write_text(markdown(found))
        typer.echo(f"written to {report}")
    for (run, _), refusal in found.refusals.items():
        complain(f"run {run}: {refusal}", 2)
    return 2 if found.refusals else 0
