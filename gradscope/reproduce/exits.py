"""What came of elastic networks exit by exit: the paper's figures beside ours."""

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
    them). Of an experiment whose exits the paper tells also before a run is completed.
    """
    parts = []
    for experiment, items in by_experiment(group):
        runs = [i.run for i in items if i.run and i.run.status is Status.COMPLETED and has_exits(i.run.config)]
        if runs or experiment.exits:
            parts.append(_of(store, experiment, runs))
    return pd.concat(parts, ignore_index=True)[COLUMNS] if parts else pd.DataFrame(columns=COLUMNS)


def _of(store: Store, experiment: Experiment, runs: list[Run]) -> pd.DataFrame:
    ids = [run.id for run in runs]
    names = metric_names(list(read_metrics.metric_names(store, ids)), "accuracy", "test")
    found = by_exit(read.metrics(store, ids, names)).groupby("exit")["value"]
    table = found.agg(mean="mean", deviation="std", n="count")
    costs = read_exits.exits(store, ids).drop_duplicates("exit").set_index("exit")[["macs", "parameters"]]
    figures = pd.DataFrame(
        [(i, e.accuracy, e.parameters) for i, e in enumerate(experiment.exits, start=1)],
        columns=["exit", "published", "published_parameters"],
    ).set_index("exit")
    whole = pd.concat([table, figures, costs.astype("float64")], axis=1).sort_index()
    return whole.rename_axis("exit").reset_index().assign(title=experiment.title)


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
