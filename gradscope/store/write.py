"""The only INSERT, UPDATE and DELETE. Each function is one transaction that holds the write lock throughout."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, case, func, insert, null, select, update
from sqlalchemy import delete as sql_delete

from gradscope.errors import JobError, RunNotFound, StoreError
from gradscope.paths import is_url
from gradscope.records import (
    LOST_AFTER_SECONDS,
    Batch,
    Layer,
    NonFinite,
    Provenance,
    Results,
    Run,
    Status,
)
from gradscope.store import read, rows, waiting
from gradscope.store.engine import Store
from gradscope.store.limits import checked_name, checked_note, checked_tags
from gradscope.store.schema import (
    GainRow,
    HistogramRow,
    LayerRow,
    MetricRow,
    RunRow,
    SkippedRow,
    StatsRow,
    TaskRow,
    TermCosineRow,
    TermGradientRow,
)

_RECORDS = (StatsRow, HistogramRow, MetricRow, GainRow, SkippedRow, TermGradientRow, TermCosineRow)
"""The tables that a training adds rows to, step by step."""


@dataclass(frozen=True, kw_only=True)
class Wishes:
    """What others asked of a run since it last wrote."""

    stop: bool
    """Somebody pressed Stop."""
    deleted: bool
    """The run is no longer in the store; nothing was written."""


def _now() -> datetime:
    return datetime.now(UTC)


def changed(run_id: int, **values: Any) -> Any:  # Any: SQLAlchemy's column expressions beside plain values
    """The statement that changes a run, and makes its revision go up."""
    return update(RunRow).where(RunRow.id == run_id).values(revision=RunRow.revision + 1, **values)


def _change(store: Store, run_id: int, **values: Any) -> None:  # Any: as above
    with store.writer.begin() as connection:
        if connection.execute(changed(run_id, **values)).rowcount == 0:
            raise RunNotFound(f"run {run_id} is not in the store {store.shown}")


def create_run(
    store: Store,
    *,
    name: str,
    source: str,
    config: Mapping[str, Any],
    status: Status,
    provenance: Provenance | None = None,
    tags: Sequence[str] = (),
    note: str = "",
    waits_for: int | None = None,
) -> int:
    """Add a run; returns its id, which is never used again even when the run is deleted.

    Queued, it begins when it is its turn and the run that it waits for is complete.

    Raises:
        ConfigError: name, tags or note are longer than `gradscope.store.limits` says, or the name is empty.
    """
    texts = {"name": checked_name(name), "tags": checked_tags(tags), "note": checked_note(note)}
    values = asdict(provenance or Provenance())
    now = _now()
    if status.is_alive:
        values |= {"started": now, "heartbeat": now}
    statement = insert(RunRow).values(
        source=source, config=dict(config), status=status, created=now, waits_for=waits_for, **texts, **values
    )
    with store.writer.begin() as connection:
        return int(connection.execute(statement.returning(RunRow.id)).scalar_one())


def start(
    store: Store,
    run_id: int,
    *,
    provenance: Provenance,
    n_parameters: int | None = None,
    total_steps: int | None = None,
) -> None:
    """The run's process is at work: running from now on, with what it runs on."""
    now = _now()
    status = case((RunRow.status == Status.STOPPING, Status.STOPPING), else_=Status.RUNNING)
    known = {name: value for name, value in asdict(provenance).items() if value is not None}
    _change(
        store,
        run_id,
        status=status,
        started=func.coalesce(RunRow.started, now),
        heartbeat=now,
        ended=None,
        error=None,
        n_parameters=n_parameters,
        total_steps=total_steps,
        **known,
    )


def layers(store: Store, run_id: int, found: Sequence[Layer]) -> None:
    """Replace the run's list of layers."""
    described = [
        {
            "run_id": run_id,
            "layer": layer.index,
            "name": layer.name,
            "type": layer.type,
            "shape": list(layer.shape),
            "n_weights": layer.n_weights,
            "trainable": layer.trainable,
        }
        for layer in found
    ]
    with store.writer.begin() as connection:
        connection.execute(sql_delete(LayerRow).where(LayerRow.run_id == run_id))
        if described:
            connection.execute(insert(LayerRow), described)
        connection.execute(changed(run_id))


def append(store: Store, run_id: int, batch: Batch) -> Wishes:
    """Add records and say that the run lives; a record of a step that is there already replaces it.

    Raises:
        StoreError: the store's file is gone.
        sqlalchemy.exc.DBAPIError: locked for too long, disk full, connection lost; nothing of the batch was written.
    """
    if not is_url(store.name) and not Path(store.name).exists():
        raise StoreError(f"the store {store.shown} was deleted while run {run_id} wrote to it")
    with store.writer.begin() as connection:
        reply = connection.execute(_heartbeat(run_id, batch).returning(RunRow.stop_requested)).first()
        if reply is None:
            return Wishes(stop=True, deleted=True)
        rows.put(connection, MetricRow, run_id, batch.metrics)
        rows.put(connection, StatsRow, run_id, batch.stats)
        rows.put(connection, HistogramRow, run_id, [s for s in batch.stats if s.histogram is not None])
        rows.put(connection, GainRow, run_id, batch.gains)
        rows.put(connection, SkippedRow, run_id, batch.skipped)
        rows.put(connection, TermGradientRow, run_id, batch.term_gradients)
        rows.put(connection, TermCosineRow, run_id, batch.term_cosines)
    return Wishes(stop=bool(reply[0]), deleted=False)


def _heartbeat(run_id: int, batch: Batch) -> Any:  # Any: an Update, whose type parameters say nothing
    values: dict[str, Any] = {
        "heartbeat": _now(),
        "lost_rows": RunRow.lost_rows + batch.lost_rows,
        "recorder_seconds": RunRow.recorder_seconds + batch.recorder_seconds,
        "watched_seconds": RunRow.watched_seconds + batch.watched_seconds,
        # a laptop that slept comes back from the lost
        "status": case((RunRow.status == Status.LOST, Status.RUNNING), else_=RunRow.status),
        "ended": case((RunRow.status == Status.LOST, null()), else_=RunRow.ended),
        "error": case((RunRow.status == Status.LOST, null()), else_=RunRow.error),
    }
    if batch.pace is not None:
        values |= asdict(batch.pace)
    if batch.progress is not None:
        values |= {name: value for name, value in asdict(batch.progress).items() if value is not None}
        # a resumed run that loads its data again has reported no step yet; only `rewind` goes back
        last = batch.progress.last_step
        values["last_step"] = case((RunRow.last_step > last, RunRow.last_step), else_=last)
        if (seconds := batch.progress.seconds) is not None:
            values["seconds"] = case((RunRow.seconds > seconds, RunRow.seconds), else_=seconds)
    return changed(run_id, **values)


def results(store: Store, run_id: int, found: Results) -> None:
    """Note what the training is worth so far; None leaves what was there."""
    _change(store, run_id, **{name: value for name, value in asdict(found).items() if value is not None})


def finish(
    store: Store,
    run_id: int,
    status: Status,
    *,
    error: str | None = None,
    nonfinite: NonFinite | None = None,
    seconds: float | None = None,
) -> None:
    """The run ended so, after so long at work; None leaves what was known."""
    known = {} if seconds is None else {"seconds": seconds}
    where = {f"nonfinite_{name}": value for name, value in asdict(nonfinite).items()} if nonfinite else {}
    ended = {"status": status, "ended": _now(), "error": error, "stop_requested": False, "phase": None}
    _change(store, run_id, **ended, **known, **where)


def edit(
    store: Store, run_id: int, *, name: str | None = None, tags: Sequence[str] | None = None, note: str | None = None
) -> None:
    """Rename, tag or annotate a run; None leaves what was there.

    Raises:
        RunNotFound, ConfigError: there is no such run, or as `create_run`.
    """
    given = {
        "name": None if name is None else checked_name(name),
        "tags": None if tags is None else checked_tags(tags),
        "note": None if note is None else checked_note(note),
    }
    _change(store, run_id, **{key: value for key, value in given.items() if value is not None})


def request_stop(store: Store, run_id: int) -> Status:
    """Ask a run to stop; a queued one is stopped at once. Returns its status from now on."""
    with store.writer.begin() as connection:
        status = _status(connection, store, run_id)
        if status.is_final:
            raise JobError(f"run {run_id} is {status} already; there is nothing to stop")
        if status is Status.QUEUED:
            connection.execute(changed(run_id, status=Status.STOPPED, ended=_now()))
            return Status.STOPPED
        connection.execute(changed(run_id, status=Status.STOPPING, stop_requested=True))
        return Status.STOPPING


def requeue(store: Store, run_id: int) -> None:
    """Put an ended run back into the queue, to go on from its checkpoint."""
    with store.writer.begin() as connection:
        status = _status(connection, store, run_id)
        if not status.is_final:
            raise JobError(f"run {run_id} is {status}; only a run that ended can be resumed")
        connection.execute(changed(run_id, status=Status.QUEUED, ended=None, error=None, stop_requested=False))


def take(store: Store, run_id: int, *, host: str, pid: int) -> None:
    """An ended run goes on in the process that asks, past the queue: running from now on."""
    now = _now()
    with store.writer.begin() as connection:
        status = _status(connection, store, run_id)
        if not status.is_final:
            raise JobError(f"run {run_id} is {status}; only a run that ended can be resumed")
        again = {"status": Status.RUNNING, "started": now, "heartbeat": now, "ended": None, "error": None}
        connection.execute(changed(run_id, **again, stop_requested=False, host=host, pid=pid))


def rewind(store: Store, run_id: int, step: int) -> None:
    """Forget what was recorded after a step: a resumed run goes through those steps again."""
    with store.writer.begin() as connection:
        for table in _RECORDS:
            connection.execute(sql_delete(table).where(table.run_id == run_id, table.step > step))
        connection.execute(
            changed(
                run_id, last_step=step, seconds=None, nonfinite_step=None, nonfinite_layer=None, nonfinite_kind=None
            )
        )


def delete(store: Store, run_id: int) -> None:
    """Remove a run and all its records; its folder is the caller's."""
    with store.writer.begin() as connection:
        status = _status(connection, store, run_id)
        if status.is_alive:
            raise JobError(f"run {run_id} is {status}; stop it before you delete it")
        alive = [s for s in Status if s.is_alive]
        task_id = connection.execute(
            select(TaskRow.id).where(TaskRow.run_id == run_id, TaskRow.status.in_(alive))
        ).scalar()
        if task_id is not None:
            raise JobError(f"task {task_id} is at work on run {run_id}; stop it before you delete the run")
        connection.execute(sql_delete(RunRow).where(RunRow.id == run_id))


def claim(store: Store, *, host: str, pid: int) -> Run | None:
    """Take the oldest queued run that waits for no other: running from now on, for the process that asked. None when
    there is none. Queued runs whose teacher will not be complete fail.
    """
    if not waiting.is_anything_to_do(store):  # a student that waits for hours costs no lock
        return None
    with store.writer.begin() as connection:
        for orphan, why in waiting.orphans(connection):
            connection.execute(changed(orphan, status=Status.FAILED, ended=_now(), error=why))
        oldest = select(RunRow.id).where(*waiting.READY).order_by(RunRow.id).limit(1)
        run_id = connection.execute(oldest.with_for_update(skip_locked=True)).scalar()
        if run_id is None:
            return None
        now = _now()
        connection.execute(
            changed(run_id, status=Status.RUNNING, heartbeat=now, host=host, pid=pid, phase="starting", started=now)
        )
    return read.run(store, run_id)


def mark_lost(store: Store) -> list[int]:
    """Mark the runs whose process no longer says that it lives; returns their ids."""
    stale = _now() - timedelta(seconds=LOST_AFTER_SECONDS)
    alive = [s for s in Status if s.is_alive]
    statement = (
        update(RunRow)
        .where(RunRow.status.in_(alive), RunRow.heartbeat < stale)
        .values(
            status=Status.LOST,
            ended=RunRow.heartbeat,
            stop_requested=False,
            revision=RunRow.revision + 1,
            error="the run's process ended without a word (killed, out of memory, or the machine went down)",
        )
    )
    with store.writer.begin() as connection:
        return [int(row[0]) for row in connection.execute(statement.returning(RunRow.id))]


def _status(connection: Connection, store: Store, run_id: int) -> Status:
    status = connection.execute(select(RunRow.status).where(RunRow.id == run_id)).scalar()
    if status is None:
        raise RunNotFound(f"run {run_id} is not in the store {store.shown}")
    return Status(status)
