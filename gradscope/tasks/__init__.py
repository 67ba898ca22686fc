"""Tasks: what is computed on a run beside its training, by a process of its own.

To add a kind of task:

1. its settings: a class of `gradscope/config/tasks.py` (or a file beside it) that inherits `TaskSettings` and has a
   `name`, the kind;
2. its work: a file in this package with a function `(Store, Task, Report) -> None` that reads `task.settings` (the
   dump of the settings class), loads the run by `gradscope.trained.load_trained`, calls `report(done, total)` after
   each part (it raises `Stopped` when nobody wants the rest; let it pass), and writes results to the store as it goes,
   each part once;
3. a line in `registry.py`.

A page or command then calls `jobs.submit_task(store, run_id, settings)`, shows `read_tasks.tasks(store, run_ids, kind)`
with their done and total, and cancels with `jobs.stop_task`. Everything else is shared: queue, process, heartbeat, log,
signals, one-sentence errors.
"""
