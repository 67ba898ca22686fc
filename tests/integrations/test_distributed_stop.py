"""Two real processes that agree on a stop."""

import torch
import torch.distributed
import torch.multiprocessing

from gradscope.integrations.recording import STEPS_BETWEEN_TALKS, any_process


def agree(rank, folder):
    torch.distributed.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    # only the first, which is the one that records, hears the Stop button, at step 5
    steps = 3 * STEPS_BETWEEN_TALKS
    stopped = next(step for step in range(1, steps) if any_process(rank == 0 and step >= 5, step))
    (folder / str(rank)).write_text(str(stopped))
    torch.distributed.destroy_process_group()


def test_all_processes_stop_at_the_same_step(tmp_path):
    torch.multiprocessing.start_processes(agree, (tmp_path,), nprocs=2, start_method="spawn")
    assert [(tmp_path / rank).read_text() for rank in "01"] == [str(STEPS_BETWEEN_TALKS)] * 2


def test_a_lone_process_stops_at_once():
    assert any_process(True, 1)
    assert not any_process(False, STEPS_BETWEEN_TALKS)
