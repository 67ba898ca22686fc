"""The page Compare as one HTML file that needs nobody else."""

from collections.abc import Mapping
from datetime import UTC, datetime

import pandas as pd

from gradscope.analysis.wording import UNKNOWN, count, significant
from gradscope.exchange.html_report import Drawing, Part, Table, Words, html_report
from gradscope.records import Run
from gradscope.store import Store
from pages.frame import choice
from pages.frame.comparison_view import View
from pages.frame.downloads import Drawn

UNITS = {
    "test": "test accuracy, %",
    "± test": "deviation",
    "from": "95 % from",
    "to": "95 % to",
    "best val.": "best validation accuracy, %",
    "± val.": "deviation ",
    "a layer": "gradient a layer, \N{MULTIPLICATION SIGN}",
    "recording": "recording, % of the time",
}
"""What the columns of the results are called where no pointer explains them."""


def report(store: Store, view: View, how: str, drawn: list[Drawn], tables: Mapping[str, pd.DataFrame]) -> str:
    """Everything that is shown, as one HTML file.

    Args:
        store: where the runs are.
        view: what is compared, and how.
        how: the page's words on how to read it.
        drawn: its figures.
        tables: its tables by their titles; an empty one is left out.
    """
    at = "the newest recorded step" if view.step is None else f"step {count(view.step)}"
    written = f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC"
    words = f"Written {written} from {store.shown}. Layers at {at}; seeds pooled where several runs share all settings."
    parts: list[Part] = [Words(text=words), Words(text=" ".join(how.replace("**", "").split()))]
    parts += [Drawing(figure=figure) for figure in drawn]
    parts += [Table(title=title, frame=_readable(frame)) for title, frame in tables.items() if len(frame)]
    parts.append(Table(title="Runs", frame=pd.DataFrame(map(_facts, view.runs))))
    return html_report("Comparison of " + ", ".join(look.label for look in view.looks.values()), parts)


def _facts(run: Run) -> dict[str, object]:
    return {
        "run": choice.text_of(run),
        "seed": run.provenance.seed,
        "started": f"{run.started:%Y-%m-%d %H:%M} UTC" if run.started else UNKNOWN,
        "device": run.provenance.device or UNKNOWN,
        "commit": (run.provenance.git_commit or UNKNOWN)[:10],
        "versions": ", ".join(f"{k} {v}" for k, v in run.provenance.versions.items()),
    }


def _readable(frame: pd.DataFrame) -> pd.DataFrame:
    """Numbers as text with their units, without the pictures of lines."""
    kept = frame.drop(columns=[""], errors="ignore").dropna(axis="columns", how="all").rename(columns=UNITS)
    return kept.map(lambda value: significant(value) if isinstance(value, float) else value)
