"""Settings of runs that an earlier version recorded are compared with those of this one."""

from gradscope.analysis.settings import as_now, essence
from gradscope.config import RunConfig, Train

NOW = RunConfig(train=Train(epochs=3)).model_dump(mode="json")


def earlier():
    """As a version stored it that knew neither alerts nor CUDA graphs."""
    train = {name: value for name, value in NOW["train"].items() if name != "cuda_graph"}
    return {name: value for name, value in NOW.items() if name != "alerts"} | {"train": train}


def test_settings_that_came_later_have_their_default():
    assert earlier() != NOW
    assert as_now(earlier()) == NOW
    assert essence(earlier()) == essence(NOW)


def test_what_differs_is_still_told_apart():
    assert essence(RunConfig(train=Train(epochs=4)).model_dump(mode="json")) != essence(earlier())


def test_the_config_of_somebodys_own_loop_stays_as_it_is():
    assert as_now({"lr": 0.1}) == {"lr": 0.1}
