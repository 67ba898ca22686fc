"""Settings side by side: what differs between runs."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from gradscope.errors import ConfigError

ABSENT = "—"
"""Stands where a run does not have the setting."""


def flatten(config: Mapping[str, Any]) -> dict[str, str]:  # Any: whatever a config holds, ours or a user's
    """A nested config as dotted names and texts; a list of named things by their names.

    >>> flatten({"model": {"name": "mlp", "depth": 3}, "methods": [{"name": "clip", "limit": 0.5}]})
    {'model': 'mlp', 'model.depth': '3', 'methods.clip': 'on', 'methods.clip.limit': '0.5'}
    """
    return dict(_pairs("", config))


def _pairs(prefix: str, value: Any) -> list[tuple[str, str]]:  # Any: as above
    if isinstance(value, Mapping):
        pairs = []
        for key, inner in value.items():
            name = prefix if key == "name" and prefix else f"{prefix}.{key}" if prefix else str(key)
            pairs += [(name, str(inner))] if key == "name" else _pairs(name, inner)
        return pairs
    if isinstance(value, list | tuple) and value and all(isinstance(v, Mapping) and "name" in v for v in value):
        inner = [(f"{prefix}.{v['name']}", {k: x for k, x in v.items() if k != "name"}) for v in value]
        return [pair for name, rest in inner for pair in [(name, "on"), *_pairs(name, rest)]]
    if isinstance(value, list | tuple):
        return [(prefix, ", ".join(map(str, value)))] if value else []
    return [(prefix, ABSENT if value is None else str(value))]


def side_by_side(configs: Mapping[int, Mapping[str, Any]]) -> pd.DataFrame:  # Any: as above
    """One row a setting, one column a run; `ABSENT` where a run lacks it. Index: the setting's dotted name."""
    flat = {run: flatten(config) for run, config in configs.items()}
    names = list(dict.fromkeys(name for settings in flat.values() for name in settings))
    table = {run: [settings.get(name, ABSENT) for name in names] for run, settings in flat.items()}
    return pd.DataFrame(table, index=pd.Index(names, name="setting"), columns=list(configs))


def differing(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of `side_by_side` in which not all runs are equal."""
    return table[table.nunique(axis=1) > 1]


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[tuple[str, str, str]]:  # Any: as above
    """(setting, before, after) of every setting that is not the same."""
    table = differing(side_by_side({0: before, 1: after}))
    return [(str(name), str(row[0]), str(row[1])) for name, row in table.iterrows()]


_BESIDE_THE_RESULT = {"preset", "record"}
_OF_DATA = {"name", "path", "label"}
_OF_TRAIN = {"device", "cuda_graph", "checkpoint_every"}
_OF_TEACHER = {"teacher_run", "teacher_file"}


def as_now(config: Mapping[str, Any]) -> dict[str, Any]:  # Any: as above
    """A stored config as this version would store it: settings that came later have their default.

    One that this version does not understand stays as it is.
    """
    from gradscope.config import parse_config  # takes longer to import than pages that need the rest can wait

    try:
        return parse_config(config).model_dump(mode="json")
    except ConfigError:
        return dict(config)


def essence(config: Mapping[str, Any]) -> dict[str, Any]:  # Any: as above
    """The settings that decide a run's result: not where its data or its teacher lie, what is recorded, on which
    device it runs.
    """
    config = as_now(config)
    kept = {name: value for name, value in config.items() if name not in _BESIDE_THE_RESULT}
    kept["data"] = _without(config["data"], _OF_DATA)
    kept["train"] = _without(config["train"], _OF_TRAIN)
    kept["methods"] = [_without(method, _OF_TEACHER) for method in config["methods"]]
    return kept


def _without(settings: Mapping[str, Any], names: set[str]) -> dict[str, Any]:  # Any: as above
    return {name: value for name, value in settings.items() if name not in names}
