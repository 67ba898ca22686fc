import doctest
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from gradscope.analysis import curves, exits, settings, wording
from gradscope.analysis.estimate import estimate
from gradscope.analysis.life import seconds_left, seconds_taken, share_done
from gradscope.overrides import with_overrides
from gradscope.presets import PRESETS
from gradscope.records import Progress, Provenance, Results, Run, Status


@pytest.mark.parametrize("module", [curves, exits, settings, wording])
def test_the_examples_in_the_docstrings(module: object) -> None:
    assert doctest.testmod(module).failed == 0


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0999, "0.0999"), (0.09999, "0.100"), (9.999, "10.0"), (123456.0, "123000"), (2.5e7, "2.5·10⁷"), (None, "—")],
)
def test_three_significant_digits(value: float | None, text: str) -> None:
    assert wording.significant(value) == text


def test_smoothing_a_constant_changes_nothing() -> None:
    assert curves.smooth(np.full(5, 2.0), 0.9) == pytest.approx(np.full(5, 2.0))


def test_a_weight_of_one_is_refused() -> None:
    with pytest.raises(ValueError, match="weight must lie in"):
        curves.smooth(np.zeros(2), 1.0)


def test_best_is_least_loss_and_greatest_accuracy() -> None:
    rows = [(1, "val_loss", 0, 2.0), (1, "val_loss", 1, 1.0), (1, "val_loss", 2, np.nan)]
    rows += [(1, "val_accuracy", 0, 0.5), (1, "val_accuracy", 1, 0.4)]
    found = curves.best_and_last(pd.DataFrame(rows, columns=["run", "name", "step", "value"]))
    assert found.set_index("name")["best"].to_dict() == {"val_accuracy": 0.5, "val_loss": 1.0}
    assert found.set_index("name")["last"].to_dict() == {"val_accuracy": 0.4, "val_loss": 1.0}


def test_nothing_logged_is_an_empty_table() -> None:
    empty = pd.DataFrame({"run": [], "name": [], "step": [], "value": np.array([], dtype=float)})
    assert curves.best_and_last(empty).empty
    assert curves.smoothed(empty, 0.5)["smooth"].tolist() == []


def test_only_settings_that_differ_remain() -> None:
    configs = {i: PRESETS[name].config.model_dump(mode="json") for i, name in ((1, "tanh"), (2, "tanh-pn"))}
    table = settings.differing(settings.side_by_side(configs))
    assert table.loc["methods.pseudo_norm"].tolist() == ["—", "on"]
    assert "model.depth" not in table.index


def test_changes_from_a_preset() -> None:
    base = PRESETS["relu"].config
    changed = with_overrides(base, {"model.depth": 12})
    assert settings.changes(base.model_dump(mode="json"), changed.model_dump(mode="json")) == [
        ("model.depth", "10", "12")
    ]


def run(status: Status, **progress: object) -> Run:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    return Run(
        id=1,
        name="relu",
        status=status,
        source="train",
        config=PRESETS["relu"].config.model_dump(mode="json"),
        tags=(),
        note="",
        created=start,
        started=start,
        ended=None,
        heartbeat=start,
        progress=Progress(**{"last_step": 0, **progress}),
        results=Results(),
        provenance=Provenance(),
        n_parameters=None,
        stop_requested=False,
        error=None,
        nonfinite=None,
        lost_rows=0,
        recorder_seconds=0.0,
        revision=1,
    )


def test_a_quarter_done_in_a_minute_leaves_three() -> None:
    going = run(Status.RUNNING, last_step=249, total_steps=1000)
    now = datetime(2026, 1, 1, 0, 1, tzinfo=UTC)
    assert share_done(going) == 0.25
    assert seconds_left(going, now) == pytest.approx(180)


def test_a_resumed_run_needs_as_long_as_its_speed_says_however_shortly_ago_it_started() -> None:
    going = run(Status.RUNNING, last_step=499, total_steps=1000, samples_per_second=200.0)
    assert seconds_left(going, datetime(2026, 1, 1, 0, 0, 5, tzinfo=UTC)) == pytest.approx(500 * 50 / 200)


def test_the_time_taken_is_that_at_work_where_it_was_counted_and_else_since_the_start() -> None:
    now = datetime(2026, 1, 1, 0, 5, tzinfo=UTC)
    assert seconds_taken(run(Status.STOPPED, seconds=7.5), now) == 7.5
    assert seconds_taken(run(Status.RUNNING), now) == 300


def test_time_left_is_unknown_before_the_first_step_and_after_the_end() -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=1)
    assert seconds_left(run(Status.RUNNING), now) is None
    assert seconds_left(run(Status.COMPLETED, last_step=9, total_steps=10), now) is None
    assert share_done(run(Status.COMPLETED)) == 1.0


def test_the_cost_of_a_run() -> None:
    config = PRESETS["relu"].config
    found = estimate(config, [run(Status.COMPLETED, samples_per_second=1000.0)])
    assert found.data is not None
    assert found.data.shape == (1, 8, 8)
    assert found.n_parameters == 64 * 64 + 64 + 8 * (64 * 64 + 64) + 64 * 10 + 10
    assert found.steps == config.train.epochs * -(-found.data.n_train // config.train.batch_size)
    assert found.seconds == pytest.approx(config.train.epochs * found.data.n_train / 1000)


def test_the_cost_is_unknown_where_the_data_are() -> None:
    config = with_overrides(PRESETS["relu"].config, {"data.name": "folder:/nowhere"})
    assert estimate(config).n_parameters is None
