"""What an export says of a run beside its numbers: `run.json`, also carried in event files."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

from gradscope.records import Layer, Run
from gradscope.store import Store, read

TAG = "gradscope/run"
"""Under which it lies in an event file."""


def document(store: Store, run_id: int) -> str:
    """The run and its layers as JSON."""
    frame = read.layers(store, [run_id]).drop(columns=["run", "depth"])
    whole = {"run": asdict(read.run(store, run_id)), "layers": frame.to_dict("records")}
    return json.dumps(whole, indent=2, ensure_ascii=False, default=_plain)


def _plain(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def parsed(text: str) -> Mapping[str, Any]:  # Any: JSON
    """Back from text."""
    found: Mapping[str, Any] = json.loads(text)
    return found


def layers_of(found: Mapping[str, Any]) -> list[Layer]:  # Any: JSON
    """The layers of a document."""
    return [
        Layer(
            index=row["layer"],
            name=row["name"],
            type=row["type"],
            shape=tuple(row["shape"]),
            n_weights=row["n_weights"],
            trainable=row["trainable"],
        )
        for row in found["layers"]
    ]


def began(found: Mapping[str, Any]) -> float:  # Any: JSON
    """`started` of a document's run."""
    return datetime.fromisoformat(found["run"]["started"] or found["run"]["created"]).timestamp()


def started(run: Run) -> float:
    """Seconds since 1970 at which the clock of its curves began."""
    return (run.started or run.created).timestamp()
