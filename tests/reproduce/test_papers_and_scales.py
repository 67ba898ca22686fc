from pathlib import Path

import pytest

from gradscope.config import Cifar10, Parquet, PseudoNorm
from gradscope.errors import ConfigError
from gradscope.reproduce.papers import PAPERS, chosen, paper_of
from gradscope.reproduce.scales import SCALES, read_from, scale_of, with_seed

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
    with pytest.raises(ConfigError, match="experiment 'resnet' is unknown; use one of tanh, pn-direct"):
        chosen(PN, ["resnet"])
    with pytest.raises(ConfigError, match="paper 'x' is unknown; use one of pn"):
        paper_of("x")
    with pytest.raises(ConfigError, match="scale 'x' is unknown; use one of tiny, cpu, full"):
        scale_of("x")


def test_a_folder_of_parquet_files_takes_the_place_of_the_download(tmp_path: Path) -> None:
    config = with_seed(BY_NAME["pn-dual-augmented"].config, 3)
    assert config.train.seed == 3
    assert read_from(config, None).data == Cifar10(augment="flip_crop", val_fraction=0.02)
    with pytest.raises(ConfigError, match=r"has no cifar10/train\.parquet; name a folder with it"):
        read_from(config, str(tmp_path))
    (tmp_path / "cifar10").mkdir()
    (tmp_path / "cifar10/train.parquet").touch()
    expected = Parquet(path=str(tmp_path / "cifar10"), augment="flip_crop", val_fraction=0.02)
    assert read_from(config, str(tmp_path)).data == expected
    tiny = scale_of("tiny").fit(config)
    assert read_from(tiny, str(tmp_path)) == tiny
