import pandas as pd
import pytest

from gradscope.analysis.labels import short_names, with_short_names


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["fc1", "fc2"], ["fc1", "fc2"]),
        (["hidden.0.layer", "hidden.1.layer", "output"], ["hidden.0", "hidden.1", "output"]),
        (["stem", "blocks.0.conv1", "blocks.0.conv2", "blocks.1.conv1"], ["stem", "0.conv1", "conv2", "blocks.1"]),
        (["0", "2", "4"], ["0", "2", "4"]),
        (["features.0", "features.3", "classifier.1"], ["features.0", "features.3", "classifier"]),
        (["a.b", "a.b.c"], ["a.b", "c"]),
        ([], []),
    ],
)
def test_a_layer_has_the_shortest_label_that_is_its_own(names, expected):
    assert list(short_names(names).values()) == expected


def test_the_labels_of_a_large_network_are_all_different():
    names = [f"stages.{s}.{b}.{part}" for s in range(4) for b in range(9) for part in ("conv1", "conv2", "norm.w")]
    assert len(set(short_names(names).values())) == len(names)


def test_every_run_shortens_its_own_names():
    rows = pd.DataFrame({"run": [1, 1, 2, 2], "name": ["hidden.0.a", "out", "hidden.0.a", "hidden.0.b"]})
    assert with_short_names(rows)["name"].tolist() == ["hidden", "out", "a", "b"]
    assert with_short_names(rows.head(0)).empty
