"""How many runs fit."""

import pytest

from gradscope.errors import JobError
from gradscope.jobs.slots import Slot, find_slots, wished_slots


def test_without_a_gpu_one_run_at_a_time_with_all_cores():
    (slot,) = find_slots({"CUDA_VISIBLE_DEVICES": ""})
    assert (slot.index, slot.gpu) == (0, None)
    assert slot.threads >= 1


def test_the_number_of_slots_can_be_set_and_shares_the_cores():
    one = find_slots({"CUDA_VISIBLE_DEVICES": ""})[0].threads
    slots = find_slots({"CUDA_VISIBLE_DEVICES": "-1", "GRADSCOPE_SLOTS": "2"})
    assert [s.index for s in slots] == [0, 1]
    assert {s.threads for s in slots} == {max(1, one // 2)}


def test_a_slot_for_each_gpu_that_may_be_seen():
    slots = find_slots({"CUDA_VISIBLE_DEVICES": "2, GPU-7f"})
    assert [s.gpu for s in slots] == ["2", "GPU-7f"]


def test_more_slots_than_gpus_share_them():
    slots = find_slots({"CUDA_VISIBLE_DEVICES": "0,1", "GRADSCOPE_SLOTS": "3"})
    assert [s.gpu for s in slots] == ["0", "1", "0"]


@pytest.mark.parametrize("text", ["0", "two", "-1", "65", "1.5"])
def test_a_number_of_slots_that_cannot_be_is_refused_with_the_way_out(text):
    with pytest.raises(JobError, match=f"GRADSCOPE_SLOTS is '{text}'; set it to the number of runs .* from 1 to 64"):
        wished_slots({"GRADSCOPE_SLOTS": text})


def test_a_run_sees_only_the_gpu_of_its_slot(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    seen = Slot(index=0, gpu="1", threads=4).environment("auto")
    assert seen == {"OMP_NUM_THREADS": "4", "CUDA_VISIBLE_DEVICES": "1", "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}


def test_a_run_that_names_its_gpu_sees_them_all():
    assert "CUDA_VISIBLE_DEVICES" not in Slot(index=0, gpu="1", threads=4).environment("cuda:1")


def test_the_users_own_number_of_threads_stays(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert Slot(index=0, gpu=None, threads=4).environment("cpu") == {"OMP_NUM_THREADS": "3"}
