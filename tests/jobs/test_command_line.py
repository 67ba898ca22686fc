"""A config as a command, and back."""

import shlex

import pytest

from gradscope.cli.train import config_of
from gradscope.config import (
    Adam,
    BatchNorm,
    ClipNorm,
    Cosine,
    Digits,
    Folder,
    Mlp,
    Parquet,
    PseudoNorm,
    Record,
    Resnet,
    RunConfig,
    Sgd,
    Shapes,
    StepDecay,
    Train,
)
from gradscope.jobs.command import command_line
from gradscope.overrides import with_overrides
from gradscope.presets import PRESETS
from gradscope.store import open_store


def parsed(line):
    """The config that `gradscope train` makes of the command: only the splitting is done here."""
    words = shlex.split(line)
    assert words[:2] == ["gradscope", "train"]
    given = list(zip(words[2::2], words[3::2], strict=True))
    one = dict(given)
    flags = {"data.name": one.get("--data"), "train.epochs": one.get("--epochs"), "train.seed": one.get("--seed")}
    return config_of(one.get("--preset"), flags, [value for option, value in given if option == "--set"])


def test_a_preset_as_it_is_needs_no_more_than_its_name():
    assert command_line(PRESETS["tanh"].config, "my run") == "gradscope train --preset tanh --name 'my run'"


def test_only_what_differs_is_said():
    config = with_overrides(PRESETS["relu"].config, {"model.depth": 20, "train.epochs": 3, "train.seed": 7})
    expected = "gradscope train --preset relu --set model.depth=20 --epochs 3 --seed 7 --name deep"
    assert command_line(config, "deep") == expected


def test_a_store_that_is_not_the_default_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, words in (("runs.db", ""), ("my runs.db", f"--store '{tmp_path}/my runs.db' ")):
        store = open_store(name, create=True)
        assert command_line(PRESETS["tanh"].config, "x", store) == f"gradscope train --preset tanh {words}--name x"
        store.close()


CONFIGS = {
    "nothing set": RunConfig(),
    "other model": RunConfig(model=Resnet(depth=8, width=4)),
    "another model of the same activation": with_overrides(
        PRESETS["tanh"].config, {"model.name": "resnet", "model.depth": 20}
    ),
    "a switch that would keep a setting": PRESETS["tanh"].config.model_copy(
        update={"model": Resnet(), "optimizer": Adam()}
    ),
    "data with a path": RunConfig(data=Parquet(path="/some where/cifar: 10", label="fine_label", limit=50)),
    "folder": RunConfig(data=Folder(path="/pictures", size=16)),
    "shapes": RunConfig(data=Shapes(train_size=60, val_fraction=0.25)),
    "small data": RunConfig(data=Digits(limit=100, normalise="unit", augment="flip_crop")),
    "numbers": RunConfig(optimizer=Sgd(lr=1e-05, momentum=0.9, nesterov=True, weight_decay=3e-10)),
    "lists": RunConfig(schedule=StepDecay(milestones=(1e-05, 0.25, 0.5), gamma=0.3)),
    "schedule": RunConfig(schedule=Cosine(min_lr=1e-6, tail_epochs=2), train=Train(epochs=5)),
    "methods": RunConfig(methods=(BatchNorm(), PseudoNorm(every=3, scope="batch"), ClipNorm())),
    "regular expression": RunConfig(record=Record(layers=r"^(fc|conv)[0-9]+\.weight: 'x'$", log="gradients")),
    "word that YAML reads as a boolean": RunConfig(record=Record(layers="on")),
    "number as a word": RunConfig(record=Record(layers="12")),
    "no preset, device": RunConfig(model=Mlp(residual=True), train=Train(device="cuda:1", mixed_precision=False)),
} | {name: p.config for name, p in PRESETS.items()}


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS.keys())
def test_the_command_makes_the_same_config_again(config):
    assert parsed(command_line(config, "x")) == config


@pytest.mark.parametrize("start", PRESETS)
@pytest.mark.parametrize("aim", PRESETS)
def test_from_any_preset_to_the_settings_of_any_other(start, aim):
    config = PRESETS[aim].config.model_copy(update={"preset": start})
    assert parsed(command_line(config, "x")) == config


def test_a_preset_that_no_longer_exists_leaves_the_settings():
    config = PRESETS["tanh"].config
    line = command_line(config.model_copy(update={"preset": "once upon a time"}), "x")
    assert "--preset" not in line
    assert parsed(line) == config.model_copy(update={"preset": None})
