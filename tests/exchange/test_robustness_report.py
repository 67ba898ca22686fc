"""The report of robustness: figures that are the store's, and nothing of the machine it was written on."""

from dataclasses import replace

import pytest
from PIL import Image

from gradscope.errors import ExchangeError
from gradscope.exchange.robustness_report import Found, markdown, write_report
from gradscope.measured import CLEAN, RobustnessPoint
from gradscope.overrides import with_overrides
from gradscope.presets import preset
from gradscope.records import Provenance, Results, Status
from gradscope.store import open_store, write, write_robustness

POINT = RobustnessPoint(
    kind=CLEAN,
    level=0.0,
    seed=0,
    draws=1,
    images=10,
    step=10,
    fingerprint="f",
    accuracy=0.8,
    deviation=None,
    accuracies=(0.8,),
    per_class={"cat": 0.8},
    right=bytes([1] * 8 + [0] * 2),
    device="cpu",
    settings={},
)


@pytest.fixture
def store(tmp_path):
    store = open_store(tmp_path / "runs.db", create=True)
    yield store
    store.close()


@pytest.fixture
def run(store):
    def make(name="paper-relu", seed=0, kinds=("gaussian_noise",), left=4, **changes):
        given = {"train.seed": seed, "data.name": "parquet:/secret/place/cifar10", **changes}
        config = with_overrides(preset(name).config, given).model_dump(mode="json")
        found = Provenance(seed=seed, device="cpu", versions={"torch": "2.15.0"})
        run = write.create_run(
            store, name=name, source="train", config=config, status=Status.COMPLETED, provenance=found
        )
        write.results(store, run, Results(test_accuracy=0.81))
        write_robustness.point(store, run, POINT)
        for kind in kinds:
            right = bytes([2] * left + [0] * (10 - left))
            more = {"draws": 2, "accuracy": left / 10, "deviation": 0.02, "right": right}
            write_robustness.point(store, run, replace(POINT, kind=kind, level=1.0, **more))
        return run

    return make


def test_every_figure_stands_with_its_deviation_interval_and_difference(store, run):
    text = markdown(Found(store, [run(), run("paper-tanh-pn", left=6)]))
    assert "| Gaussian noise | paper-relu | 80.0 | 40.0 ± 2.0 |" in text
    assert "| Gaussian noise | paper-tanh-pn | 80.0 | 60.0 ± 2.0 |" in text
    # areas are the means of both levels; the second is higher by half of two pictures in ten
    assert "| Gaussian noise | 60.0 [35.6, 84.4] | 70.0 [43.9, 96.1] |" in text
    assert "| Gaussian noise | paper-tanh-pn - paper-relu | 10.0 [" in text
    assert "![noise](robustness-noise.png)" in text


def test_settings_seeds_and_versions_are_told_but_no_place(store, run):
    text = markdown(Found(store, [run(), run("paper-tanh-pn", seed=3)]))
    assert "seed 3, test accuracy 81.0 %" in text
    assert "torch 2.15.0" in text
    assert "| model.activation | relu | tanh |" in text
    assert "data.path cifar10" in text
    assert "/secret" not in text
    assert "train.seed" not in text


def test_the_papers_figures_stand_beside_ours(store, run):
    text = markdown(Found(store, [run(), run("paper-tanh-pn", **{"data.augment": "flip_crop"})]))
    assert "- `paper-tanh-pn`: 82.6 % on clean pictures (Bu et al. 2026: model 1, 90 epochs)" in text
    assert "- `paper-relu`: 76.7 % on clean pictures" in text


def test_seeds_are_pooled_with_the_interval_over_runs(store, run):
    text = markdown(Found(store, [run(seed=0, left=4), run(seed=1, left=6)]))
    assert "| Gaussian noise | paper-relu | 80.0 | 50.0 ± 14.1 |" in text
    assert "| Gaussian noise | 65.0 [1.5, 100.0] |" in text
    assert "Difference" not in text


def test_many_kinds_are_compared_as_one(store, run):
    kinds = ("fog", "jpeg", "contrast")
    text = markdown(Found(store, [run(kinds=kinds), run("paper-tanh-pn", kinds=kinds, left=6)]))
    assert "| all 3 | 60.0 [35.6, 84.4] | 70.0 [43.9, 96.1] |" in text
    assert text.count("paper-tanh-pn - paper-relu") == 1


def test_a_kind_that_one_run_lacks_is_left_open(store, run):
    text = markdown(Found(store, [run(), run("paper-tanh-pn", kinds=("uniform_noise",))]))
    assert "| Uniform noise | — | 60.0 [35.6, 84.4] |" in text
    assert "Difference" not in text


def test_the_report_is_written_with_its_pictures(store, run, tmp_path):
    files = write_report(tmp_path / "new" / "found.md", store, [run(kinds=("gaussian_noise", "fog"))])
    assert [file.name for file in files] == ["found.md", "found-noise.png", "found-corruptions.png"]
    assert "![noise](found-noise.png)" in files[0].read_text()
    assert Image.open(files[1]).width > 400


def test_runs_that_were_not_measured_make_no_report(store, run, tmp_path):
    one = write.create_run(store, name="new", source="train", config={}, status=Status.COMPLETED)
    with pytest.raises(ExchangeError, match="none of these runs has been measured"):
        write_report(tmp_path / "found.md", store, [one])
    assert not (tmp_path / "found.md").exists()
