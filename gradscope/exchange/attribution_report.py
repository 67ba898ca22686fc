"""What runs look at, as text: for the terminal, and as Markdown with every setting that it takes to repeat it."""

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import pandas as pd

from gradscope.analysis.scores import SCORES, Cell
from gradscope.analysis.wording import percent
from gradscope.overview import Overview
from gradscope.records import Run

_GAP = (
    "Gap of the sum: by what share the maps together miss what they promise to add up to. Above 1 % no method is "
    "called SHAP here."
)


def table(found: Overview) -> pd.DataFrame:
    """A row a method and run, a column a score: mean [95 % interval]."""
    names, runs = found.titles, {run.id: f"{run.id} {run.name}" for run in found.runs}
    rows: dict[Cell, dict[str, str]] = {}
    for line in _lines(found.summary):
        row = rows.setdefault(
            (line["run"], line["method"]), {"method": names[line["method"]], "run": runs[line["run"]]}
        )
        row[SCORES[line["score"]].title] = _between(line, ".3f")
    for cell, gap in found.gaps.items():
        rows[cell]["gap of the sum"] = percent(gap)
    return pd.DataFrame(list(rows.values())).fillna("")


def difference_table(found: Overview) -> pd.DataFrame:
    """Every run less the first, by method and score, with the interval of the paired difference."""
    names, runs = found.titles, {run.id: f"{run.id} {run.name}" for run in found.runs}
    rows: dict[Cell, dict[str, str]] = {}
    for line in _lines(found.differences):
        label = f"{runs[line['run']]} less {runs[line['against']]}"
        row = rows.setdefault((line["run"], line["method"]), {"method": names[line["method"]], "runs": label})
        row[SCORES[line["score"]].title] = _between(line, "+.3f")
    return pd.DataFrame(list(rows.values())).fillna("")


def agreement_table(found: Overview) -> pd.DataFrame:
    """Rank correlation between the maps of each two runs, by method."""
    names, runs = found.titles, {run.id: f"{run.id} {run.name}" for run in found.runs}
    rows = [
        (names[line["method"]], f"{runs[line['run']]} and {runs[line['other']]}", _between(line, ".3f"))
        for line in _lines(found.agreement)
    ]
    return pd.DataFrame(rows, columns=["method", "runs", "rank correlation"])


def _lines(frame: pd.DataFrame) -> list[dict[Hashable, Any]]:  # Any: cells of several types
    return frame.to_dict("records")


def _between(line: Mapping[Hashable, Any], form: str) -> str:  # Any: as above
    return f"{line['mean']:{form}} [{line['low']:{form}}, {line['high']:{form}}]"


def text_table(found: Overview) -> str:
    """The scores for a terminal."""
    shown = table(found)
    return str(shown.to_string(index=False)) if len(shown) else "no map of these pictures yet"


def _refusals(found: Overview) -> list[str]:
    return [f"run {run}: {text}" for (run, _), text in found.refusals.items()]


def markdown(found: Overview) -> str:
    """The whole report, figures and all that it takes to get them again."""
    scored = [name for name in SCORES if name in set(found.summary["score"])]
    refused = [f"- {line}" for line in _refusals(found)]
    parts = [
        "# What the networks look at",
        _settings(found),
        _pipes(table(found)),
        f"A map of one value everywhere would score {_evenly(found)}." if found.maps else "No map was computed.",
        _section("Differences, picture by picture, mean [95 % interval]:", difference_table(found)),
        _section(
            "Spearman's rank correlation between the maps of two runs of the same picture:", agreement_table(found)
        ),
        "\n".join(["Methods that cannot explain a network:", "", *refused]) if refused else "",
        _GAP if found.gaps else "",
        "\n".join(f"- **{SCORES[name].title}**: {SCORES[name].meaning}." for name in scored),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _settings(found: Overview) -> str:
    images = found.wanted.images
    chosen = f"set of {images.n}, seed {images.seed}, outcome {images.outcome.value}"
    lines = [
        f"{len(found.places)} test pictures ({chosen}), the same for every run; what is explained is the logit of the",
        f"class `{found.wanted.target}`. Means over the pictures with 95 % bootstrap intervals (2,000 resamples): they",
        "say how sure a score is on other pictures of the kind, not on another training of the network.",
        "",
        *(_run(found, run) for run in found.runs),
        *(f"- `{method}`" for method in found.methods),
    ]
    return "\n".join(lines)


def _run(found: Overview, run: Run) -> str:
    known = run.provenance
    versions = ", ".join(f"{name} {version}" for name, version in known.versions.items())
    return (
        f"- run {run.id}, `{run.name}`: {found.steps.get(run.id, 0)} steps, seed {known.seed}, test accuracy "
        f"{percent(run.results.test_accuracy)}, on {known.device}, {versions}"
    )


def _evenly(found: Overview) -> str:
    evenly = _lines(found.summary.dropna(subset="even").drop_duplicates("score"))
    return ", ".join(f"{SCORES[line['score']].title} {line['even']:.3f}" for line in evenly)


def _section(title: str, frame: pd.DataFrame) -> str:
    return f"{title}\n\n{_pipes(frame)}" if len(frame) else ""


def _pipes(frame: pd.DataFrame) -> str:
    rows: Sequence[Sequence[str]] = [list(frame.columns), ["---"] * frame.shape[1], *frame.to_numpy().tolist()]
    return "\n".join("| " + " | ".join(str(cell) for cell in row) + " |" for row in rows)
