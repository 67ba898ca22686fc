"""How large an experiment is run: as published, in an hour on a processor, or in seconds to try the machinery."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gradscope.config import Cifar10, Cifar100, DataSettings, Digits, Parquet, Robustness, RunConfig
from gradscope.errors import ConfigError

TINY_IMAGES, TINY_EPOCHS = 100, 2
CPU_IMAGES, CPU_EPOCHS, CPU_TAIL_EPOCHS = 10_000, 6, 1

IN_FOLDER: Mapping[type[DataSettings], str] = {Cifar10: "cifar10", Cifar100: "cifar100"}
"""Data sets that a folder of Hugging Face parquet files may hold, and the sub-folder of each."""


@dataclass(frozen=True, kw_only=True)
class Scale:
    """A size of an experiment."""

    name: str
    says: str
    """For whom reads its figures."""
    fit: Callable[[RunConfig], RunConfig]
    """From the full config to that of this size."""
    noise: Robustness
    """How trained networks are tested on noisy pictures."""


def _changed(config: RunConfig, data: DataSettings, epochs: int, tail: int, every: int) -> RunConfig:
    schedule = config.schedule.model_copy(update={"tail_epochs": min(config.schedule.tail_epochs, tail)})
    train = config.train.model_copy(update={"epochs": epochs})
    record = config.record.model_copy(update={"every": every})
    return config.model_copy(update={"data": data, "schedule": schedule, "train": train, "record": record})


def _full(config: RunConfig) -> RunConfig:
    return config


def _cpu(config: RunConfig) -> RunConfig:
    data = config.data.model_copy(update={"limit": CPU_IMAGES, "val_fraction": 0.1})
    return _changed(config, data, CPU_EPOCHS, CPU_TAIL_EPOCHS, every=50)


def _tiny(config: RunConfig) -> RunConfig:
    common = {name: getattr(config.data, name) for name in ("normalise", "augment")}
    return _changed(config, Digits(limit=TINY_IMAGES, **common), TINY_EPOCHS, 1, every=10)


SCALES: Mapping[str, Scale] = {
    scale.name: scale
    for scale in (
        Scale(
            name="tiny",
            says=f"{TINY_IMAGES} hand-written digits, {TINY_EPOCHS} epochs: tries the machinery, tells nothing else.",
            fit=_tiny,
            noise=Robustness(levels=(0.1, 0.5), draws=2, images=50),
        ),
        Scale(
            name="cpu",
            says=f"{CPU_IMAGES:,} training pictures, as many test pictures, {CPU_EPOCHS} epochs: about an hour on two "
            "cores with three seeds. Too short to compare with the published figures; what can be compared is one "
            "experiment with another, early in training.",
            fit=_cpu,
            noise=Robustness(levels=(0.1, 0.2, 0.3, 0.5, 1.0), draws=3, images=1000),
        ),
        Scale(
            name="full",
            says="As published, as far as the paper's settings are known.",
            fit=_full,
            noise=Robustness(),
        ),
    )
}


def scale_of(name: str) -> Scale:
    """The scale of that name, or a ConfigError that lists them."""
    if name not in SCALES:
        raise ConfigError(f"scale {name!r} is unknown; use one of {', '.join(SCALES)}")
    return SCALES[name]


def with_seed(config: RunConfig, seed: int) -> RunConfig:
    """The same run with other weights, split and order."""
    return config.model_copy(update={"train": config.train.model_copy(update={"seed": seed})})


def read_from(config: RunConfig, folder: str | None) -> RunConfig:
    """The config with its data taken from a folder of parquet files, where it is one of those sets.

    Raises:
        ConfigError: the folder lacks the set.
    """
    name = IN_FOLDER.get(type(config.data))
    if folder is None or name is None:
        return config
    path = Path(folder).expanduser().absolute() / name
    if not (path / "train.parquet").is_file():
        raise ConfigError(
            f"--data-folder {folder} has no {name}/train.parquet; name a folder with it, or leave --data-folder out to "
            "download the set"
        )
    common: dict[str, Any] = config.data.model_dump(exclude={"name"})
    return config.model_copy(update={"data": Parquet(path=str(path), **common)})
