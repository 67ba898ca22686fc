"""How much stronger methods make each layer's gradient: inside the backward pass, and before the step."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

COLUMNS = [
    *("run", "step", "layer", "name", "depth", "rms", "plain_rms"),
    *("amplification", "gain", "share_above_one"),
]
GAUSSIAN_SHARE = 0.317
"""Share of a Gaussian beyond its own root mean square: what Bu et al. (2026) expect of normalised derivatives."""

Reach = Mapping[str, int]
"""By method: how many layers below the one it is recorded at its gain begins to be felt by the weights' gradients."""


def reach(config: Mapping[str, Any]) -> Reach:  # Any: whatever a config holds, ours or a user's
    """The reach of the methods of a run.

    The direct form of pseudo_norm acts on the weights of its own layer already, the dual form from below its group of
    `every` layers on; gradient amplification stands behind its layer, backward gradient normalisation in front of it.

    >>> reach({"methods": [{"name": "pseudo_norm", "form": "dual", "every": 2}]})["pseudo_norm"]
    2
    """
    methods = config.get("methods") or ()
    named = {m["name"]: m for m in methods if isinstance(m, Mapping) and "name" in m}
    own = named.get("pseudo_norm", {})
    dual = int(own.get("every", 1)) if own.get("form") == "dual" else 0
    return {"pseudo_norm": dual, "gradient_amplification": 0, "backward_gradient_norm": 1}


def of_profile(
    profile: pd.DataFrame, gains: pd.DataFrame, raw: pd.DataFrame, reaches: Mapping[int, Reach]
) -> pd.DataFrame:
    """What became of each layer's gradient on its way, at the profile's step; runs without such a method are left out.

    amplification = (product of the gains above the layer that its weights feel) x RMS(gradient) / RMS(raw gradient),
    and plain_rms = rms / amplification: the gradient that plain backpropagation would have given the same weights.
    Exact for gains that are one number for the batch on a chain of layers; with one for each sample, whose mean is
    recorded, and with shortcuts an estimate.

    Args:
        profile: `gradscope.store.read.profile` of the gradient.
        gains: `gradscope.store.read.gains` at the same step.
        raw: `gradscope.store.read.profile` of the raw gradient at the same step.
        reaches: by run, from `reach`.

    Returns:
        One row a layer: run, step, layer, name, depth, rms and plain_rms (nats per unit weight), amplification (1 =
        untouched; NaN = unknown), gain (of the layer itself, all methods together; NaN = none), share_above_one.
    """
    here = profile[["run", "step", "layer", "name", "depth", "rms"]]
    at = here[["run", "step"]].drop_duplicates()
    gains, raw = gains.merge(at, on=["run", "step"]), raw.merge(at, on=["run", "step"])
    touched = set(gains["run"]) | set(raw["run"])
    runs = {int(run): here[here["run"] == run] for run in sorted(touched)}
    frames = [_of_run(own, gains, raw, reaches[run]) for run, own in runs.items()]
    return pd.concat(frames, ignore_index=True)[COLUMNS] if frames else pd.DataFrame(columns=COLUMNS)


def _of_run(own: pd.DataFrame, gains: pd.DataFrame, raw: pd.DataFrame, reaches: Reach) -> pd.DataFrame:
    run = own["run"].iloc[0]
    mine = gains[gains["run"] == run]
    begins = mine["layer"] - mine["method"].map(dict(reaches)).fillna(0)
    layers = own["layer"].to_numpy()
    felt = layers[:, None] <= begins.to_numpy()[None, :]
    inside = np.where(felt, mine["gain"].to_numpy()[None, :], 1.0).prod(axis=1)
    before = raw[raw["run"] == run].set_index("layer")["rms"].reindex(layers)
    treated = (own["rms"].to_numpy() / before.where(before > 0).to_numpy()).astype(float)
    amplification = inside * np.where(before.isna().to_numpy(), 1.0, treated)
    by_layer = mine.groupby("layer")
    return own.assign(
        amplification=amplification,
        plain_rms=own["rms"].to_numpy() / amplification,
        gain=by_layer["gain"].prod(min_count=1).reindex(layers).to_numpy(),
        share_above_one=by_layer["share_above_one"].max().reindex(layers).to_numpy(),
    )
