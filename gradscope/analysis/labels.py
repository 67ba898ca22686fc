"""Layers' names as short as they can be without two layers sharing one."""

from collections import Counter
from collections.abc import Sequence

import pandas as pd

Parts = tuple[str, ...]


def short_names(names: Sequence[str]) -> dict[str, str]:
    """The shortest run of parts of each dotted name that no other name holds; of equally short ones the leftmost.

    A number alone would be taken for the layer's index, so at least one part is a word; where no run of parts will do,
    the whole name stays.

    >>> short_names(["hidden.0.layer", "hidden.1.layer", "output"])
    {'hidden.0.layer': 'hidden.0', 'hidden.1.layer': 'hidden.1', 'output': 'output'}
    """
    runs = {name: _runs(tuple(name.split("."))) for name in names}
    holders = Counter(run for found in runs.values() for run in set(found))
    return {name: _shortest(found, holders) or name for name, found in runs.items()}


def with_short_names(statistics: pd.DataFrame) -> pd.DataFrame:
    """The same rows with the `name` of each layer as short as its run allows. Columns needed: run, name."""
    named = statistics.drop_duplicates(["run", "name"]).groupby("run")["name"]
    short = {(run, name): text for run, names in named for name, text in short_names(list(names)).items()}
    keys = zip(statistics["run"], statistics["name"], strict=True)
    return statistics.assign(name=[short[key] for key in keys])


def _runs(parts: Parts) -> list[Parts]:
    """Every run of neighbouring parts, the shortest first, from left to right."""
    n = len(parts)
    return [parts[i : i + length] for length in range(1, n + 1) for i in range(n - length + 1)]


def _shortest(runs: Sequence[Parts], holders: Counter[Parts]) -> str | None:
    fit = (run for run in runs if holders[run] == 1 and not all(part.isdecimal() for part in run))
    return next((".".join(run) for run in fit), None)
