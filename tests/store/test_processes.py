"""Several processes at one store: nothing locked, nothing lost, nothing twice."""

import pytest
from sqlalchemy.exc import DBAPIError

from gradscope.records import Status
from gradscope.store import open_store, read, write

WRITES = """
    import sys
    from gradscope.records import Batch, Kind, LayerStats, Metric, Progress, Status
    from gradscope.store import open_store, write
    store, run, steps = open_store(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    for step in range(steps):
        stats = tuple(
            LayerStats(step=step, layer=i, kind=Kind.GRADIENT, n=8, rms=float(step), histogram=b"\\x01\\x02")
            for i in range(20)
        )
        metrics = (Metric(name="train_loss", step=step, value=1.0),)
        write.append(store, run, Batch(stats=stats, metrics=metrics, progress=Progress(last_step=step)))
    write.finish(store, run, Status.COMPLETED)
"""


def test_two_writers_at_full_speed_and_a_reader_that_looks_all_the_time(store, new_run, python):
    runs = [new_run(layers=20), new_run(layers=20)]
    writers = [python(WRITES, store.name, run_id, 150) for run_id in runs]
    looks = 0
    while read.unfinished(store) and any(w.poll() is None for w in writers):
        for run_id in runs:
            frame = read.profile(store, [run_id], "gradient")
            assert len(frame) in (0, 20)  # a step is there with all its layers or not at all
            assert frame["rms"].nunique() <= 1
        read.runs(store)
        looks += 1
    assert [(w.wait(), w.stderr.read()) for w in writers] == [(0, "")] * 2
    assert looks > 10
    for run_id in runs:
        assert read.run(store, run_id).status is Status.COMPLETED
        assert read.steps(store, [run_id])["step"].tolist() == list(range(150))
        assert len(read.layer_map(store, run_id, "gradient", max_steps=1000)) == 150 * 20
        assert len(read.histograms(store, run_id, 19, "gradient", max_steps=1000)[0]) == 150


def test_a_writer_is_not_kept_waiting_by_a_reader_in_the_middle_of_a_look(store, new_run, python):
    run_id = new_run(layers=20)
    with store.reader.connect() as connection:
        before = connection.exec_driver_sql("SELECT count(*) FROM layer_stats").scalar()
        writer = python(WRITES, store.name, run_id, 20)
        assert (writer.wait(), writer.stderr.read()) == (0, "")
        assert connection.exec_driver_sql("SELECT count(*) FROM layer_stats").scalar() == before == 0
    assert len(read.steps(store, [run_id])) == 20


def test_a_reader_cannot_write(store):
    with (
        store.reader.connect() as connection,
        pytest.raises(DBAPIError, match="attempt to write a readonly database"),
    ):
        connection.exec_driver_sql("DELETE FROM runs")


def test_four_processes_that_claim_at_once_get_every_run_once(store, new_run, python):
    claims = """
        import os, sys
        from gradscope.store import open_store, write
        store = open_store(sys.argv[1])
        while run := write.claim(store, host="h", pid=os.getpid()):
            print(run.id, flush=True)
    """
    run_ids = [new_run(status=Status.QUEUED) for _ in range(60)]
    workers = [python(claims, store.name) for _ in range(4)]
    results = [worker.communicate() for worker in workers]
    assert [err for _, err in results] == [""] * 4
    assert sorted(int(line) for out, _ in results for line in out.split()) == run_ids


def test_a_writer_that_is_killed_leaves_a_store_that_can_be_read_and_written(store, new_run, python):
    run_id = new_run(layers=20)
    writer = python(WRITES, store.name, run_id, 1_000_000)
    while read.run(store, run_id).progress.last_step < 20:
        assert writer.poll() is None, writer.stderr.read()
    writer.kill()
    writer.wait()
    last = read.run(store, run_id).progress.last_step
    assert len(read.layer_map(store, run_id, "gradient", max_steps=10**9)) == (last + 1) * 20
    write.finish(store, run_id, Status.STOPPED)
    again = open_store(store.name)
    with again.reader.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"
    again.close()
