"""What came of elastic networks exit by exit: the paper's figures beside ours."""

import math

import numpy as np
import pandas as pd

from gradscope.analysis.exits import by_exit, has_exits, metric_names
from gradscope.analysis.wording import UNKNOWN, percent, significant
from gradscope.records import Run, Status
from gradscope.reproduce.group import Group
from gradscope.reproduce.paper import Experiment
from gradscope.reproduce.summary import accuracy, by_experiment
from gradscope.store import Store, read, read_exits, read_metrics

COLUMNS = ["title", "exit", "published", "published_parameters", "mean", "deviation", "n", "macs", "parameters"]


def exit_by_exit(store: Store, group: Group) -> pd.DataFrame:
    """Test accuracy of every exit over the seeds.

    Columns: title, exit (from 1), published (accuracy in 0..1, NaN where unknown), published_parameters, mean and
    deviation (over the seeds, NaN below two), n (runs), macs and parameters (up to the exit, NaN where nobody measured
    them). Empty where no run with exits is completed.
    """
    parts = [
        _of(store, experiment, runs)
        for experiment, items in by_experiment(group)
        if (runs := [i.run for i in items if i.run and i.run.status is Status.COMPLETED and has_exits(i.run.config)])
    ]
    return pd.concat(parts, ignore_index=True)[COLUMNS] if parts else pd.DataFrame(columns=COLUMNS)


def _of(store: Store, experiment: Experiment, runs: list[Run]) -> pd.DataFrame:
    ids = [run.id for run in runs]
    names = metric_names(list(read_metrics.metric_names(store, ids)), "accuracy", "test")
    found = by_exit(read.metrics(store, ids, names)).groupby("exit")["value"]
    table = found.agg(mean="mean", deviation="std", n="count").reset_index().assign(title=experiment.title)
    costs = read_exits.exits(store, ids).drop_duplicates("exit").set_index("exit")
    known = dict(enumerate(experiment.exits, start=1))
    exits = [int(exit_) for exit_ in table["exit"]]
    return table.assign(
        published=[known[e].accuracy if e in known else math.nan for e in exits],
        published_parameters=[known[e].parameters if e in known else math.nan for e in exits],
        macs=[float(costs["macs"].get(e, math.nan)) for e in exits],
        parameters=[float(costs["parameters"].get(e, math.nan)) for e in exits],
    )


def exits_table(store: Store, group: Group) -> pd.DataFrame:
    """`exit_by_exit` as people read it; what is unknown throughout has no column."""
    found = exit_by_exit(store, group)
    ours = [accuracy(mean, deviation) for mean, deviation in zip(found["mean"], found["deviation"], strict=True)]
    table = pd.DataFrame(
        {
            "experiment": found["title"],
            "exit": found["exit"],
            "published": [percent(p) for p in found["published"]],
            "published, parameters": [_size(n) for n in found["published_parameters"]],
            "ours": ours,
            "MACs": [_size(n) for n in found["macs"]],
            "parameters": [_size(n) for n in found["parameters"]],
        }
    )
    kept = [name for name in table if name in {"experiment", "exit", "ours"} or set(table[name]) - {UNKNOWN}]
    return table[kept]


def _size(number: float) -> str:
    """Such as 6.71 M."""
    return UNKNOWN if np.isnan(number) else f"{significant(number / 1e6)} M"
