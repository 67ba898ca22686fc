"""How large an experiment is run: as published, in an hour on a processor, or in seconds to try the machinery."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

from gradscope.config import Cifar10, Cifar100, DataSettings, Digits, Folder, Parquet, Rdrd, Robustness, RunConfig
from gradscope.errors import ConfigError
from gradscope.reproduce.paper import Experiment

TINY_IMAGES, TINY_EPOCHS = 100, 2
GLANCE_IMAGES, GLANCE_EPOCHS = 2_000, 6
SHORT_IMAGES, SHORT_EPOCHS = 5_000, 5
CPU_IMAGES, CPU_EPOCHS, CPU_TAIL_EPOCHS = 10_000, 6, 1


@dataclass(frozen=True, kw_only=True)
class Scale:
    """A size of an experiment."""

    name: str
    says: str
    """For whom reads its figures; without a time, which is estimated beforehand and measured afterwards."""
    fit: Callable[[RunConfig], RunConfig]
    """From the full config to that of this size."""
    noise: Robustness
    """How trained networks are tested on noisy pictures."""
    whole: bool = False
    """Whether networks and pictures are the paper's own, whatever they cost."""

    def config(self, experiment: Experiment) -> RunConfig:
        """Of an experiment at this size."""
        if self.whole:
            return self.fit(experiment.config)
        fitted = self.fit(experiment.lighter or experiment.config)
        longer = fitted.train.model_copy(update={"epochs": fitted.train.epochs * experiment.longer})
        return fitted.model_copy(update={"train": longer})


def _changed(config: RunConfig, data: DataSettings, epochs: int, tail: int, every: int) -> RunConfig:
    schedule = config.schedule.model_copy(update={"tail_epochs": min(config.schedule.tail_epochs, tail)})
    train = config.train.model_copy(update={"epochs": epochs})
    record = config.record.model_copy(update={"every": every})
    return config.model_copy(update={"data": data, "schedule": schedule, "train": train, "record": record})


def _full(config: RunConfig) -> RunConfig:
    return config


def _glance(config: RunConfig) -> RunConfig:
    return _changed(config, _some(config, GLANCE_IMAGES), GLANCE_EPOCHS, 1, every=50)


def _short(config: RunConfig) -> RunConfig:
    return _changed(config, _some(config, SHORT_IMAGES), SHORT_EPOCHS, 1, every=50)


def _cpu(config: RunConfig) -> RunConfig:
    return _changed(config, _some(config, CPU_IMAGES), CPU_EPOCHS, CPU_TAIL_EPOCHS, every=50)


def _some(config: RunConfig, images: int) -> DataSettings:
    """At most so many pictures, and a tenth for validation; radar frames are few enough to be used whole."""
    if isinstance(config.data, Rdrd):
        return config.data
    return config.data.model_copy(update={"limit": images, "val_fraction": 0.1})


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
            name="glance",
            says=f"{GLANCE_IMAGES:,} pictures of CIFAR to train on and as many to test (radar frames: all), "
            f"{GLANCE_EPOCHS} epochs. Says whether a method learns at all, and little of which is better.",
            fit=_glance,
            noise=Robustness(levels=(0.1, 0.3, 1.0), draws=2, images=500),
        ),
        Scale(
            name="short",
            says=f"{SHORT_IMAGES:,} pictures of CIFAR to train on and as many to test (radar frames: all), "
            f"{SHORT_EPOCHS} epochs. Too short to compare with the published figures; what can be compared is one "
            "experiment with another, at the very start of training.",
            fit=_short,
            noise=Robustness(levels=(0.1, 0.3, 1.0), draws=2, images=500),
        ),
        Scale(
            name="cpu",
            says=f"{CPU_IMAGES:,} pictures of CIFAR to train on and as many to test (radar frames: all), {CPU_EPOCHS} "
            "epochs. Too short to compare with the published figures; what can be compared is one experiment with "
            "another, early in training.",
            fit=_cpu,
            noise=Robustness(levels=(0.1, 0.2, 0.3, 0.5, 1.0), draws=3, images=1000),
        ),
        Scale(
            name="full",
            says="As published, as far as the paper's settings are known.",
            fit=_full,
            noise=Robustness(),
            whole=True,
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


def lacking(config: RunConfig, folder: str | None) -> str | None:
    """The sub-folder that a folder of data sets would need for this run; None where it has it, or it is downloaded."""
    reader = _READERS.get(type(config.data))
    if reader is None or (folder is None and reader.downloads):
        return None
    return None if folder and _path(folder, reader).is_dir() else reader.name


def read_from(config: RunConfig, folder: str | None) -> RunConfig:
    """The config with its data taken from a folder of data sets that has them; else as it is."""
    reader = _READERS.get(type(config.data))
    if folder is None or reader is None or lacking(config, folder):
        return config
    return config.model_copy(update={"data": reader.read(config.data, str(_path(folder, reader)))})


def in_form_of(config: RunConfig, path: str) -> RunConfig:
    """The config with its data read as a run read them that has this path, if these are the same data."""
    reader = _READERS.get(type(config.data))
    if reader is None or PurePath(path).name != reader.name:
        return config
    return config.model_copy(update={"data": reader.read(config.data, path)})


def _path(folder: str, reader: "_Reader") -> Path:
    return Path(folder).expanduser().absolute() / reader.name


def _as_parquet(data: DataSettings, path: str) -> DataSettings:
    common: dict[str, Any] = data.model_dump(exclude={"name"})
    return Parquet(path=path, **common)


def _with_path(data: DataSettings, path: str) -> DataSettings:
    return data.model_copy(update={"path": path})


@dataclass(frozen=True, kw_only=True)
class _Reader:
    """How a data set is taken from a folder of data sets."""

    name: str
    """Of its sub-folder."""
    read: Callable[[DataSettings, str], DataSettings]
    """From the settings and the sub-folder's path."""
    downloads: bool = True
    """Whether it can be had without a folder."""


_READERS: Mapping[type[DataSettings], _Reader] = {
    Cifar10: _Reader(name="cifar10", read=_as_parquet),
    Cifar100: _Reader(name="cifar100", read=_as_parquet),
    Rdrd: _Reader(name="rdrd", read=_with_path, downloads=False),
    Folder: _Reader(name="imagenet", read=_with_path, downloads=False),
    Parquet: _Reader(name="tiny_imagenet_20", read=_with_path, downloads=False),
}
