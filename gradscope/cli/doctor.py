"""`gradscope doctor`."""

import json
from typing import TYPE_CHECKING, Annotated

import typer

from gradscope.cli.app import RunArgument, StoreOption, app, open_named

if TYPE_CHECKING:
    from gradscope.analysis.findings import Finding, Thresholds

SIGNS = {"critical": "✕", "warning": "!", "note": "·"}


@app.command()
def doctor(
    run: RunArgument,
    store: StoreOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, for programs.")] = False,
    threshold: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VALUE", help="Where a finding begins, such as vanishing_decades=3; may be repeated."
        ),
    ] = None,
) -> None:
    """Say what is wrong with a run, where, since when, and what may help. Exits: 0 healthy, 1 findings, 2 refused."""
    from gradscope.analysis.findings import diagnose, is_healthy, verdict
    from gradscope.diagnosis import tables_of
    from gradscope.store import read

    limits = _thresholds(threshold or [])
    opened = open_named(store)
    known = read.run(opened, run)
    tables = tables_of(opened, known)
    findings = diagnose(tables, limits)
    healthy = is_healthy(findings)
    if as_json:
        told = {"run": run, "name": known.name, "healthy": healthy, "verdict": verdict(findings, tables)}
        # a finding has its layers as places in this list
        told |= {"layers": tables.names, "findings": [f.as_json() for f in findings]}
        typer.echo(json.dumps(told, indent=2, ensure_ascii=False))
    else:
        typer.echo(f"run {run} ({known.name}): {verdict(findings, tables)}")
        for finding in findings:
            typer.echo(_told(finding, tables.names))
    raise typer.Exit(0 if healthy else 1)


def _told(finding: "Finding", names: tuple[str, ...]) -> str:
    from gradscope.analysis.wording import percent

    until = f" until step {finding.until}" if finding.until is not None else ""
    lines = [
        f"\n{SIGNS[finding.severity]} {finding.text}",
        f"  {finding.name}, {finding.severity}, since step {finding.since}{until}, {percent(finding.confidence)} sure",
    ]
    if finding.layers:
        lines.append(f"  layers: {', '.join(names[i] for i in finding.layers)}")
    for remedy in finding.remedies:
        lines.append(f"  - {remedy.title}{': ' + remedy.arguments if remedy.settings else ''}")
        if remedy.why:
            lines.append(f"    {remedy.why}")
    return "\n".join(lines)


def _thresholds(given: list[str]) -> "Thresholds":
    from gradscope.analysis.findings import Thresholds
    from gradscope.errors import ConfigError

    values = {}
    for text in given:
        name, equals, value = text.partition("=")
        try:
            values[name.strip()] = float(value if equals else "")
        except ValueError:
            raise ConfigError(
                f"--threshold {text!r} is no assignment of a number; write NAME=VALUE, such as vanishing_decades=3"
            ) from None
    return Thresholds().changed(**values)
