"""What a report is of: the command that gives it, what was run and what was not, and the time that it took."""

import math
import statistics
from collections.abc import Sequence

import numpy as np

from gradscope.analysis.wording import UNKNOWN, duration
from gradscope.records import Run
from gradscope.reproduce.group import Group, find_group
from gradscope.reproduce.paper import Experiment
from gradscope.reproduce.papers import options
from gradscope.reproduce.summary import by_experiment
from gradscope.store import Store, read


def command(group: Group) -> str:
    """What trains these runs where they are missing, without the file to report to."""
    experiments = [experiment for experiment, _ in by_experiment(group)]
    words = [
        *("gradscope", "reproduce", group.paper.name, "--scale", group.scale.name),
        *("--seeds", str(1 + max(item.seed for item in group.items))),
        *options(group.paper, experiments, heavy=group.scale.whole),
        *(("--data-folder", "PATH") if any(getattr(item.config.data, "path", "") for item in group.items) else ()),
    ]
    return " ".join(words)


def run_of_all(store: Store, group: Group) -> str:
    """How many of the paper's experiments and seeds these runs are, where and when they were trained, and how long."""
    runs = [item.run for item in group.items if item.run and item.run.results.test_accuracy is not None]
    if not runs:
        return "No run has ended yet."
    seeds = sorted({item.seed for item in group.items})
    whole = len(seeds) if len(runs) == len(group.items) else None
    devices = sorted({str(run.provenance.device) for run in runs})
    versions = sorted({f"torch {run.provenance.versions.get('torch', UNKNOWN)}" for run in runs})
    days = sorted({f"{run.started:%Y-%m-%d}" for run in runs if run.started})
    return (
        f"{len(runs)} runs of {len(group.items)}: {_of_the_paper(group)}, seeds {', '.join(map(str, seeds))}; "
        f"{', '.join(devices)}; {', '.join(versions)}; {', '.join(days)}. {_time(store, runs, whole)}"
    )


def _of_the_paper(group: Group) -> str:
    """Such as `9 of the paper's 13 experiments`."""
    own = [experiment for experiment, _ in by_experiment(group)]
    of = sum(not e.sweep for e in group.paper.experiments)
    parts = [f"{sum(not e.sweep for e in own)} of the paper's {of} experiments"]
    if any(e.sweep for e in own):
        of = len(group.paper.experiments) - of
        parts.append(f"{sum(e.sweep for e in own)} of the {of} that vary what it leaves open")
    return " and ".join(parts)


def _time(store: Store, runs: Sequence[Run], seeds: int | None) -> str:
    """As it was measured: by the clock, whatever else the machine did; for each seed where their number is given."""
    curves = read.metrics(store, [run.id for run in runs], ["val_loss"], max_points=2**20)
    each = curves.groupby("run")["seconds"].max().to_numpy(dtype=np.float64).tolist() if len(curves) else []
    if not each:
        return "How long they took is not recorded."
    whole = math.fsum(each)
    a_seed = f", {duration(whole / seeds)} a seed" if seeds else ""
    median, least, most = map(duration, (statistics.median(each), min(each), max(each)))
    return (
        f"By the clock training took {duration(whole)} in all{a_seed}, a median of {median} a run ({least} to {most})."
    )


def left_out(store: Store, group: Group) -> str:
    """Which of the paper's experiments are not among these, and whether the store has runs of them; empty for none."""
    here = {item.experiment.name for item in group.items}
    others = [e for e in group.paper.experiments if e.name not in here]
    asked = [e for e in others if not e.sweep]
    items = find_group(store, group.paper, group.scale, asked, sorted({item.seed for item in group.items})).items
    trained = {item.experiment.name for item in items if item.is_trained}
    parts = [
        _named("Not run at this scale", [e for e in asked if e.name not in trained]),
        _named("Run at this scale, and left out here", [e for e in asked if e.name in trained]),
    ]
    if len(asked) < len(others):
        n = len(others) - len(asked)
        parts.append(f"Of those that vary what the paper leaves open (`--sweep`) {n} are left out.")
    return " ".join(part for part in parts if part)


def _named(words: str, experiments: Sequence[Experiment]) -> str:
    names = [f"{e.title} (`{e.name}`{', takes a GPU' if e.heavy else ''})" for e in experiments]
    return f"{words}: {'; '.join(names)}." if names else ""
