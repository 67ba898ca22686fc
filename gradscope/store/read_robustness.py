"""The part of `read` that is about robustness."""

import zlib
from collections.abc import Iterable

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sqlalchemy import Select, select

from gradscope.measured import CLEAN
from gradscope.store.engine import Store
from gradscope.store.schema import RobustnessRow

POINT_COLUMNS = [
    *("run", "kind", "level", "accuracy", "deviation", "draws", "images", "seed", "step", "fingerprint", "device"),
    *("per_class", "computed"),
]
Key = tuple[str, float, int, int, int]
"""(kind, level, seed, draws, images)."""


def known(store: Store, run_id: int, fingerprint: str) -> set[Key]:
    """What is computed already of these weights of a run."""
    columns = [getattr(RobustnessRow, name) for name in ("kind", "level", "seed", "draws", "images")]
    chosen = (RobustnessRow.run_id == run_id, RobustnessRow.fingerprint == fingerprint)
    with store.reader.connect() as connection:
        rows = connection.execute(select(*columns).where(*chosen))
        return {(str(k), float(a), int(s), int(d), int(n)) for k, a, s, d, n in rows}


def points(store: Store, run_ids: Iterable[int]) -> pd.DataFrame:
    """Accuracy of runs on disturbed test pictures, of each kind as it was measured last.

    A run may have been measured with several seeds, numbers of draws or pictures, and at several checkpoints; points
    that differ in these do not make a curve. Of each run and kind those stay that agree with the newest one, and each
    kind has a point at level 0, the undisturbed pictures, where these were measured alike.

    Columns: run, kind, level, accuracy (0..1), deviation (over draws; NaN = a single draw), draws, images, seed, step,
    fingerprint, device, per_class (dict by class name), computed. By run, kind and level.
    """
    names = ["run_id", *POINT_COLUMNS[1:]]
    statement = select(*(getattr(RobustnessRow, name) for name in names)).where(RobustnessRow.run_id.in_(list(run_ids)))
    frame = _frame(store, statement)
    curves = [_curve(group) for _, group in frame.groupby(["run", "kind"]) if group["kind"].iloc[0] != CLEAN]
    with_clean = [_with_clean(curve, frame) for curve in curves]
    whole = pd.concat(with_clean, ignore_index=True) if with_clean else frame.iloc[:0]
    return whole.sort_values(["run", "kind", "level"], ignore_index=True)


def _frame(store: Store, statement: Select[*tuple[object, ...]]) -> pd.DataFrame:
    with store.reader.connect() as connection:
        rows = [tuple(row) for row in connection.execute(statement)]
    frame = pd.DataFrame.from_records(rows, columns=POINT_COLUMNS)
    return frame.astype({"level": "float64", "accuracy": "float64", "deviation": "float64"})


def _curve(of_kind: pd.DataFrame) -> pd.DataFrame:
    """Those points of a run and kind that were computed like the newest one."""
    alike = ["fingerprint", "seed", "draws", "images"]
    newest = of_kind.sort_values("computed")[alike].iloc[-1]
    return of_kind[(of_kind[alike] == newest).all(axis=1)]


def _with_clean(curve: pd.DataFrame, frame: pd.DataFrame) -> pd.DataFrame:
    alike = ["run", "fingerprint", "images"]
    clean = frame[(frame["kind"] == CLEAN) & (frame[alike] == curve[alike].iloc[0]).all(axis=1)].head(1)
    return pd.concat([clean.assign(kind=curve["kind"].iloc[0]), curve])


def right_counts(
    store: Store, run_id: int, fingerprint: str, kind: str, seed: int, draws: int, images: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Which pictures a network got right under one kind of disturbance.

    Returns:
        levels, rising, shape (L,), from 0 (undisturbed) if that was measured; and shares of the draws in which each
        picture was right, in 0..1, shape (L, images).
    """
    chosen = [
        RobustnessRow.run_id == run_id,
        RobustnessRow.fingerprint == fingerprint,
        RobustnessRow.images == images,
        ((RobustnessRow.kind == kind) & (RobustnessRow.seed == seed) & (RobustnessRow.draws == draws))
        | (RobustnessRow.kind == CLEAN),
    ]
    statement = select(RobustnessRow.level, RobustnessRow.draws, RobustnessRow.right).where(*chosen)
    with store.reader.connect() as connection:
        rows = {float(level): (d, zlib.decompress(blob)) for level, d, blob in connection.execute(statement)}
    shares = [np.frombuffer(rows[level][1], np.uint8) / rows[level][0] for level in sorted(rows)]
    return np.array(sorted(rows)), np.array(shares, dtype=np.float64).reshape(len(rows), images)
