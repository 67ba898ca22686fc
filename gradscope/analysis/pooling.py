"""Runs of the same settings and different seeds as one: profiles, curves and histograms of a group.

A group goes by the number of its first run, as `gradscope.analysis.robustness.same_settings` gives it, so that what is
pooled is drawn and named by the same functions as a single run.
"""

import re
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

_SEED = re.compile(r"[\s,;_-]*\bseed[\s=_-]*\d+$", re.IGNORECASE)


def members(groups: Mapping[int, int]) -> dict[int, list[int]]:
    """The runs of each group, both in the order given.

    >>> members({4: 4, 5: 4, 6: 6})
    {4: [4, 5], 6: [6]}
    """
    found: dict[int, list[int]] = {}
    for run, group in groups.items():
        found.setdefault(group, []).append(run)
    return found


def name_of_group(first: str, seeds: Sequence[object]) -> str:
    """What several runs are called together: the name of the first without its seed, and how many they are.

    Args:
        first: name of the first run.
        seeds: of all of them; where two share one, or have none, they are called runs and not seeds.

    >>> name_of_group("relu lr=0.1 seed=3", [3, 4]), name_of_group("relu", [3, 3]), name_of_group("relu seed=3", [3])
    ('relu lr=0.1, 2 seeds', 'relu, 2 runs', 'relu seed=3')
    """
    n = len(seeds)
    what = "seeds" if len(set(seeds) - {None}) == n else "runs"
    return f"{_SEED.sub('', first)}, {n} {what}" if n > 1 else first


def pooled_profile(profile: pd.DataFrame, groups: Mapping[int, int]) -> pd.DataFrame:
    """A row a group and layer instead of a row a run and layer.

    Args:
        profile: `gradscope.store.read.profile` of the runs.
        groups: the group of each run.

    Returns:
        The same columns and two more. run: the group; step: the latest; rms and mean_abs: the geometric mean over the
        runs in which they are above zero (zero if they are zero in all); max_abs: the largest; n, zeros, nan, pos_inf,
        neg_inf: sums; saturated, dead: means; low and high: the least and the greatest RMS of the runs, NaN in a group
        of one.
    """
    rows = profile[profile["run"].isin(list(groups))]
    rows = rows.assign(group=rows["run"].map(dict(groups)))
    by = rows.groupby(["group", "layer"], sort=True)
    found = by.agg(
        {
            **dict.fromkeys(("name", "depth"), "first"),
            **dict.fromkeys(("step", "max_abs"), "max"),
            **dict.fromkeys(("n", "zeros", "nan", "pos_inf", "neg_inf"), "sum"),
            **dict.fromkeys(("rms", "mean_abs"), geometric_mean),
            **dict.fromkeys(("saturated", "dead"), "mean"),
        }
    )
    several = by["run"].nunique() > 1
    found["low"], found["high"] = by["rms"].min().where(several), by["rms"].max().where(several)
    columns = [*profile.columns, "low", "high"]
    return found.reset_index().rename(columns={"group": "run"})[columns]


def geometric_mean(values: pd.Series) -> float:
    """Of those above zero; zero if there are only zeros, NaN if nothing is finite.

    >>> round(geometric_mean(pd.Series([1.0, 100.0, 0.0, np.nan])), 6), geometric_mean(pd.Series([0.0, 0.0]))
    (10.0, 0.0)
    """
    known = values.to_numpy(dtype=np.float64)
    known = known[np.isfinite(known)]
    positive = known[known > 0]
    if positive.size:
        return float(np.exp(np.log(positive).mean()))
    return 0.0 if known.size else float("nan")


def pooled_curves(metrics: pd.DataFrame, groups: Mapping[int, int]) -> pd.DataFrame:
    """The mean curve of each group, with a standard deviation to both sides.

    Args:
        metrics: `gradscope.store.read.metrics` of the runs.
        groups: the group of each run.

    Returns:
        The same columns and two more. run: the group; value, epoch, seconds: means over the runs; low and high: a
        standard deviation below and above, NaN in a group of one. In a group of several only the steps that all of its
        runs with such a curve have: a mean whose members change from step to step jumps.
    """
    rows = metrics[metrics["run"].isin(list(groups))]
    rows = rows.assign(group=rows["run"].map(dict(groups)))
    by = rows.groupby(["group", "name", "step"], sort=True)
    n = by["run"].nunique()
    # a value that is not finite makes the mean so: min_count is what pandas calls that
    value = by["value"].agg(lambda values: values.mean(skipna=False))
    spread = by["value"].std().where(n > 1)
    found = pd.DataFrame({"epoch": by["epoch"].mean(), "value": value, "seconds": by["seconds"].mean(), "n": n})
    found["low"], found["high"] = value - spread, value + spread
    found = found.reset_index().rename(columns={"group": "run"})
    complete = found["n"] == found.groupby(["run", "name"])["n"].transform("max")
    return found.loc[complete, [*metrics.columns, "low", "high"]]


def pooled_counts(counts: Mapping[int, NDArray[np.int64]], groups: Mapping[int, int]) -> dict[int, NDArray[np.int64]]:
    """The histogram of each group: the sum of its runs', which is exact because all have the same edges.

    Args:
        counts: of each run that has any, shape (gradscope.histogram.BINS,).
        groups: the group of each run.
    """
    found: dict[int, NDArray[np.int64]] = {}
    for run, own in counts.items():
        found[groups[run]] = found[groups[run]] + own if groups[run] in found else own.copy()
    return found


def pooled_shares(shares: pd.DataFrame, groups: Mapping[int, int]) -> pd.DataFrame:
    """The mean share of each term of the loss in every layer's gradient, a row a group, layer and term.

    Args:
        shares: `gradscope.store.read_terms.term_gradients` of the runs.
        groups: the group of each run.

    Returns:
        The same columns; run: the group; step: the latest; share: the mean of those known; rms: the geometric mean.
    """
    rows = shares[shares["run"].isin(list(groups))]
    rows = rows.assign(group=rows["run"].map(dict(groups)))
    by = rows.groupby(["group", "layer", "term"], sort=False)
    found = by.agg(
        name=("name", "first"),
        depth=("depth", "first"),
        step=("step", "max"),
        share=("share", "mean"),
        rms=("rms", geometric_mean),
    )
    return found.reset_index().rename(columns={"group": "run"})[list(shares.columns)]
