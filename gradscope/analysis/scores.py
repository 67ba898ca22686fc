"""What networks look at, run against run: every score of every picture, its mean and how sure that is."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from gradscope.analysis import looks
from gradscope.analysis.agreement import rank_correlation
from gradscope.analysis.intervals import bootstrap, paired
from gradscope.attributions import Attributions, Checks

Cell = tuple[int, str]
"""A run, and a method with its settings as JSON."""

SUMMARY_COLUMNS = ["run", "method", "score", "mean", "low", "high", "n", "even"]
DIFFERENCE_COLUMNS = ["run", "against", "method", "score", "mean", "low", "high", "n"]


@dataclass(frozen=True, kw_only=True)
class Score:
    """A number a picture, in 0..1 unless said otherwise."""

    title: str
    meaning: str
    group: str


SCORES: Mapping[str, Score] = {
    "contour": Score(
        title="on contours", meaning="share of the attribution on the object's contour or edges", group="where"
    ),
    "interior": Score(title="inside", meaning="share inside the object, or on neither edge nor margin", group="where"),
    "margin": Score(title="at the margin", meaning="share in the outer eighth of the picture", group="where"),
    "red": Score(title="red", meaning="share in the red channel", group="colour"),
    "green": Score(title="green", meaning="share in the green channel", group="colour"),
    "blue": Score(title="blue", meaning="share in the blue channel", group="colour"),
    "pointing": Score(
        title="pointing game", meaning="share of maps whose greatest value is on the object", group="object"
    ),
    "iou": Score(title="overlap", meaning="intersection over union with the object", group="object"),
    "deletion": Score(
        title="deletion", meaning="class probability while the pixels of most evidence go; small is good", group="trust"
    ),
    "insertion": Score(title="insertion", meaning="class probability while they come; large is good", group="trust"),
    "sanity": Score(
        title="like random weights",
        meaning="rank correlation in -1..1 with the map of random weights; 0 is good",
        group="trust",
    ),
}
"""In the order in which they are shown."""


def per_picture(maps: Attributions, checks: Checks | None = None) -> pd.DataFrame:
    """Every score that applies, a column each, a row a picture; the index is the picture's place."""
    where = looks.regions(maps.images, maps.object_mask, maps.contour_mask)
    found = pd.DataFrame(looks.shares(maps.maps, where), index=pd.Index(maps.places, name="place"))
    if checks is not None:
        trust = {name: getattr(checks, name) for name in ("deletion", "insertion", "sanity")}
        found = found.join(pd.DataFrame(trust, index=pd.Index(checks.places, name="place")))
    return found[[name for name in SCORES if name in found]].astype("float64")


def even(maps: Attributions) -> dict[str, float]:
    """What a map of one value everywhere would score on these pictures."""
    return looks.even(looks.regions(maps.images, maps.object_mask, maps.contour_mask))


def summary(pictures: Mapping[Cell, pd.DataFrame], evenly: Mapping[str, float]) -> pd.DataFrame:
    """Mean and 95 % interval over the pictures of every score. Columns: SUMMARY_COLUMNS; even is NaN where unknown."""
    rows = [
        (run, method, score, found.mean, found.low, found.high, found.n, evenly.get(score, np.nan))
        for (run, method), frame in pictures.items()
        for score in frame.columns
        if (found := bootstrap(frame[score].to_numpy())).n
    ]
    return pd.DataFrame(rows, columns=SUMMARY_COLUMNS)


def differences(pictures: Mapping[Cell, pd.DataFrame], against: int) -> pd.DataFrame:
    """Score of each run less that of the run `against`, picture by picture, with its interval; DIFFERENCE_COLUMNS."""
    rows = []
    for (run, method), frame in pictures.items():
        base = pictures.get((against, method))
        if run == against or base is None:
            continue
        first, second = base.align(frame, join="inner")
        for score in second.columns:
            found = paired(first[score].to_numpy(), second[score].to_numpy())
            if found.n:
                rows.append((run, against, method, score, found.mean, found.low, found.high, found.n))
    return pd.DataFrame(rows, columns=DIFFERENCE_COLUMNS)


def agreement(cells: Mapping[Cell, Attributions]) -> pd.DataFrame:
    """How alike the maps of two runs are by each method: Spearman's rank correlation, picture by picture.

    Columns: run, other (run < other), method, mean, low, high, n.
    """
    rows = []
    for (run, method), first in cells.items():
        for (other, same), second in cells.items():
            if method != same or run >= other:
                continue
            both = sorted({*first.places.tolist()} & {*second.places.tolist()})
            pair = [m.take(_rows(m, both)) for m in (first, second)]
            found = bootstrap(rank_correlation(pair[0].maps, pair[1].maps))
            rows.append((run, other, method, found.mean, found.low, found.high, found.n))
    return pd.DataFrame(rows, columns=["run", "other", "method", "mean", "low", "high", "n"])


def _rows(maps: Attributions, places: list[int]) -> "np.ndarray[tuple[int], np.dtype[np.int64]]":
    at = {int(place): row for row, place in enumerate(maps.places)}
    return np.array([at[place] for place in places], dtype=np.int64)
