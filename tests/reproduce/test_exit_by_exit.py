"""An elastic reproduction exit by exit: published figures beside ours, on the page and in the report."""

from dataclasses import replace

import pytest
from measured_exits import POINT

from gradscope.records import Batch, Kind, Layer, LayerStats, Metric, Results, Status
from gradscope.reproduce.exits import exit_by_exit, exits_table
from gradscope.reproduce.group import Group, find_group
from gradscope.reproduce.papers import chosen, paper_of
from gradscope.reproduce.report import gradient_table, markdown
from gradscope.reproduce.scales import scale_of
from gradscope.store import Store, write, write_exits

PAPER = paper_of("elastic")


def group_of(store: Store, *names: str) -> Group:
    return find_group(store, PAPER, scale_of("tiny"), chosen(PAPER, names), range(2))


def ended(store: Store, name: str, seed: int, exits: list[float]) -> int:
    """A completed run with the test accuracies of its exits."""
    item = next(i for i in group_of(store, name).items if i.seed == seed)
    values = item.config.model_dump(mode="json")
    run = write.create_run(store, name=name, source="train", config=values, status=Status.RUNNING, tags=item.tags)
    metrics = [Metric(name=f"test_exit_{i}_accuracy", step=3, value=v) for i, v in enumerate(exits, start=1)]
    write.append(store, run, Batch(metrics=tuple(metrics)))
    write.results(store, run, Results(test_accuracy=exits[-1]))
    write.finish(store, run, Status.COMPLETED)
    return run


def test_each_exit_has_its_mean_over_the_seeds_beside_the_published_one(store: Store) -> None:
    for seed in range(2):
        ended(store, "densenet169-c100-elastic", seed, [0.2, 0.4, 0.6, 0.7 + 0.1 * seed])
    found = exit_by_exit(store, group_of(store, "densenet169-c100-elastic"))
    assert found["exit"].tolist() == [1, 2, 3, 4]
    assert found["published"].tolist() == [0.2663, 0.5104, 0.7714, 0.7835]
    assert found["mean"].tolist() == pytest.approx([0.2, 0.4, 0.6, 0.75])
    assert found["deviation"].iloc[-1] == pytest.approx(0.0707, abs=1e-4)
    assert found["n"].tolist() == [2] * 4
    table = exits_table(store, group_of(store, "densenet169-c100-elastic"))
    assert table.iloc[-1].to_dict() == {
        "experiment": "DenseNet-169, CIFAR-100, exits",
        "exit": 4,
        "published": "78.3 %",
        "published, parameters": "20.9 M",
        "ours": "75.0 ± 7.1 %",
    }


def test_what_an_exit_costs_stands_beside_it_once_it_was_measured(store: Store) -> None:
    run = ended(store, "resnet20-elastic", 0, [0.3, 0.5])
    assert list(exits_table(store, group_of(store, "resnet20-elastic"))) == ["experiment", "exit", "ours"]
    point = replace(POINT, point="stages.0.0", accuracy=0.3, macs=9_500_000, macs_asking=9_500_000, parameters=5_000)
    write_exits.exits(store, run, [point])
    table = exits_table(store, group_of(store, "resnet20-elastic"))
    assert table["MACs"].tolist() == ["9.50 M", "—"]
    assert "| ResNet-20, CIFAR-10, exits | 1 | 30.0 % | 9.50 M |" in markdown(
        store, group_of(store, "resnet20-elastic")
    )


def test_the_papers_figures_are_there_before_the_first_run(store: Store) -> None:
    table = exits_table(store, group_of(store, "densenet169-c100-elastic", "resnet20-elastic"))
    assert table["exit"].tolist() == [1, 2, 3, 4]
    assert table["published"].tolist() == ["26.6 %", "51.0 %", "77.1 %", "78.3 %"]
    assert table["ours"].tolist() == ["—"] * 4


def test_networks_without_exits_have_no_such_table(store: Store) -> None:
    ended(store, "resnet20", 0, [0.5])
    assert exits_table(store, group_of(store, "resnet20")).empty
    assert "Exit by exit" not in markdown(store, group_of(store, "resnet20"))


def test_heads_are_no_last_hidden_layer(store: Store) -> None:
    run = ended(store, "resnet20-elastic", 0, [0.3, 0.5])
    names = ("backbone.conv", "backbone.stages.0", "backbone.output.1", "heads.0.3", "heads.1.3")
    layers = [Layer(index=i, name=name, type="Conv2d", shape=(2, 2), n_weights=4) for i, name in enumerate(names)]
    write.layers(store, run, layers)
    rows = [
        LayerStats(step=0, layer=i, kind=Kind.GRADIENT, n=4, rms=v) for i, v in enumerate((2.0, 4.0, 1.0, 9.0, 9.0))
    ]
    write.append(store, run, Batch(stats=tuple(rows)))
    assert gradient_table(store, group_of(store, "resnet20-elastic"))["first / last at step 0"].tolist() == ["0.500"]
