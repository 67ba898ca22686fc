"""What is wrong with this run, where, and what may help?"""

from collections.abc import Mapping, Sequence
from typing import Literal

import pandas as pd
import streamlit as st

from gradscope import jobs
from gradscope.analysis.curves import smoothed
from gradscope.analysis.findings import Finding, Remedy, Severity, Tables, diagnose, is_healthy, verdict
from gradscope.analysis.findings.finding import Page
from gradscope.analysis.findings.remedies import settings_of
from gradscope.analysis.wording import count, percent, plain, sentence
from gradscope.errors import GradScopeError
from gradscope.figures.decay import gradient_decay
from gradscope.figures.layer_map import layer_map
from gradscope.figures.layer_series import lost_values, update_ratio
from gradscope.figures.learning import learning_curve
from gradscope.figures.network_strip import network_strip
from gradscope.overrides import with_overrides
from gradscope.records import Kind, Run
from gradscope.store import read
from pages.frame import address, choice, cure_view, show, source, tasks
from pages.frame.chips import chip
from pages.frame.downloads import Drawn

Badge = tuple[str, Literal["green", "orange", "red", "gray"], str]
NOTHING_YET: Badge = ("nothing yet", "gray", "hourglass_empty")
LOSSES = ("train_loss", "loss", "val_loss")
FEW = 6  # layers of a finding that are all named
EVIDENCE_HEIGHT = 280  # pixels, in which the titles of both axes have room
SIGNS = {Severity.CRITICAL: "✕", Severity.WARNING: "!", Severity.NOTE: "·"}
# word, colour and sign of a verdict by its worst finding
BADGES: Mapping[Severity | None, Badge] = {
    None: ("healthy", "green", "check_circle"),
    Severity.NOTE: ("healthy", "green", "check_circle"),
    Severity.WARNING: ("warning", "orange", "warning"),
    Severity.CRITICAL: ("critical", "red", "error"),
}
HOW = """
The band **now** shows every layer from input to output: ✓ nothing found, ! it learns less than it could, ✕ it will not
learn as it stands. Below it, how that was at earlier steps, with what was known then. A click on a layer opens it over
time. The findings are rules with fixed thresholds, applied to what was recorded; each shows its evidence, how sure it
is, and what may help, the likeliest first; **Cure it** tries them one after another. A finding explained by another
one is not told. What each looks like and where it begins: docs/reading-gradients.md. `gradscope doctor RUN` says the
same in a terminal.
"""


def choose_run(runs: Sequence[Run]) -> Run:
    """The run that is diagnosed, out of those shown, the newest first."""
    by_id = {run.id: run for run in sorted(runs, key=lambda run: -run.id)}

    def text(run_id: int) -> str:
        return choice.text_of(by_id[run_id])

    address.seed("of", list(by_id), next(iter(by_id)), text)
    chosen = st.selectbox(
        "Run", list(by_id), key="of", bind="query-params", format_func=text, label_visibility="collapsed", width=320
    )
    return by_id[chosen]


def say(findings: list[Finding], tables: Tables) -> None:
    """The verdict, with a word and a colour for how bad it is."""
    worst = max((f.severity for f in findings), key=lambda s: s.rank, default=None)
    nothing_yet = tables.last_step < 0
    word, colour, icon = NOTHING_YET if nothing_yet else BADGES[worst]
    st.badge(word, icon=f":material/{icon}:", color=colour)
    st.markdown(f"#### {plain(verdict(findings, tables))}")


def open_layer() -> None:
    """A clicked cell: the layer's own page."""
    cell = show.picked("strip")
    if cell:
        st.session_state["strip_layer"] = int(cell["layer"])


def open_layers_over_time(run: Run, layer: int, kind: Kind | None = None, step: int | None = None) -> None:
    """The page of a layer, its choices in the address."""
    names = source.layers(store, [run]).set_index("layer")["name"]
    for key in ("run", "layer", "what", "at"):
        st.session_state.pop(key, None)
    seen = {"what": str(kind)} if kind in (Kind.GRADIENT, Kind.SIGNAL, Kind.ACTIVATION) else {}
    at = {} if step is None else {"at": str(step)}
    show.go(show.LAYERS, run=choice.text_of(run), layer=f"{layer} {names[layer]}", **seen, **at)


def open_evidence(run: Run, finding: Finding) -> None:
    """The page on which a finding is seen, at its step."""
    seen = finding.evidence
    if seen.page is Page.LAYERS:
        open_layers_over_time(run, seen.layer or 0, seen.kind, seen.step)
    if seen.page is Page.CURVES:
        show.go(show.CURVES)
    for key in ("kind", "step"):
        st.session_state.pop(key, None)
    show.go(show.DECAY, kind=str(seen.kind or Kind.GRADIENT), step=str(seen.step))


def open_what_if(run: Run) -> None:
    """The page that predicts what a change would do."""
    st.session_state.pop("what_if_of", None)
    show.go(show.WHAT_IF, what_if_of=choice.text_of(run))


def figure_of(run: Run, finding: Finding) -> Drawn:
    """The evidence, drawn."""
    seen, looks = finding.evidence, choice.look([run])
    kind, layer = seen.kind or Kind.GRADIENT, seen.layer
    if seen.page is Page.CURVES:
        return learning_curve(smoothed(source.metrics(store, [run], LOSSES), 0.6), looks, height=EVIDENCE_HEIGHT)
    if seen.page is Page.DECAY:
        step = finding.until if finding.until is not None else None
        profile = source.profile(store, [run], kind, seen.step if step is None else step)
        return gradient_decay(profile, looks, kind=kind, height=EVIDENCE_HEIGHT)
    if finding.name in ("saturated_units", "dead_units"):
        rows = source.layer_map(store, run, Kind.ACTIVATION, 300)
        return lost_values(rows[rows["layer"] == layer], height=EVIDENCE_HEIGHT)
    if finding.name in ("no_update", "large_update"):
        return update_ratio(
            source.update_ratio(store, run, layer or 0), colour=looks[run.id].colour, height=EVIDENCE_HEIGHT
        )
    rows = source.layer_map(store, run, kind, 200)
    if finding.name == "nonfinite":
        rows = with_the_first_bad_value(rows, finding)
    return layer_map(rows, kind=kind, layer=layer, step=seen.step, height=EVIDENCE_HEIGHT)


def with_the_first_bad_value(rows: pd.DataFrame, finding: Finding) -> pd.DataFrame:
    """The records, and the layer at the step at which it broke, which need not be one that was recorded."""
    seen = finding.evidence
    before = rows[(rows["layer"] == seen.layer) & (rows["step"] < (seen.step or 0))].tail(1)
    if before.empty or (rows["step"] == seen.step).any():
        return rows
    return pd.concat([rows, before.assign(step=seen.step, rms=float("nan"), nan=before["n"])], ignore_index=True)


def launch(run: Run, remedy: Remedy) -> None:
    """Queue the same run with a remedy."""
    config = settings_of(run.config)
    if config is None:
        return
    try:
        started = jobs.submit(store, with_overrides(config, remedy.settings), f"{run.name}, {remedy.title}")
        st.session_state["queued"] = f"Run {started} is queued: {run.name}, {remedy.title}."
        choice.show_only([started, *st.session_state.get("runs", [])])
    except GradScopeError as error:
        st.session_state["refusal"] = sentence(error)


def remedies(run: Run, finding: Finding) -> None:
    """What may help, a line each, with a button where it can be started at once."""
    if finding.remedies:
        st.markdown("**What may help**, the likeliest first")
    for i, remedy in enumerate(finding.remedies):
        if remedy.settings:
            st.button(
                remedy.title,
                key=f"launch_{finding.name}_{i}",
                icon=":material/play_arrow:",
                help=f"{plain(remedy.title)}. Launch the same run with this: `{remedy.arguments}`",
                on_click=launch,
                args=(run, remedy),
                disabled=store.read_only,
            )
        else:
            st.markdown(f"- {plain(remedy.title)}")
        if remedy.why:
            st.caption(plain(remedy.why))


def where(layers: Sequence[int], tables: Tables) -> str:
    """The layers of a finding by name: all of a few, the ends of a row of many."""
    names = [tables.names[i] for i in layers]
    if len(names) == 1:
        return f"layer {names[0]}"
    if len(names) > FEW and layers[-1] - layers[0] == len(layers) - 1:
        return f"{len(names)} layers, {names[0]} to {names[-1]}"
    return "layers " + ", ".join(names)


def tell(run: Run, finding: Finding, tables: Tables, first: bool) -> None:
    """One finding, with its evidence and remedies behind a click."""
    until = f" to {count(finding.until)}" if finding.until is not None else ""
    title = f"{SIGNS[finding.severity]} **{finding.name.replace('_', ' ')}** since step {count(finding.since)}{until}"
    with st.expander(title, expanded=first):
        st.markdown(plain(finding.text))
        facts = [finding.severity.value, f"{percent(finding.confidence)} sure"]
        if finding.layers:
            facts.append(where(finding.layers, tables))
        st.caption(plain(" · ".join(facts)))
        left, right = st.columns([3, 2], gap="large")
        with left:
            show.chart(figure_of(run, finding), f"evidence_{finding.name}", finding.text)
        with right:
            remedies(run, finding)
            if st.button(
                f"Open {finding.evidence.page}",
                key=f"open_{finding.name}",
                icon=":material/open_in_new:",
                type="tertiary",
            ):
                open_evidence(run, finding)
            if run.source == "train" and st.button(
                "Try a change in What if", key=f"what_if_{finding.name}", icon=":material/tune:", type="tertiary"
            ):
                open_what_if(run)


def others(runs: Sequence[Run]) -> pd.DataFrame:
    """A line a run, in Markdown."""
    looks, rows = choice.look(list(runs)), []
    for run in runs:
        tables = source.tables(store, run)
        texts = (choice.text_of(run), choice.status_text(run), verdict(diagnose(tables), tables))
        rows.append((f"![]({chip(looks[run.id])})", *map(plain, texts)))
    return pd.DataFrame(rows, columns=["", "run", "status", "verdict"])


def draw_others(runs: Sequence[Run]) -> None:
    """The verdicts on all runs shown, each whole: a cell of this kind of table has as many lines as it needs."""
    st.markdown("**All runs shown**")
    st.table(others(runs), hide_index=True, alt="the verdict on each run shown")


store = source.the_store()
show.header("Diagnosis", __doc__)
runs_shown = show.runs_or_next_step(store, "diagnosis")
named = address.wanted("of", [r.id for r in read.runs(store)])
extra = {st.session_state.get("of"), *named} - {r.id for r in runs_shown} - {None}
patient = choose_run([*runs_shown, *(r for r in read.runs(store) if r.id in extra)])


def draw(runs: list[Run]) -> None:
    """Everything that moves."""
    run = read.run(store, patient.id)
    if "strip_layer" in st.session_state:
        open_layers_over_time(run, st.session_state.pop("strip_layer"))
    show.live_badge([run])
    for key, box in (("queued", st.success), ("refusal", st.error)):
        if key in st.session_state:
            box(plain(st.session_state.pop(key)))
    tables = source.tables(store, run)
    findings = diagnose(tables)
    say(findings, tables)
    strip = source.health(store, run)
    if len(strip):
        figure = network_strip(strip, findings=findings)
        show.chart(figure, "strip", "health of each layer over the training", open_layer)
    if not is_healthy(findings):
        cure_view.offer(store, run, findings)
    cure_view.draw(store, run)
    for i, finding in enumerate(findings):
        tell(run, finding, tables, first=i == 0)
    if len(runs) > 1:
        draw_others(runs)
    show.how_to_read(HOW, strip, "diagnosis")
    if tasks.is_moving(cure_view.of(store, run)) is not moving:  # a cure was started or has ended: watch, or stop
        st.rerun()


moving = tasks.is_moving(cure_view.of(store, patient))
show.live(store, draw, moving=moving)
