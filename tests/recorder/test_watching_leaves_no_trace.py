"""What a watch leaves behind: nothing."""

import copy
import gc
import io
import pickle
import sys
import weakref

import numpy as np
import pytest
import torch
from torch.nn import functional as F
from watching import mlp, pictures, sgd, step, trace_of, watch

from gradscope.recorder.measure import wait_until_compiled
from gradscope.records import Kind


def everything_alive():
    gc.collect()
    return np.array([len(gc.get_objects()), sys.getallocatedblocks()])


def test_a_thousand_times_watched_and_unwatched_nothing_has_grown():
    wait_until_compiled()  # what is loaded meanwhile would look like growth
    model = mlp()
    optimizer = sgd(model)

    def watch_and_unwatch(times):
        for time in range(times):
            made, _ = watch(model, optimizer)
            if time % 100 == 0:
                step(model, optimizer)
            made.remove()

    watch_and_unwatch(201)
    before = everything_alive()
    watch_and_unwatch(1000)
    assert (everything_alive() - before).max() < 500  # objects and blocks of memory; one a cycle would be 1,000
    assert trace_of(model) == 0
    assert not optimizer._optimizer_step_pre_hooks
    assert not optimizer._optimizer_step_post_hooks


def test_a_watched_model_is_not_kept_alive_by_what_was_recorded():
    model = mlp()
    optimizer = sgd(model)
    made, notebook = watch(model, optimizer)
    step(model, optimizer)
    gone = weakref.ref(model)
    made.remove()
    del model, optimizer, made
    gc.collect()
    assert gone() is None
    assert notebook.rms(0, 0, Kind.GRADIENT) > 0


def copied(model):
    return copy.deepcopy(model)


def pickled(model):
    return pickle.loads(pickle.dumps(model))


def saved(model):
    file = io.BytesIO()
    torch.save(model, file)
    file.seek(0)
    return torch.load(file, weights_only=False)


@pytest.mark.parametrize("twin_of", [copied, pickled, saved])
def test_a_watched_model_can_be_copied_pickled_and_saved_and_its_twin_is_not_watched(twin_of):
    model = mlp()
    optimizer = sgd(model)
    _watch, notebook = watch(model, optimizer)
    assert trace_of(model) > 0
    twin = twin_of(model)
    F.mse_loss(twin(pictures(100)), torch.zeros(100, 3)).backward()
    step(model, optimizer)
    assert notebook.stats(0, 0, Kind.ACTIVATION).n == 40
    np.testing.assert_array_equal(twin[4].weight.shape, (3, 8))


def test_the_pickle_of_a_watched_model_names_nothing_of_ours():
    model = mlp()
    _made, _notebook = watch(model, sgd(model))
    assert b"gradscope" not in pickle.dumps(model)


def test_a_watched_optimiser_can_be_copied():
    model = mlp()
    optimizer = torch.optim.Adam(model.parameters())
    _made, _notebook = watch(model, optimizer)
    step(model, optimizer)
    assert copy.deepcopy(optimizer).state_dict()["param_groups"] == optimizer.state_dict()["param_groups"]
