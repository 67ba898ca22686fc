from pathlib import Path

import pytest

from gradscope.analysis.settings import changes
from gradscope.config import Parquet, PseudoNorm
from gradscope.errors import ConfigError
from gradscope.reproduce.papers import PAPERS, chosen, paper_of
from gradscope.reproduce.scales import SCALES, lacking, read_from, scale_of, with_seed

PN = paper_of("pn")
BY_NAME = {e.name: e for e in PN.experiments}


@pytest.mark.parametrize("paper", PAPERS.values(), ids=lambda p: p.name)
def test_a_paper_names_each_experiment_once_and_contrasts_only_those(paper) -> None:
    names = [e.name for e in paper.experiments]
    assert len(set(names)) == len(names)
    assert {n for c in paper.contrasts for n in (c.first, c.second)} <= set(names)
    assert all(e.published or e.unpublished for e in paper.experiments)
    configs = [e.config.model_dump_json() for e in paper.experiments]
    assert len(set(configs)) == len(configs)


@pytest.mark.parametrize("scale", SCALES.values(), ids=lambda s: s.name)
@pytest.mark.parametrize("experiment", PN.experiments, ids=lambda e: e.name)
def test_every_experiment_fits_every_scale_and_keeps_its_model_and_methods(scale, experiment) -> None:
    fitted = scale.fit(experiment.config)
    assert type(fitted).model_validate(fitted.model_dump()) == fitted
    assert (fitted.model, fitted.methods, fitted.optimizer) == (
        experiment.config.model,
        experiment.config.methods,
        experiment.config.optimizer,
    )
    assert fitted.data.augment == experiment.config.data.augment


def test_the_published_figures_are_those_of_the_paper() -> None:
    figures = {e.name: e.published.accuracy for e in PN.experiments if e.published}
    assert figures == {
        "pn-direct": 0.805,
        "pn-dual": 0.805,
        "pn-dual-augmented": 0.8261,
        "relu-he": 0.767,
        "relu-lecun": 0.767,
        "model-2": 0.805,
        "model-2-augmented": 0.8419,
        "model-3": 0.6123,
    }
    assert not any(e.published for e in PN.experiments if e.name.startswith("rdrd"))


def test_the_full_scale_is_what_the_paper_states() -> None:
    config = BY_NAME["pn-dual"].config
    assert (config.train.epochs, config.train.batch_size, config.optimizer.weight_decay) == (90, 50, 0.003)
    assert (config.schedule.tail_epochs, config.schedule.tail_lr) == (20, 1e-4)
    assert [m.name for m in config.methods] == ["initialisation", "pseudo_norm", "clip_value"]
    assert config.methods[1] == PseudoNorm(form="dual", every=2, scope="sample")
    assert BY_NAME["model-3"].config.train.epochs == 160
    assert BY_NAME["model-3"].config.schedule.rising_first


def test_only_what_is_named_is_chosen_and_the_sweep_only_when_asked_for() -> None:
    assert [e.name for e in chosen(PN, ["relu-he", "tanh"])] == ["tanh", "relu-he"]
    assert not any(e.sweep for e in chosen(PN))
    assert len(chosen(PN, sweep=True)) == len(PN.experiments)
    both = chosen(PN, ["tanh"], sweep=True)
    assert [e.name for e in both if not e.sweep] == [
        "tanh",
        "pn-dual",
        "rdrd-random",
    ]  # what the varied are compared with
    assert sum(e.sweep for e in both) == sum(e.sweep for e in PN.experiments)
    kr = paper_of("kr")
    swept = {e.name: e for e in chosen(kr, [kr.experiments[0].name], sweep=True, heavy=False)}
    assert {e.teacher for e in swept.values() if e.sweep} <= {"", *swept}
    with pytest.raises(ConfigError, match="experiment 'resnet' is unknown; use one of tanh, pn-direct"):
        chosen(PN, ["resnet"])
    with pytest.raises(ConfigError, match="paper 'x' is unknown; use one of pn, elastic, kr, narrow-deep"):
        paper_of("x")
    with pytest.raises(ConfigError, match="scale 'x' is unknown; use one of tiny, glance, short, cpu, full"):
        scale_of("x")


def test_the_sweep_varies_each_setting_that_is_lost_one_at_a_time_and_says_beside_what() -> None:
    bases = [BY_NAME[name].config.model_dump(mode="json") for name in ("pn-dual", "tanh", "rdrd-random")]
    varied = {}
    for experiment in (e for e in PN.experiments if e.sweep):
        own = experiment.config.model_dump(mode="json")
        (only,) = min((changes(base, own) for base in bases), key=len)
        varied.setdefault(only[0], []).append(only[2])
        assert any(experiment.name in (c.first, c.second) for c in PN.contrasts)
    assert varied == {
        "optimizer.lr": ["0.02", "0.1", "0.02", "0.1"],
        "schedule.min_lr": ["0.005"],
        "schedule.period_epochs": ["10.0"],
        "data.normalise": ["symmetric", "image"],
        "model.width": ["0.5", "1.5"],
        "methods.pseudo_norm.scope": ["batch"],
        "methods.pseudo_norm.every": ["1"],
        "data.stride": ["3"],
    }


def test_the_elastic_papers_figures_are_those_of_its_tables() -> None:
    found = {e.name: e.published.accuracy for e in paper_of("elastic").experiments if e.published}
    errors = {name: round(100 * (1 - accuracy), 2) for name, accuracy in found.items()}
    assert len(errors) == 6 * 2 * 2 + 2
    assert [errors[f"mobilenet-{end}"] for end in ("c10", "c10-elastic", "c100", "c100-elastic")] == [
        *(10.37, 7.82, 38.6, 25.22)
    ]
    assert (errors["densenet169-c100"], errors["densenet169-c100-elastic"]) == (23.06, 21.65)
    assert (errors["resnet50-5-c10-elastic"], errors["resnet50-5-c100-elastic"]) == (5.39, 21.54)
    table_2 = next(e for e in paper_of("elastic").experiments if e.name == "densenet169-c100-elastic").exits
    assert [(e.accuracy, e.parameters) for e in table_2] == [
        *((0.2663, 0.39e6), (0.5104, 1.47e6), (0.7714, 6.71e6), (0.7835, 20.9e6))
    ]


@pytest.mark.parametrize("scale", SCALES.values(), ids=lambda s: s.name)
def test_elastic_experiments_fit_every_scale_and_stay_on_small_pictures_below_full(scale) -> None:
    for experiment in paper_of("elastic").experiments:
        config = scale.config(experiment)
        assert type(config).model_validate(config.model_dump()) == config
        assert [m.name for m in config.methods] == (["elastic"] if "elastic" in experiment.name else [])
        size = getattr(config.model, "size", None) or 32
        assert (size > 96) == (scale.whole and not experiment.name.startswith(("resnet8", "resnet14", "resnet20")))


def test_heavy_experiments_are_for_the_full_scale_or_asked_for_by_name() -> None:
    paper = paper_of("elastic")
    light = ["resnet8", "resnet14", "resnet20", "resnet20-elastic", "mobilenet-c10", "mobilenet-c10-elastic"]
    assert [e.name for e in chosen(paper, heavy=scale_of("cpu").whole)] == light
    assert len(chosen(paper, heavy=scale_of("full").whole)) == len(paper.experiments)
    assert [e.name for e in chosen(paper, ["vgg16-c10"], heavy=False)] == ["vgg16-c10"]


def test_a_folder_of_data_sets_takes_the_place_of_the_download(tmp_path: Path) -> None:
    config = with_seed(BY_NAME["pn-dual-augmented"].config, 3)
    assert config.train.seed == 3
    assert (read_from(config, None), lacking(config, None)) == (config, None)
    assert (read_from(config, str(tmp_path)), lacking(config, str(tmp_path))) == (config, "cifar10")
    (tmp_path / "cifar10").mkdir()
    expected = Parquet(path=str(tmp_path / "cifar10"), augment="flip_crop", val_fraction=0.02)
    assert (read_from(config, str(tmp_path)).data, lacking(config, str(tmp_path))) == (expected, None)
    tiny = scale_of("tiny").fit(config)
    assert (read_from(tiny, str(tmp_path)), lacking(tiny, str(tmp_path))) == (tiny, None)


def test_radar_frames_need_a_folder_and_are_used_whole(tmp_path: Path) -> None:
    config = scale_of("cpu").fit(BY_NAME["rdrd-random"].config)
    assert (config.data.limit, config.data.val_fraction, config.data.split) == (None, 0.1765, "random")
    assert lacking(config, None) == "rdrd"
    (tmp_path / "rdrd").mkdir()
    assert read_from(config, str(tmp_path)).data == config.data.model_copy(update={"path": str(tmp_path / "rdrd")})
