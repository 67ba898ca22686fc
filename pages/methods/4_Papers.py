"""What did the papers report, and what do we get?"""

from dataclasses import dataclass

import pandas as pd
import streamlit as st

from gradscope import jobs
from gradscope.analysis.wording import plain, sentence
from gradscope.errors import GradScopeError
from gradscope.figures.papers import reproduction
from gradscope.records import Run
from gradscope.reproduce.exits import exits_table
from gradscope.reproduce.group import Group, find_group, seeds_of, tagged
from gradscope.reproduce.paper import Paper
from gradscope.reproduce.papers import PAPERS, chosen
from gradscope.reproduce.plan import plan
from gradscope.reproduce.report import contrasts_table, noise_sentence, noise_tables, results_table
from gradscope.reproduce.scales import SCALES, Scale
from gradscope.reproduce.start import queue
from gradscope.reproduce.summary import differences, seeds_table, summary
from gradscope.store import read
from pages.frame import address, choice, command, show, source

SEEDS = 3
POLL_SECONDS = 2.0
HOW = """
Each line is an experiment of the paper. The diamond is the published test accuracy, the dot the mean of our runs with
their standard deviation as a line, which ends at 0 and 100 %, each tick one seed. A dot at the diamond is a
reproduction only where the settings are the paper's: every one that differs, or that had to be guessed, is listed
under its experiment. Runs of a smaller scale are compared with each other, seed by seed, and not with the diamond. A
run that diverged has no accuracy.
"""


def choose_scale(paper: Paper, runs: list[Run]) -> Scale:
    """The scale in the address; at first the one with the most runs."""
    most = max(SCALES.values(), key=lambda s: (len(tagged(runs, paper, s)), s.name == "cpu"))
    address.seed("scale", list(SCALES), most.name)
    name = st.segmented_control(
        "Scale", list(SCALES), key="scale", default=most.name, required=True, bind="query-params"
    )
    return SCALES[name or most.name]


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What the page is about."""

    paper: Paper
    scale: Scale
    seeds: int
    sweep: bool
    folder: str | None

    def group(self) -> Group:
        """Its runs as they are now."""
        experiments = chosen(self.paper, sweep=self.sweep, heavy=self.scale.whole)
        return find_group(store, self.paper, self.scale, experiments, range(self.seeds), self.folder)


def choices() -> Wanted:
    """The row above the table."""
    runs = read.runs(store)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        address.seed("paper", list(PAPERS), next(iter(PAPERS)))
        name = st.selectbox("Paper", list(PAPERS), key="paper", format_func=title, bind="query-params", width=300)
        paper = PAPERS[name]
        scale = choose_scale(paper, runs)
        first = max([SEEDS, *(seed + 1 for seed in seeds_of(tagged(runs, paper, scale)))])
        seeds = st.number_input("Seeds", 1, 100, first, key="seeds", bind="query-params", width=120)
        sweep = st.toggle("Sweep", key="sweep", bind="query-params", help="Also vary what the paper leaves open")
        with st.popover("Data", icon=":material/folder_open:"):
            folder = st.text_input(
                "Folder with cifar10, cifar100 and rdrd; without it CIFAR is downloaded",
                key="folder",
                bind="query-params",
            )
    return Wanted(paper=paper, scale=scale, seeds=int(seeds), sweep=sweep, folder=folder or None)


def title(name: str) -> str:
    """A paper in the choice."""
    return PAPERS[name].title


def start(group: Group) -> None:
    """Queue what is missing and go on with what broke off."""
    try:
        queue(store, group.to_do)
    except GradScopeError as error:
        st.session_state["refusal"] = sentence(error)


def stop(group: Group) -> None:
    """Stop what is under way; what is trained stays."""
    for item in group.items:
        try:
            if item.task and not item.task.status.is_final:
                jobs.stop_task(store, item.task.id)
            elif item.run and not item.run.status.is_final:
                jobs.stop(store, item.run.id)
        except GradScopeError as error:  # it ended in this moment; the others are to be stopped all the same
            st.session_state["refusal"] = sentence(error)


def state(group: Group) -> None:
    """How far the reproduction is, and the buttons that move it."""
    missing, going = len(group.to_do), sum(item.is_going for item in group.items)
    done = sum(item.is_done for item in group.items)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.progress(done / len(group.items), text=in_a_sentence(group))
        label = "Go on" if done or any(item.run for item in group.items) else "Start"
        command.button(
            f"{label} ({missing} {'run' if missing == 1 else 'runs'})" if missing else label,
            lambda: start(group),
            type="primary",
            icon=":material/play_arrow:",
            key="start_group",
            disabled=not missing or store.read_only,
        )
        st.button("Stop", key="stop_group", disabled=not going, on_click=stop, args=(group,))
    if not any(item.run for item in group.items) and missing:
        same = f"gradscope reproduce {group.paper.name} --scale {group.scale.name}"
        st.info(f"No run of this reproduction yet: press Start, or run `{same}`.", icon=":material/info:")
    if refusal := st.session_state.pop("refusal", None):
        st.error(plain(refusal), icon=":material/error:")


def in_a_sentence(group: Group) -> str:
    """As `gradscope reproduce --dry-run` says it; worked out anew only when a run ended or began."""
    states = tuple(f"{item.is_done} {item.is_going} {item.run is None}" for item in group.items)
    return timed(group.paper.name, group.scale.name, states, tuple(item.lacks for item in group.items), group)


@st.cache_data(show_spinner=False, max_entries=64)
def timed(paper: str, scale: str, states: tuple[str, ...], lacks: tuple[str | None, ...], _group: Group) -> str:
    """The sentence with its estimate, which reads the data sets' sizes from disk."""
    return plan(_group, read.runs(store), in_background=True).sentence


def difference_list(group: Group) -> None:
    """The settings of one experiment that are not the paper's, and its runs."""
    own = {item.experiment.name: item.experiment for item in group.items}
    address.seed("experiment", list(own), next(iter(own)))
    with st.container(horizontal=True, vertical_alignment="bottom"):
        name = st.selectbox(
            "Experiment",
            list(own),
            key="experiment",
            format_func=lambda n: own[n].title,
            bind="query-params",
            width=320,
        )
        ids = [item.run.id for item in group.items if item.run and item.experiment.name == name]
        if st.button("Show its runs", key="show_runs", disabled=not ids, on_click=choice.show_only, args=(ids,)):
            st.rerun()  # the sidebar lies outside of the fragment
    experiment = own[name]
    remark = experiment.published.remark if experiment.published else experiment.unpublished
    if remark:
        st.caption(f"{remark[0].upper()}{remark[1:]}.")
    rows = [(d.setting, d.paper, d.ours) for d in differences(group, experiment)]
    frame = pd.DataFrame(rows, columns=["setting", "the paper", "ours"])
    st.dataframe(frame, hide_index=True, key="differences", height="content")


def under_noise(group: Group) -> None:
    """Accuracies on noisy pictures, a table a kind of noise."""
    tables = noise_tables(store, group)
    if not tables:
        return
    st.subheader("Under noise", anchor=False)
    st.caption(noise_sentence(store, group))
    for kind, table in tables.items():
        st.caption(
            f"{kind.replace('_', ' ').capitalize()} by its standard deviation, in units of the normalised pictures"
        )
        st.dataframe(table, hide_index=True, key=f"noise_{kind}", height="content")


def exit_by_exit(group: Group) -> None:
    """Accuracies of every exit of networks that have some."""
    table = exits_table(store, group)
    if len(table):
        st.subheader("Exit by exit", anchor=False)
        st.caption("Test accuracy; the last exit is the whole network. Page Elastic exits measures what each costs.")
        st.dataframe(table, hide_index=True, key="exits", height="content")


def draw() -> None:
    """Everything that moves."""
    jobs.reap(store)
    group = wanted.group()
    state(group)
    table = summary(group)
    heading = f"{wanted.paper.title}, scale {wanted.scale.name}"
    show.chart(
        reproduction(table, seeds_table(group), heading), "reproduction", "published accuracy and ours, a line each"
    )
    st.dataframe(results_table(group), hide_index=True, key="results", height="content")
    if len(contrasts := contrasts_table(group)):
        st.subheader("Seed by seed", anchor=False)
        st.dataframe(contrasts, hide_index=True, key="contrasts", height="content")
    exit_by_exit(group)
    under_noise(group)
    st.subheader("What differs from the paper", anchor=False)
    difference_list(group)
    show.how_to_read(HOW, table, "papers")
    if is_moving(group) != moving:
        st.rerun()  # begins or ends the polling


def is_moving(group: Group) -> bool:
    """Whether somebody trains one of its runs, or will."""
    return any(item.is_going for item in group.items)


store = source.the_store()
show.header("Papers", __doc__)
wanted = choices()
moving = is_moving(wanted.group())
st.caption(f"{wanted.paper.citation}. {wanted.scale.says}")
st.fragment(draw, run_every=POLL_SECONDS if moving else None)()
