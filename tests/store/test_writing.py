"""Every change to the store."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from gradscope.errors import JobError, RunNotFound
from gradscope.records import (
    Batch,
    Gain,
    Kind,
    Layer,
    Metric,
    NonFinite,
    Pace,
    Progress,
    Provenance,
    Results,
    Status,
    TermCosine,
    TermGradient,
)
from gradscope.store import read, read_terms, write


def age(store, run_id, seconds):
    """Make the run's last heartbeat older."""
    then = (datetime.now(UTC) - timedelta(seconds=seconds)).replace(tzinfo=None)
    with store.writer.begin() as connection:
        connection.execute(text("UPDATE runs SET heartbeat = :then WHERE id = :id"), {"then": str(then), "id": run_id})


def n_rows(store, table):
    with store.reader.connect() as connection:
        return connection.execute(text(f"SELECT count(*) FROM {table}")).scalar()


def test_an_id_is_never_used_again(store, new_run):
    first = new_run(status=Status.QUEUED)
    write.delete(store, first)
    assert new_run() == first + 1


def test_a_queued_run_has_not_started(store, new_run):
    run = read.run(store, new_run(status=Status.QUEUED))
    assert (run.started, run.heartbeat, run.ended) == (None, None, None)
    assert run.progress.last_step == -1


def test_a_record_of_the_same_step_replaces_the_earlier_one(store, new_run, stats):
    run_id = new_run(layers=1)
    for rms, value in ((1.0, 5.0), (2.0, 6.0)):
        metric = Metric(name="loss", step=0, value=value)
        write.append(store, run_id, Batch(stats=(stats(0, rms=rms, histogram=b"\x01\x02"),), metrics=(metric,)))
    assert read.profile(store, [run_id], Kind.GRADIENT)["rms"].tolist() == [2.0]
    assert read.metrics(store, [run_id])["value"].tolist() == [6.0]
    assert n_rows(store, "layer_histograms") == 1


def test_a_row_without_a_histogram_leaves_none(store, new_run, stats):
    run_id = new_run(layers=1)
    write.append(store, run_id, Batch(stats=(stats(0), stats(1, histogram=b""))))
    assert n_rows(store, "layer_stats") == 2
    assert n_rows(store, "layer_histograms") == 1


def test_what_was_lost_and_what_recording_cost_add_up(store, new_run):
    run_id = new_run()
    for _ in range(3):
        write.append(store, run_id, Batch(lost_rows=2, recorder_seconds=0.5, watched_seconds=10.0))
    run = read.run(store, run_id)
    assert (run.lost_rows, run.recorder_seconds, run.watched_seconds) == (6, 1.5, 30.0)


def test_how_often_is_recorded_stays_until_something_else_is_said(store, new_run):
    run_id = new_run()
    assert read.run(store, run_id).pace == Pace()
    for pace in (Pace(record_every=16, record_budget=0.02), None, Pace(record_every=32, record_budget=0.02), None):
        write.append(store, run_id, Batch(pace=pace))
    assert read.run(store, run_id).pace == Pace(record_every=32, record_budget=0.02)
    write.append(store, run_id, Batch(pace=Pace()))
    assert read.run(store, run_id).pace == Pace()


def test_an_unknown_progress_leaves_what_was_known(store, new_run):
    run_id = new_run()
    write.append(store, run_id, Batch(progress=Progress(last_step=1, epoch=0.5, phase="training")))
    write.append(store, run_id, Batch(progress=Progress(last_step=2)))
    assert read.run(store, run_id).progress == Progress(last_step=2, epoch=0.5, phase="training")


def test_the_writer_hears_of_stop_and_of_deletion(store, new_run):
    run_id = new_run()
    assert write.append(store, run_id, Batch()) == write.Wishes(stop=False, deleted=False)
    assert write.request_stop(store, run_id) is Status.STOPPING
    assert write.append(store, run_id, Batch()) == write.Wishes(stop=True, deleted=False)
    write.finish(store, run_id, Status.STOPPED)
    write.delete(store, run_id)
    metric = Metric(name="loss", step=0, value=1.0)
    assert write.append(store, run_id, Batch(metrics=(metric,))) == write.Wishes(stop=True, deleted=True)
    assert n_rows(store, "metrics") == 0


def test_layers_are_replaced(store, new_run):
    run_id = new_run(layers=3)
    write.layers(store, run_id, [Layer(index=0, name="conv", type="Conv2d", shape=(2, 3, 3, 3), n_weights=54)])
    assert read.layers(store, [run_id])["name"].tolist() == ["conv"]
    assert read.layers(store, [run_id])["shape"].tolist() == [[2, 3, 3, 3]]


def test_results_that_are_unknown_leave_what_was_known(store, new_run):
    run_id = new_run()
    write.results(store, run_id, Results(val_accuracy=0.5))
    write.results(store, run_id, Results(test_accuracy=0.25))
    assert read.run(store, run_id).results == Results(val_accuracy=0.5, test_accuracy=0.25)


def test_a_run_ends_and_starts_again(store, new_run):
    run_id = new_run()
    write.request_stop(store, run_id)
    write.finish(store, run_id, Status.FAILED, error="why", nonfinite=NonFinite(step=1, layer=None, kind="loss"))
    run = read.run(store, run_id)
    assert (run.status, run.error, run.stop_requested) == (Status.FAILED, "why", False)
    assert run.ended is not None
    write.requeue(store, run_id)
    run = read.run(store, run_id)
    assert (run.status, run.error, run.ended) == (Status.QUEUED, None, None)
    write.start(store, run_id, provenance=Provenance())
    assert read.run(store, run_id).status is Status.RUNNING


def test_a_stop_that_came_before_the_start_is_not_forgotten(store, new_run):
    run_id = new_run()
    write.request_stop(store, run_id)
    write.start(store, run_id, provenance=Provenance(seed=1))
    run = read.run(store, run_id)
    assert (run.status, run.stop_requested, run.provenance.seed) == (Status.STOPPING, True, 1)


def test_a_run_is_renamed_tagged_and_annotated(store, new_run):
    run_id = new_run(name="a", tags=["x"], note="n")
    write.edit(store, run_id, name="b")
    write.edit(store, run_id, tags=[])
    write.edit(store, run_id, note="")
    run = read.run(store, run_id)
    assert (run.name, run.tags, run.note) == ("b", (), "")


def test_rewinding_forgets_what_came_after_a_step(store, new_run, stats):
    run_id, other = new_run(layers=1), new_run(layers=1)
    for r in (run_id, other):
        rows = tuple(stats(s, histogram=b"\x01\x02") for s in range(5))
        metrics = tuple(Metric(name="loss", step=s, value=1.0) for s in range(5))
        gains = tuple(Gain(step=s, layer=0, method="pseudo_norm", gain=1.5) for s in range(5))
        causes = tuple(TermGradient(step=s, layer=0, term="label", share=1.0, rms=1.0) for s in range(5))
        cosines = tuple(TermCosine(step=s, layer=0, term="label", other="hint", cosine=0.0) for s in range(5))
        batch = Batch(stats=rows, metrics=metrics, gains=gains, term_gradients=causes, term_cosines=cosines)
        write.append(store, r, replace(batch, progress=Progress(last_step=4)))
    write.finish(store, run_id, Status.DIVERGED, nonfinite=NonFinite(step=4, layer="fc0", kind="gradient"))
    write.rewind(store, run_id, 2)
    assert read.steps(store, [run_id])["step"].tolist() == [0, 1, 2]
    assert read.metrics(store, [run_id])["step"].tolist() == [0, 1, 2]
    assert len(read.histograms(store, run_id, 0, Kind.GRADIENT)[0]) == 3
    assert read.gain_series(store, run_id)["step"].tolist() == [0, 1, 2]
    assert read_terms.term_series(store, run_id)["step"].tolist() == [0, 1, 2]
    assert read_terms.cosine_series(store, run_id)["step"].tolist() == [0, 1, 2]
    assert (read.run(store, run_id).progress.last_step, read.run(store, run_id).nonfinite) == (2, None)
    assert read.steps(store, [other])["step"].tolist() == [0, 1, 2, 3, 4]


def test_deleting_a_run_deletes_all_its_rows_and_no_others(store, new_run, stats):
    gone, kept = new_run(layers=2), new_run(layers=2)
    for run_id in (gone, kept):
        metric = Metric(name="loss", step=0, value=1.0)
        write.append(store, run_id, Batch(stats=(stats(0, histogram=b"\x01\x02"),), metrics=(metric,)))
    write.finish(store, gone, Status.COMPLETED)
    write.delete(store, gone)
    tables = ("runs", "layers", "metrics", "layer_stats", "layer_histograms")
    assert [n_rows(store, t) for t in tables] == [1, 2, 1, 1, 1]
    assert [r.id for r in read.runs(store)] == [kept]


def test_the_oldest_queued_run_is_claimed_first(store, new_run):
    first, second = new_run(status=Status.QUEUED), new_run(status=Status.QUEUED)
    claimed = write.claim(store, host="h", pid=1)
    assert (claimed.id, claimed.status, claimed.progress.phase) == (first, Status.RUNNING, "starting")
    assert write.claim(store, host="h", pid=1).id == second
    assert write.claim(store, host="h", pid=1) is None


def test_a_silent_run_is_lost_and_comes_back_when_it_speaks(store, new_run):
    silent, fresh, ended = new_run(), new_run(), new_run()
    write.finish(store, ended, Status.COMPLETED)
    for run_id in (silent, ended):
        age(store, run_id, 31)
    age(store, fresh, 20)
    assert write.mark_lost(store) == [silent]
    run = read.run(store, silent)
    assert (run.status, run.ended) == (Status.LOST, run.heartbeat)
    assert run.error.startswith("the run's process ended without a word")
    write.append(store, silent, Batch())
    assert read.run(store, silent).status is Status.RUNNING


def test_a_run_that_comes_back_is_neither_ended_nor_in_error(store, new_run):
    run_id = new_run()
    age(store, run_id, 31)
    write.mark_lost(store)
    write.append(store, run_id, Batch())
    run = read.run(store, run_id)
    assert (run.ended, run.error) == (None, None)


@pytest.mark.parametrize(
    ("status", "act", "sentence"),
    [
        (Status.COMPLETED, write.request_stop, "run 1 is completed already; there is nothing to stop"),
        (Status.RUNNING, write.requeue, "run 1 is running; only a run that ended can be resumed"),
        (Status.QUEUED, write.requeue, "run 1 is queued; only a run that ended can be resumed"),
        (Status.STOPPING, write.delete, "run 1 is stopping; stop it before you delete it"),
    ],
)
def test_what_cannot_be_done_in_a_status_is_refused(status, act, sentence, store, new_run):
    run_id = new_run(status=status)
    with pytest.raises(JobError, match=sentence):
        act(store, run_id)
    assert read.run(store, run_id).status is status


def test_a_run_that_is_not_there_is_said_so(store):
    for act in (
        lambda: write.start(store, 9, provenance=Provenance()),
        lambda: write.finish(store, 9, Status.FAILED),
        lambda: write.results(store, 9, Results()),
        lambda: write.edit(store, 9, name="x"),
        lambda: write.request_stop(store, 9),
        lambda: write.requeue(store, 9),
        lambda: write.delete(store, 9),
    ):
        with pytest.raises(RunNotFound, match="run 9 is not in the store"):
            act()


def test_a_process_that_has_reported_no_step_yet_does_not_take_a_resumed_run_back(store, new_run):
    run_id = new_run()
    write.append(store, run_id, Batch(progress=Progress(last_step=7, epoch=0.5)))
    write.append(store, run_id, Batch(progress=Progress(last_step=-1, phase="loading data")))
    assert read.run(store, run_id).progress == Progress(last_step=7, epoch=0.5, phase="loading data")
    write.rewind(store, run_id, 4)
    assert read.run(store, run_id).progress.last_step == 4
