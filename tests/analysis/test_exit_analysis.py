"""Exits in analysis: curves by exit, shares without heads, who leaves where, the run to compare with."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from gradscope.analysis.exits import (
    backbone_profile,
    by_exit,
    cosines_to_last,
    examples,
    has_exits,
    leavers,
    left_at,
    metric_names,
    shares_by_exit,
    twin,
)
from gradscope.config import Elastic, Mlp, Resnet, RunConfig, parse_config
from gradscope.diagnosis import tables_of
from gradscope.exit_answers import ExitAnswers
from gradscope.records import Batch, Kind, Layer, LayerStats, Progress, Provenance, Results, Run, Status
from gradscope.store import open_store, read, write

ANSWERS = ExitAnswers(
    labels=np.array([0, 1, 0, 1]),
    answers=np.array([[0, 0, 0, 0], [0, 1, 1, 0], [0, 1, 0, 0]]),
    confidence=np.array([[0.9, 0.6, 0.95, 0.5], [0.9, 0.9, 0.7, 0.6], [1.0, 1.0, 0.9, 0.4]]),
    entropy=np.array([[0.3, 0.7, 0.2, 0.8], [0.3, 0.3, 0.6, 0.7], [0.0, 0.0, 0.3, 0.8]]),
    images=np.zeros((3, 1, 2, 2), np.uint8),
    classes=("cat", "dog"),
)


def test_a_picture_leaves_at_the_first_exit_that_is_sure_enough() -> None:
    assert left_at(ANSWERS, "confidence", 0.9).tolist() == [0, 1, 0, 2]
    assert left_at(ANSWERS, "entropy", 0.3).tolist() == [0, 1, 0, 2]
    assert left_at(ANSWERS, "entropy", 0.25).tolist() == [2, 2, 0, 2]
    assert left_at(ANSWERS, "confidence", 0.0).tolist() == [0, 0, 0, 0]
    assert left_at(ANSWERS, "confidence", 1.1).tolist() == [2, 2, 2, 2]
    assert ANSWERS.confidence[-1].tolist() == [1.0, 1.0, 0.9, 0.4]


def test_leavers_are_counted_with_the_accuracy_of_what_they_got_and_would_have_got() -> None:
    found = leavers(ANSWERS, np.array([0, 0, 0, 2]))
    assert found["pictures"].tolist() == [3, 0, 1]
    assert found["share"].tolist() == [0.75, 0.0, 0.25]
    assert found["accuracy"].iloc[[0, 2]].tolist() == [pytest.approx(2 / 3), 0.0]
    assert found["last"].iloc[[0, 2]].tolist() == [1.0, 0.0]
    assert found["accuracy"].isna().tolist() == [False, True, False]


def test_examples_are_the_surest_of_early_exits_and_the_least_sure_of_the_last_among_kept_pictures() -> None:
    assert examples(ANSWERS, np.array([0, 0, 0, 0]), 0, 2).tolist() == [2, 0]
    assert examples(ANSWERS, np.array([2, 2, 2, 2]), 2, 5).tolist() == [2, 0, 1]
    assert examples(ANSWERS, np.array([0, 0, 0, 0]), 1, 2).tolist() == []


def test_curves_are_told_apart_by_exit() -> None:
    known = ["val_exit_2_loss", "val_exit_10_loss", "val_loss", "test_exit_2_loss", "val_exit_2_accuracy"]
    assert metric_names(known, "loss") == ["val_exit_2_loss", "val_exit_10_loss"]
    assert metric_names(known, "loss", "test") == ["test_exit_2_loss"]
    metrics = pd.DataFrame({"run": 1, "name": ["val_exit_10_loss", "val_exit_2_loss"], "step": 0, "value": [1.0, 2.0]})
    assert by_exit(metrics)[["exit", "value"]].values.tolist() == [[2, 2.0], [10, 1.0]]


def test_heads_and_other_terms_are_no_part_of_the_maps() -> None:
    names = ["backbone.conv", "backbone.conv", "backbone.conv", "heads.0.3"]
    terms = pd.DataFrame(
        {"run": 1, "step": 5, "layer": [0, 0, 0, 9], "name": names, "depth": 0.0}
        | {"term": ["exit 2", "exit 1", "weights", "exit 1"], "share": [0.4, 0.6, 0.0, 1.0], "rms": 1.0}
    )
    found = shares_by_exit(terms)
    assert found[["exit", "name", "share"]].values.tolist() == [[1, "conv", 0.6], [2, "conv", 0.4]]


def test_cosines_are_those_with_the_last_exit() -> None:
    pairs = [
        ("exit 1", "exit 10", 0.1),
        ("exit 1", "exit 2", 0.2),
        ("exit 10", "exit 2", 0.3),
        ("exit 1", "weights", 0),
    ]
    frame = pd.DataFrame(pairs, columns=["term", "other", "cosine"]).assign(
        run=1, step=5, layer=0, name="conv", depth=0.0
    )
    assert cosines_to_last(frame)[["exit", "cosine"]].values.tolist() == [[1, 0.1], [2, 0.3]]


def test_a_profile_without_heads_has_the_depths_of_the_plain_network() -> None:
    names = ["backbone.conv", "backbone.output.1", "heads.0.3"]
    profile = pd.DataFrame({"run": 1, "layer": [0, 1, 2], "name": names, "depth": [0.0, 0.5, 1.0], "rms": 1.0})
    found = backbone_profile(profile)
    assert found[["layer", "name", "depth"]].values.tolist() == [[0, "conv", 0.0], [1, "output.1", 1.0]]


def run(number: int, config: RunConfig) -> Run:
    return Run(
        id=number,
        name="",
        status=Status.COMPLETED,
        source="train",
        config=config.model_dump(mode="json"),
        tags=(),
        note="",
        created=datetime.now(UTC),
        started=None,
        ended=None,
        heartbeat=None,
        progress=Progress(last_step=0),
        results=Results(),
        provenance=Provenance(),
        n_parameters=None,
        stop_requested=False,
        error=None,
        nonfinite=None,
        lost_rows=0,
        recorder_seconds=0.0,
        revision=0,
    )


def test_the_twin_is_the_newest_run_of_the_same_settings_without_exits() -> None:
    elastic = run(1, RunConfig(model=Resnet(), methods=(Elastic(),)))
    plain, newer, other = (run(i, RunConfig(model=model)) for i, model in ((2, Resnet()), (3, Resnet()), (4, Mlp())))
    assert has_exits(elastic.config)
    assert not has_exits(plain.config)
    assert not has_exits({"lr": 0.1, "methods": "elastic"})
    assert twin(elastic, [elastic, plain, newer, other]) is newer
    assert twin(elastic, [elastic, other]) is None


def test_the_diagnosis_looks_at_the_backbone_alone(tmp_path: Path) -> None:
    """Heads come last and sit at their own losses; as the deepest layers they would make the others look poor."""
    store = open_store(tmp_path / "runs.db", create=True)
    found = []
    for methods in ([{"name": "elastic"}], []):
        config = parse_config({"model": {"name": "resnet"}, "methods": methods}).model_dump(mode="json")
        number = write.create_run(store, name="x", source="train", config=config, status=Status.RUNNING)
        names = ("backbone.conv", "backbone.output.1", "heads.0.3")
        layers = [Layer(index=i, name=n, type="Linear", shape=(10, 2), n_weights=20) for i, n in enumerate(names)]
        write.layers(store, number, layers)
        stats = [LayerStats(step=0, layer=i, kind=Kind.GRADIENT, n=20, rms=0.1) for i in range(3)]
        write.append(store, number, Batch(stats=tuple(stats)))
        found.append(tables_of(store, read.run(store, number)))
    assert [tables.n_layers for tables in found] == [2, 3]
    assert [tables.grids[Kind.GRADIENT].rms.shape for tables in found] == [(1, 2), (1, 3)]
    store.close()
