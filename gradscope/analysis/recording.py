"""What a run's recording cost, and what is missing in it, in words."""

import pandas as pd

from gradscope.analysis.wording import count, percent
from gradscope.records import Run


def share_of_time(run: Run) -> float | None:
    """Share in 0..1 of the training thread's time that recording took; None before anything was watched."""
    return run.recorder_seconds / run.watched_seconds if run.watched_seconds > 0 else None


def cost(run: Run) -> str | None:
    """How much of the time recording took, and how often it was done; None before anything was watched.

    The share is that of the training thread, of the time from the beginning of the watch to its last step.
    """
    share = share_of_time(run)
    if share is None:
        return None
    took = f"recording took {percent(share) if share >= 0.001 else 'less than 0.1 %'} of the time"
    every, budget = run.pace.record_every, run.pace.record_budget
    if every is None:
        return took
    often = "every step" if every == 1 else f"every {every} steps"
    return f"{took}, {often}" if budget is None else f"{took}, {often} for a budget of {100 * budget:.3g} %"


def lost(run: Run) -> str | None:
    """How much the store could not take; None if nothing was lost."""
    if not run.lost_rows:
        return None
    rows = "1 row was" if run.lost_rows == 1 else f"{count(run.lost_rows)} rows were"
    return f"{rows} lost, because the store could not be written in time"


def skipped(steps: pd.DataFrame) -> str | None:
    """How often gradient scaling skipped a step of one run, and where it overflowed last; None if it never did.

    Args:
        steps: as `store.read.skipped_steps` gives them.
    """
    if steps.empty:
        return None
    last = steps.iloc[-1]
    where = f", in layer {last['name']}" if isinstance(last["name"], str) else ""
    often = "once" if len(steps) == 1 else f"{count(len(steps))} times"
    return f"gradient scaling skipped a step {often}, last step {last['step']}{where}"
