"""What can be done to the runs picked in the table: show, rename, tag, annotate, stop, resume, delete, read the log."""

from collections.abc import Callable, Sequence

import streamlit as st

from gradscope import jobs
from gradscope.analysis import recording
from gradscope.analysis.wording import plain, sentence
from gradscope.errors import GradScopeError
from gradscope.records import Run, Status
from gradscope.store import Store, read, write
from pages.frame import choice, show


def panel(store: Store, runs: Sequence[Run]) -> None:
    """The row of buttons, and for a single run its own box."""
    if refusal := st.session_state.pop("refusal", None):
        st.error(plain(refusal))
    if not runs:
        st.caption("Tick runs to show, edit, stop, resume or delete them.")
        return
    ids = [run.id for run in runs]
    with st.container(horizontal=True, key="run_actions"):
        what = f"run {plain(runs[0].name)}" if len(runs) == 1 else f"these {len(runs)} runs"
        st.button(f"Show {what}", on_click=choice.show_only, args=(ids,), type="primary", key="show")
        _button(store, "Stop", runs, jobs.stop, lambda r: not r.status.is_final and r.status is not Status.STOPPING)
        _button(store, "Resume", runs, jobs.resume, _can_resume)
        alive = any(run.status.is_alive for run in runs)
        st.button("Delete", icon=":material/delete:", key="delete", disabled=alive, on_click=_ask_to_delete)
    if st.session_state.get("deleting"):  # a state and not a moment: a refresh must not close the dialog
        _confirm_delete(store, list(runs))
    if len(ids) > choice.MOST:
        st.caption(f"The first {choice.MOST} of them are shown: more lines cannot be told apart.")
    if len(runs) == 1:
        _details(store, runs[0])


def _can_resume(run: Run) -> bool:
    return run.source == "train" and run.status.is_final and run.status is not Status.COMPLETED


def _button(
    store: Store,
    label: str,
    runs: Sequence[Run],
    action: Callable[[Store, int], object],
    applies: Callable[[Run], bool],
) -> None:
    fit = [run.id for run in runs if applies(run)]
    st.button(label, on_click=_do, args=(store, action, fit), key=label.lower(), disabled=not fit)


def _do(store: Store, action: Callable[[Store, int], object], ids: Sequence[int]) -> None:
    try:
        for run_id in ids:
            action(store, run_id)
    except GradScopeError as error:
        st.session_state["refusal"] = sentence(error)


def _ask_to_delete(wanted: bool = True) -> None:
    st.session_state["deleting"] = wanted


def _delete(store: Store, ids: Sequence[int]) -> None:
    _do(store, jobs.delete, ids)
    st.session_state["picked"] = []
    _ask_to_delete(False)


@st.dialog("Delete for ever?", on_dismiss=lambda: _ask_to_delete(False))
def _confirm_delete(store: Store, runs: list[Run]) -> None:
    wanted = runs[0].name if len(runs) == 1 else f"delete {len(runs)} runs"
    st.markdown("Their records, logs and checkpoints go too:")
    st.markdown("\n".join(f"- {plain(choice.text_of(run))}" for run in runs[:10]))
    typed = st.text_input(f"Type **{plain(wanted)}** to confirm", key="delete_name")
    ids = [run.id for run in runs]
    different = typed.split() != wanted.split()
    if st.button("Delete for ever", type="primary", key="delete_confirmed", disabled=different):
        _delete(store, ids)
        st.rerun()


def _details(store: Store, run: Run) -> None:
    left, right = st.columns([2, 3])
    with left, st.form(f"edit_{run.id}", border=True):
        name = st.text_input("Name", run.name, key=f"name_{run.id}")
        tags = st.text_input("Tags, separated by commas", ", ".join(run.tags), key=f"tags_{run.id}")
        note = st.text_area("Note", run.note, key=f"note_{run.id}", height=80)
        if st.form_submit_button("Save", key=f"save_{run.id}"):
            _save(store, run.id, name.strip() or run.name, tags, note)
    with right:
        if run.error:
            st.warning(plain(_what_happened(run)), icon=":material/error:")
        _dates(run)
        st.caption(plain(_origin(run)))
        if recorded := _recorded(store, run):
            st.caption(plain(recorded))
        with st.expander("Log", icon=":material/terminal:", expanded=run.status is Status.FAILED):
            log = jobs.log_tail(store, run.id)
            st.code(log or "This run has printed nothing.", language=None, height=260)
            st.caption(plain(f"All of it: {store.paths(run.id).log}"))


def _save(store: Store, run_id: int, name: str, tags: str, note: str) -> None:
    try:
        write.edit(store, run_id, name=name, tags=[t.strip() for t in tags.split(",") if t.strip()], note=note)
    except GradScopeError as error:
        st.session_state["refusal"] = sentence(error)
    st.rerun()


def _what_happened(run: Run) -> str:
    first = run.nonfinite
    where = ""
    if first:
        layer = f" of {first.layer}" if first.layer else ""
        where = f" The first value that is not finite: the {first.kind}{layer} at step {first.step}."
    return f"{run.status.value.capitalize()}: {(run.error or '').rstrip('.')}.{where}"


def _recorded(store: Store, run: Run) -> str:
    """What recording cost and what is missing in it."""
    skipped = recording.skipped(read.skipped_steps(store, [run.id]))
    said = " · ".join(part for part in (recording.cost(run), skipped, recording.lost(run)) if part)
    return said[:1].upper() + said[1:]


def _dates(run: Run) -> None:
    """When it was created, started, ended: as on the user's clock, in UTC under the pointer."""
    moments = {"created": run.created, "started": run.started, "ended": run.ended}
    known = {what: show.moment(when) for what, when in moments.items() if when}
    local, utc = (" · ".join(f"{what} {text[i]}" for what, text in known.items()) for i in (0, 1))
    st.caption(local, help=utc)


def _origin(run: Run) -> str:
    known = run.provenance
    versions = ", ".join(f"{name} {version}" for name, version in known.versions.items())
    parts = [
        known.device and f"on {known.device}",
        known.git_commit and f"commit {known.git_commit[:10]}",
        known.seed is not None and f"seed {known.seed}",
        versions,
    ]
    return " · ".join(str(p) for p in parts if p)
