"""A config as the command that trains it."""

import json
import shlex
from pathlib import Path
from typing import Any

from gradscope.config import CHOICES, RunConfig, method_classes
from gradscope.overrides import TAIL, scaled_tail
from gradscope.paths import DEFAULT_STORE, is_url
from gradscope.presets import PRESETS
from gradscope.store import Store

_SHORT = {"train.epochs": "--epochs", "train.seed": "--seed"}


def command_line(config: RunConfig, name: str, store: Store | None = None) -> str:
    """`gradscope train ...` that trains the same config, to be pasted into a shell.

    Names the preset that the config began from and only what differs from it.

    Args:
        config: what to train.
        name: of the run.
        store: where the run shall stand; named where it is not the default. A URL loses its password.
    """
    known = config.preset in PRESETS
    base = PRESETS[config.preset].config if config.preset in PRESETS else RunConfig()
    words = ["gradscope", "train", *(["--preset", str(config.preset)] if known else [])]
    for path, value in differences(base, config).items():
        if path == "data.name":
            words += ["--data", str(value)]
        elif path in _SHORT:
            words += [_SHORT[path], str(value)]
        else:
            words += ["--set", f"{path}={_text(value)}"]
    return shlex.join([*words, *_store_words(store), "--name", name])


def cure_command(run_id: int, store: Store) -> str:
    """The command that tries the remedies of a run one after another; see `command_line` of how the store is named."""
    return shlex.join(["gradscope", "cure", str(run_id), *_store_words(store)])


def _store_words(store: Store | None) -> list[str]:
    if store is None or (not is_url(store.name) and Path(store.name).absolute() == Path(DEFAULT_STORE).absolute()):
        return []
    return ["--store", store.shown if is_url(store.name) else str(Path(store.name).absolute())]


def differences(base: RunConfig, config: RunConfig) -> dict[str, Any]:  # Any: whatever a setting may be
    """The assignments that `gradscope.overrides.with_overrides` needs to make config of base."""
    old, new = base.model_dump(mode="json"), config.model_dump(mode="json")
    found: dict[str, Any] = {}
    for section in new:
        if section in CHOICES:
            found |= _of_choice(section, old[section], new[section])
        elif section == "methods":
            found |= _of_methods(old[section], new[section])
        elif section != "preset":
            found |= {f"{section}.{k}": v for k, v in new[section].items() if v != old[section][k]}
    # other epochs would scale a tail that is not named
    return found if scaled_tail(base, found) is None else {**found, TAIL: config.schedule.tail_epochs}


def _of_choice(section: str, old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    expected = old
    path = new.get("path")
    if new["name"] != old["name"] or path != old.get("path"):
        found[f"{section}.name"] = f"{new['name']}:{path}" if path else new["name"]
        expected = _after_switch(section, old, new["name"])
    same = {"name", "path"}
    return found | {f"{section}.{k}": v for k, v in new.items() if k not in same and v != expected[k]}


def _after_switch(section: str, old: dict[str, Any], name: str) -> dict[str, Any]:
    """Defaults of the new choice; what both share and the old one had changed is kept by a switch."""
    classes = CHOICES[section]()
    before, after = _defaults(classes[old["name"]]), _defaults(classes[name])
    return {k: old[k] if k in old and old[k] != before[k] else v for k, v in after.items()}


def _of_methods(old: list[dict[str, Any]], new: list[dict[str, Any]]) -> dict[str, Any]:
    before = {m["name"]: m for m in old}
    found: dict[str, Any] = {f"methods.{name}": False for name in before.keys() - {m["name"] for m in new}}
    for method in new:
        name = method["name"]
        expected = before.get(name) or _defaults(method_classes()[name])
        changed = {f"methods.{name}.{k}": v for k, v in method.items() if k != "name" and v != expected[k]}
        found |= changed or ({} if name in before else {f"methods.{name}": True})
    return found


def _defaults(settings: Any) -> dict[str, Any]:  # Any: a settings class, whose mypy type loses the constructor
    return dict(settings().model_dump(mode="json"))


def _text(value: object) -> str:
    """As YAML reads it back; words stay bare, so that the line can be read."""
    if isinstance(value, bool):
        return "on" if value else "off"
    return value if isinstance(value, str) and value.isidentifier() and value not in _NOT_WORDS else json.dumps(value)


_NOT_WORDS = {"on", "off", "yes", "no", "true", "false", "null", "y", "n"}
"""What YAML takes for something else than a word."""
