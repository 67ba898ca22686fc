"""What a switch of the page What if means: as settings of a run, as words, and how near a prediction came."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from gradscope.config import InceptionBn, Initialisation, MobileNet, Resnet, RunConfig, Torchvision
from gradscope.records import Run
from gradscope.store.read import STATS_COLUMNS

DEFAULT_SCHEME = "lecun"
DEFAULT_GAIN = 1 / math.sqrt(3)
"""PyTorch's own weights have the variance 1 / (3 fan_in): LeCun's scheme with this gain, and small random biases."""


@dataclass(frozen=True, kw_only=True)
class Switches:
    """What is changed; None leaves a thing as the run has it."""

    activation: str | None = None
    scheme: str | None = None
    """Of the initialisation."""
    gain: float = 1.0
    """Times that of the run's own initialisation, or of the chosen scheme."""
    batch_norm: bool | None = None
    shortcuts: bool | None = None
    pseudo_norm: int | None = None
    """Every how many activations; 0 for none."""
    form: str = "direct"
    """Of the pseudo-normalisation."""

    @property
    def is_none(self) -> bool:
        """Whether all is as the run has it."""
        return self == Switches(form=self.form)


def settings(config: RunConfig, switches: Switches) -> dict[str, Any]:  # Any: as with_overrides takes it
    """The switches as settings of a run, for `gradscope.overrides.with_overrides`; what the model lacks is left out."""
    found: dict[str, Any] = {}
    if switches.activation and has_activation(config):
        found["model.activation"] = switches.activation
    if switches.scheme or switches.gain != 1.0:
        found |= _initialisation(config, switches)
    if switches.batch_norm is not None and not has_norm_built_in(config):
        found["methods.batch_norm"] = switches.batch_norm and not getattr(config.model, "batch_norm", False)
        if not switches.batch_norm and hasattr(config.model, "batch_norm"):
            found["model.batch_norm"] = False
    if switches.shortcuts is not None and has_shortcuts(config):
        found["model.residual"] = switches.shortcuts
    if switches.pseudo_norm:
        found |= {"methods.pseudo_norm.every": switches.pseudo_norm, "methods.pseudo_norm.form": switches.form}
    elif switches.pseudo_norm == 0:
        found["methods.pseudo_norm"] = False
    return found


def _initialisation(config: RunConfig, switches: Switches) -> dict[str, Any]:  # Any: as above
    own = next((method for method in config.methods if isinstance(method, Initialisation)), None)
    if switches.scheme:
        scheme, base = switches.scheme, 1.0
    else:
        scheme, base = (own.scheme, own.gain) if own else (DEFAULT_SCHEME, DEFAULT_GAIN)
    # four digits: a launched run should have the gain that was predicted, and one that people can read
    gain = float(f"{base * switches.gain:.4g}")
    return {"methods.initialisation.scheme": scheme, "methods.initialisation.gain": gain}


def has_shortcuts(config: RunConfig) -> bool:
    """Whether shortcuts are a setting of the run's model."""
    return hasattr(config.model, "residual")


def has_norm_built_in(config: RunConfig) -> bool:
    """Whether the model has batch norm that no setting takes away."""
    return isinstance(config.model, Resnet | MobileNet | InceptionBn | Torchvision)


def has_activation(config: RunConfig) -> bool:
    """Whether the activation is a setting of the run's model."""
    return "activation" in type(config.model).model_fields


def in_words(switches: Switches) -> str:
    """What is changed, for the name of a run.

    >>> in_words(Switches(activation="relu", scheme="he", gain=1.5, batch_norm=True, pseudo_norm=0))
    'relu, he x1.5, batch norm, no pseudo-norm'
    """
    gain = "" if switches.gain == 1.0 else f"x{switches.gain:g}"
    weights = " ".join(part for part in (switches.scheme or ("weights" if gain else ""), gain) if part)
    norm = {None: "", True: "batch norm", False: "no norm"}[switches.batch_norm]
    shortcuts = {None: "", True: "shortcuts", False: "no shortcuts"}[switches.shortcuts]
    pseudo = "" if switches.pseudo_norm is None else _pseudo(switches.pseudo_norm, switches.form)
    return ", ".join(part for part in (switches.activation, weights, norm, shortcuts, pseudo) if part)


def _pseudo(every: int, form: str) -> str:
    return f"pseudo-norm {form} every {every}" if every else "no pseudo-norm"


def launched(runs: Sequence[Run], config: RunConfig) -> list[Run]:
    """The runs of these very settings, oldest first, however they came about."""
    wanted = _identity(config.model_dump(mode="json"))
    return sorted((run for run in runs if _identity(run.config) == wanted), key=lambda run: run.id)


def _identity(config: Mapping[str, Any]) -> str:  # Any: whatever a config holds
    """All of a config but where it came from and where it is computed."""
    train = config.get("train")
    rest = {k: v for k, v in train.items() if k != "device"} if isinstance(train, Mapping) else train
    return repr(sorted({k: v for k, v in {**config, "train": rest}.items() if k != "preset"}.items()))


def profile(rows: Sequence[Mapping[str, Any]], run: int, kind: str) -> pd.DataFrame:  # Any: JSON
    """The rows of an answer of the workbench that are of one kind, as `gradscope.store.read.profile` has them.

    Args:
        rows: of `gradscope.workbench.questions.what_if`.
        run: the number that they go by.
        kind: gradient, signal or activation.
    """
    own = [row for row in rows if row["kind"] == kind]
    frame = pd.DataFrame(own, columns=[*STATS_COLUMNS, "kind"]).assign(run=run, step=0)
    return frame.astype(dict.fromkeys(("rms", "mean_abs", "max_abs", "saturated", "dead"), "float64"))[STATS_COLUMNS]


def error_decades(predicted: pd.DataFrame, recorded: pd.DataFrame) -> float:
    """Mean distance of a prediction from what was recorded, over the layers of both, in decades; NaN if there are none.

    Args:
        predicted: a profile of one run.
        recorded: the same of the run that was launched.
    """
    both = predicted.merge(recorded, on="name", suffixes=("", "_recorded"))
    known = both[(both["rms"] > 0) & (both["rms_recorded"] > 0)]
    if known.empty:
        return float("nan")
    return float(np.abs(np.log10(known["rms"] / known["rms_recorded"])).mean())
