import pytest

from gradscope.records import Batch, Metric, Progress, Status
from gradscope.store import Store, write
from gradscope.store.read_metrics import highest, metric_names


@pytest.fixture
def runs(store: Store) -> list[int]:
    curves = [
        {"val_accuracy": [0.1, 0.7, None, 0.7, 0.5], "zeta": [1.0]},
        {"val_accuracy": [None], "acc": [0.2, 0.3]},
        {},
    ]
    found = []
    for values in curves:
        run_id = write.create_run(store, name="x", source="attached", config={}, status=Status.RUNNING)
        points = [Metric(name=n, step=10 * i, value=v) for n, row in values.items() for i, v in enumerate(row)]
        write.append(store, run_id, Batch(metrics=tuple(points), progress=Progress(last_step=40)))
        found.append(run_id)
    return found


def test_every_name_is_found_once(store: Store, runs: list[int]) -> None:
    assert metric_names(store, runs) == ["acc", "val_accuracy", "zeta"]
    assert metric_names(store, runs[2:]) == []


def test_the_highest_point_is_the_first_of_equals_and_finite(store: Store, runs: list[int]) -> None:
    assert highest(store, runs, ["val_accuracy"]).to_numpy().tolist() == [[runs[0], 0.7, 10]]
    assert highest(store, runs, ["val_accuracy", "acc"]).to_numpy().tolist() == [[runs[0], 0.7, 10], [runs[1], 0.3, 10]]
    assert highest(store, [], ["acc"]).empty
