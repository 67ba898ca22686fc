import pytest

from gradscope.config import Mlp, PseudoNorm, RunConfig, parse_config
from gradscope.errors import ConfigError
from gradscope.overrides import data_from_text, tail_note, with_overrides
from gradscope.presets import PRESETS, preset


def test_a_config_survives_the_way_through_json():
    for known in PRESETS.values():
        assert parse_config(known.config.model_dump(mode="json")) == known.config


def test_every_setting_is_described_or_named_by_its_class():
    for section in (RunConfig.model_fields["train"].annotation, RunConfig.model_fields["record"].annotation):
        assert section.__doc__


def test_a_dotted_name_changes_one_setting():
    changed = with_overrides(RunConfig(), {"model.depth": "20", "train.epochs": 3})
    assert changed.model == Mlp(depth=20)
    assert changed.train.epochs == 3


def test_how_often_is_recorded_may_follow_a_budget():
    assert RunConfig().record.every == 10
    assert with_overrides(RunConfig(), {"record.every": "20"}).record.every == 20
    budgeted = with_overrides(RunConfig(), {"record.every": "auto", "record.budget": "0.05"}).record
    assert (budgeted.every, budgeted.budget) == ("auto", 0.05)


def test_another_optimiser_keeps_what_was_changed_and_both_have():
    changed = with_overrides(RunConfig(), {"optimizer.weight_decay": 0.01, "optimizer.momentum": 0.9})
    adam = with_overrides(changed, {"optimizer.name": "adam", "optimizer.beta1": "0.8"})
    assert adam.optimizer.model_dump() == {
        "name": "adam",
        "lr": 0.001,
        "weight_decay": 0.01,
        "beta1": 0.8,
        "beta2": 0.999,
    }


def test_methods_are_added_changed_and_removed_by_name():
    with_pn = with_overrides(RunConfig(), {"methods.pseudo_norm.every": "1"})
    assert with_pn.methods == (PseudoNorm(every=1),)
    assert with_overrides(with_pn, {"methods.pseudo_norm": "off"}).methods == ()
    assert with_overrides(RunConfig(), {"methods.pseudo_norm": "on"}).methods == (PseudoNorm(),)


def test_methods_stand_in_the_order_in_which_they_are_applied():
    config = with_overrides(RunConfig(), {"methods.clip_value": "on", "methods.initialisation.scheme": "he"})
    assert [m.name for m in config.methods] == ["initialisation", "clip_value"]


@pytest.mark.parametrize(
    ("assignments", "words"),
    [
        ({"model.depth": "1"}, "model.depth: input should be greater than or equal to 2, not 1"),
        ({"model.dept": "2"}, "model.dept is no setting; model has name, depth, width"),
        ({"model": "vgg"}, "model 'vgg' is unknown; use one of mlp, paper_cnn, resnet"),
        ({"model.name": "resnet", "model.depth": "21"}, "model.depth: input should be 8, 14, 20"),
        ({"optimizer.nesterov": "on"}, "nesterov needs a momentum above 0"),
        ({"record.every": "often"}, "'often' is no number of steps; write a whole number from 1 on, or auto"),
        ({"record.every": "0"}, "record.every: 0 is no number of steps"),
        ({"record.budget": "0.1"}, "budget=0.1 counts with every=auto only"),
        ({"record.every": "auto", "record.budget": "2"}, "record.budget: input should be less than or equal to 1"),
        ({"speed": "9"}, "'speed' is no setting; write SECTION.NAME=VALUE"),
        ({"train": "3"}, "'train' is no setting"),
        ({"train.epochs": "many"}, "train.epochs: input should be a valid integer"),
        ({"methods.dropout": "on"}, "method 'dropout' is unknown; use one of batch_norm"),
        ({"methods.pseudo_norm": "3"}, "methods.pseudo_norm=3 is unclear; write on, off"),
        ({"methods.clip_norm.limit": "3"}, "methods.clip_norm.limit is no setting; clip_norm has name, max_norm"),
        ({"schedule.tail_epochs": "99"}, "schedule.tail_epochs is 99, more than train.epochs (20)"),
        ({"train.device": "tpu"}, "train.device"),
        ({"schedule.name": "step", "schedule.milestones": "[0.9, 0.1]"}, "must rise and lie between 0 and 1"),
    ],
)
def test_a_wrong_setting_is_named_with_what_is_allowed(assignments, words):
    with pytest.raises(ConfigError) as error:
        with_overrides(RunConfig(), assignments)
    assert words in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(("epochs", "tail"), [(1, 0), (10, 2), (45, 10), (90, 20), ("180", 40)])
def test_with_other_epochs_a_constant_tail_keeps_its_share(epochs, tail):
    assert with_overrides(preset("paper-tanh").config, {"train.epochs": epochs}).schedule.tail_epochs == tail


def test_a_tail_that_is_given_is_taken_as_it_is():
    base = preset("paper-tanh").config
    given = {"train.epochs": 30, "schedule.tail_epochs": 20}
    assert with_overrides(base, given).schedule.tail_epochs == 20
    assert tail_note(base, given) is None
    assert tail_note(base, {"train.epochs": 1}) == (
        "schedule.tail_epochs is 0, in proportion to the 20 of 90 epochs before; set it to have another"
    )
    with pytest.raises(ConfigError, match=r"schedule.tail_epochs is 20, more than train.epochs \(5\)"):
        with_overrides(base, {"train.epochs": 5, "schedule.tail_epochs": 20})


def test_unknown_fields_of_a_stored_config_are_refused():
    with pytest.raises(ConfigError, match=r"train\.speed is no setting here; leave it out"):
        parse_config({"train": {"speed": 3}})


def test_a_method_listed_twice_is_refused():
    with pytest.raises(ConfigError, match="pseudo_norm is listed twice"):
        parse_config({"methods": [{"name": "pseudo_norm"}, {"name": "pseudo_norm", "every": 1}]})


def test_data_are_named_in_one_word_or_with_a_folder():
    assert data_from_text("digits") == {"name": "digits"}
    assert data_from_text("parquet:/some/folder") == {"name": "parquet", "path": "/some/folder"}
    assert with_overrides(RunConfig(), {"data": "parquet:/x"}).data.path == "/x"


@pytest.mark.parametrize(
    ("text", "words"),
    [("imagenet", "use one of digits"), ("parquet", "write parquet:PATH"), ("digits:x", "takes no path")],
)
def test_wrong_data_are_refused_with_the_way_out(text, words):
    with pytest.raises(ConfigError, match=words):
        data_from_text(text)


def test_an_unknown_preset_lists_the_known_ones():
    with pytest.raises(ConfigError, match="use one of sigmoid, tanh, tanh-pn"):
        preset("tahn")


def test_every_preset_says_what_it_shows_and_carries_its_own_name():
    for name, known in PRESETS.items():
        assert known.config.preset == name == known.name
        assert known.shows.endswith(".")


@pytest.mark.parametrize(
    ("assignments", "words"),
    [
        ({"record.layers": "("}, "record.layers: '\\(' is no regular expression"),
        ({"schedule.name": "cosine", "schedule.min_lr": 1}, "schedule.min_lr is 1, more than optimizer.lr"),
        ({"optimizer.name": "rprop", "schedule.name": "cosine"}, "rprop adapts its steps by itself"),
        ({"optimizer.name": "rprop", "schedule.tail_epochs": 1}, "choose schedule constant without a tail"),
        ({"methods.pseudo_norm": "on", "model.activation": "relu"}, "needs a smooth activation .* is relu; choose"),
        ({"methods.pseudo_norm": "on", "model.name": "resnet"}, "needs a smooth activation .* is relu; choose"),
        ({"methods.batch_norm": "on", "model.name": "resnet"}, "model resnet has batch norm already; leave method"),
        ({"methods.batch_norm": "on", "model.batch_norm": "on"}, "model mlp has batch norm already; leave method"),
        ({"methods.batch_norm": "on", "train.batch_size": 1}, "train.batch_size is 1; set train.batch_size to at"),
        ({"model.batch_norm": "on", "train.batch_size": 2}, "train.batch_size is 2; set train.batch_size to at"),
    ],
)
def test_a_setting_that_could_do_nothing_or_the_opposite_is_refused(assignments, words):
    with pytest.raises(ConfigError, match=words):
        with_overrides(RunConfig(), assignments)
