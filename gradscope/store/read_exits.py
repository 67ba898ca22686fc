"""The part of `read` that is about exits."""

from collections.abc import Iterable

import pandas as pd
from sqlalchemy import select

from gradscope.store import read
from gradscope.store.engine import Store
from gradscope.store.schema import ExitRow, ExitSweepRow

ALIKE = ["fingerprint", "images", "batch_size"]
"""What points have in common that were measured together."""
EXIT_COLUMNS = [
    *("run", *ALIKE, "exit", "point", "step", "accuracy", "loss", "calibration_error", "macs", "macs_asking"),
    *("parameters", "milliseconds", "device", "computed"),
]
SWEEP_COLUMNS = [
    *("run", *ALIKE, "rule", "threshold", "step", "accuracy", "macs", "milliseconds", "left", "device", "computed"),
]


def exits(store: Store, run_ids: Iterable[int]) -> pd.DataFrame:
    """What each run's network costs and is worth up to each of its exits, as it was measured last.

    Columns: run, fingerprint (of the weights), images, batch_size, exit (from 1), point (module; None for the last),
    step, accuracy (0..1), loss (nats), calibration_error (0..1), macs (a picture), macs_asking (with every earlier
    head), parameters, milliseconds (a picture), device, computed. By run and exit.
    """
    columns = [getattr(ExitRow, name) for name in EXIT_COLUMNS[1:]]
    statement = select(ExitRow.run_id, *columns).where(ExitRow.run_id.in_(list(run_ids)))
    return _newest(read.table_of(store, statement, EXIT_COLUMNS)).sort_values(["run", "exit"], ignore_index=True)


def sweeps(store: Store, run_ids: Iterable[int]) -> pd.DataFrame:
    """Accuracy and cost of each run where pictures leave at the first exit that is sure enough, as measured last.

    Columns: run, fingerprint, images, batch_size, rule (confidence or entropy), threshold, step, accuracy (0..1), macs
    (mean a picture), milliseconds (a picture), left (pictures by exit, a list), device, computed. By run, rule, macs.
    """
    columns = [getattr(ExitSweepRow, name) for name in SWEEP_COLUMNS[1:]]
    statement = select(ExitSweepRow.run_id, *columns).where(ExitSweepRow.run_id.in_(list(run_ids)))
    found = _newest(read.table_of(store, statement, SWEEP_COLUMNS))
    return found.sort_values(["run", "rule", "macs", "threshold"], ignore_index=True)


def _newest(frame: pd.DataFrame) -> pd.DataFrame:
    """Of each run those points that were measured like the newest one."""
    if frame.empty:
        return frame
    newest = frame.sort_values("computed").groupby("run")[ALIKE].last()
    kept = frame.merge(newest.reset_index(), on=["run", *ALIKE])
    return kept[list(frame.columns)]
