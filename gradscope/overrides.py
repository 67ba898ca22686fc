"""Changing a config by dotted names, as the command line's `--set`, the launch form and its grids do."""

from collections.abc import Mapping
from typing import Any

import yaml

from gradscope.config import CHOICES, RunConfig, data_classes, method_classes, parse_config
from gradscope.errors import ConfigError


def data_from_text(text: str) -> dict[str, Any]:
    """`digits`, `cifar10`, `folder:PATH`, `parquet:PATH` or `rdrd:PATH` as the settings of a data source."""
    name, _, path = text.partition(":")
    known = data_classes()
    if name not in known:
        raise ConfigError(
            f"data {text!r} is unknown; use one of {', '.join(known)} (folder:PATH, parquet:PATH, rdrd:PATH)"
        )
    if "path" in known[name].model_fields:
        if not path:
            raise ConfigError(f"data {name!r} needs a folder: write {name}:PATH")
        return {"name": name, "path": path}
    if path:
        raise ConfigError(f"data {name!r} takes no path, but {path!r} was given; write {name}")
    return {"name": name}


def with_overrides(config: RunConfig, assignments: Mapping[str, Any]) -> RunConfig:
    """The config with dotted settings changed, such as {"model.depth": 20, "methods.pseudo_norm.every": 1}.

    Choosing another member of a union ("optimizer.name": "adam") keeps the settings that both share only if they were
    changed from their default. A method is addressed by its name: setting one of its fields adds it, "off" removes it.
    With another number of epochs a constant tail of the schedule keeps its share of them, see `scaled_tail`.
    """
    values = config.model_dump(mode="json", exclude_defaults=False)
    # names first: they decide which other settings exist
    for path in sorted(assignments, key=lambda p: not p.endswith(".name")):
        _assign(values, path, _plain(path, assignments[path]))
    tail = scaled_tail(config, assignments)
    if tail is not None:
        values["schedule"][TAIL.partition(".")[2]] = tail
    return parse_config(values)


_EPOCHS = "train.epochs"
TAIL = "schedule.tail_epochs"
"""The setting that follows the number of epochs unless it is given."""


def scaled_tail(config: RunConfig, assignments: Mapping[str, Any]) -> int | None:
    """Epochs of the constant tail that keeps its share of the training; None where it stays as it is, or is given.

    The last 20 of 90 epochs become the last 2 of 10, and none of 1.

    Args:
        config: before the change.
        assignments: as `with_overrides` takes them.
    """
    tail, before = config.schedule.tail_epochs, config.train.epochs
    epochs = _plain(_EPOCHS, assignments.get(_EPOCHS, before))
    if not tail or TAIL in assignments or not isinstance(epochs, int) or epochs == before:
        return None
    return round(tail * epochs / before)


def tail_note(config: RunConfig, assignments: Mapping[str, Any]) -> str | None:
    """One sentence about a tail that was scaled; None where none was."""
    tail = scaled_tail(config, assignments)
    if tail is None:
        return None
    was = f"{config.schedule.tail_epochs} of {config.train.epochs} epochs"
    return f"{TAIL} is {tail}, in proportion to the {was} before; set it to have another"


def _plain(path: str, value: Any) -> Any:  # Any: whatever a user may write
    if not isinstance(value, str) or path in CHOICES or path.endswith(".name"):
        return value  # a name is a word, and may be that of a folder with characters that YAML has a meaning for
    try:
        return yaml.safe_load(value)
    except yaml.YAMLError:
        raise ConfigError(f"{path}: {value!r} cannot be read; put text with special characters in quotes") from None


def _assign(values: dict[str, Any], path: str, value: Any) -> None:
    section, _, rest = path.partition(".")
    if section == "methods":
        values["methods"] = _with_method(values["methods"], rest, value)
    elif section in CHOICES and rest in {"", "name"}:
        values[section] = _switched(section, values[section], value)
    elif section in values and rest and isinstance(values[section], dict):
        if rest not in values[section]:
            raise ConfigError(f"{path} is no setting; {section} has {', '.join(values[section])}")
        values[section][rest] = value
    else:
        raise ConfigError(f"{path!r} is no setting; write SECTION.NAME=VALUE with a section of {_sections()}")


def _sections() -> str:
    return ", ".join(n for n in RunConfig.model_fields if n != "preset")


def _switched(section: str, old: dict[str, Any], name: Any) -> dict[str, Any]:
    new = data_from_text(str(name)) if section == "data" else {"name": name}
    if new == {"name": old["name"]}:
        return old
    classes = CHOICES[section]()
    if new["name"] not in classes:
        raise ConfigError(f"{section} {name!r} is unknown; use one of {', '.join(classes)}")
    before, after = classes[old["name"]].model_fields, classes[new["name"]].model_fields
    kept = {k: v for k, v in old.items() if k in after and k not in {"name", "path"} and v != before[k].default}
    return classes[new["name"]].model_construct(**kept, **new).model_dump(mode="json")


def _with_method(methods: list[dict[str, Any]], rest: str, value: Any) -> list[dict[str, Any]]:
    name, _, field = rest.partition(".")
    if name not in method_classes():
        raise ConfigError(f"method {name!r} is unknown; use one of {', '.join(method_classes())}")
    others = [m for m in methods if m["name"] != name]
    present = next((m for m in methods if m["name"] == name), {"name": name})
    if not field:
        if value in (False, None):
            return others
        if value is not True:
            raise ConfigError(f"methods.{name}={value} is unclear; write on, off or methods.{name}.SETTING=VALUE")
        return [*others, present]
    if field not in method_classes()[name].model_fields:
        raise ConfigError(f"methods.{rest} is no setting; {name} has {', '.join(method_classes()[name].model_fields)}")
    return [*others, {**present, field: value}]
