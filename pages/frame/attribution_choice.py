"""Which attributions two pages show: methods, class, pictures; the same on both, and in the address."""

from collections.abc import Mapping, Sequence
from typing import NoReturn, cast

import numpy as np
import streamlit as st

from gradscope import jobs
from gradscope.analysis.image_sets import confusions
from gradscope.analysis.wording import count, duration, plain
from gradscope.config.attributions import AnyAttribution, attribution_classes, parse_attribution
from gradscope.config.explaining import Explain, ImageSet, Outcome, Target
from gradscope.figures.style import RunStyle
from gradscope.overview import Overview
from gradscope.records import Run
from gradscope.store import Store
from pages.frame import address, command, show, tasks

KIND = "explain"
METHODS_MOST = 4
FIRST = "integrated_gradients"
ANY = "any class"
"""What stands for no choice of a class."""


class Choices:
    """The row of controls; each page has keys of its own, so that the way back holds.

    Args:
        prefix: of the keys.
        n: pictures at first.
        most: pictures at most.
    """

    def __init__(self, prefix: str, n: int, most: int) -> None:
        self._prefix, self._n, self._most = prefix, n, most
        self.row = st.container()

    def draw(self, known: Overview) -> Explain:
        """Draw them, and say what is wanted.

        Args:
            known: of any choice: it has the classes and the confusions.
        """
        with st.container(horizontal=True, vertical_alignment="bottom"):
            methods = self._methods()
            outcome = self._select("outcome", [o.value for o in Outcome], Outcome.ANY.value, "Pictures", 170)
            classes = [ANY, *known.classes]
            true = self._select("true", classes, ANY, "of class", 130)
            taken = self._select("taken", classes, ANY, "taken for", 130)
        more = st.container(horizontal=True, vertical_alignment="bottom")
        with more, st.popover("More", icon=":material/tune:"):
            n, seed, target, baseline = self._more(known)
        self.row = more
        return Explain(
            methods=tuple(_with_baseline(name, baseline) for name in methods),
            target=target,
            images=ImageSet(
                n=n, seed=seed, outcome=Outcome(outcome), true=_class(classes, true), taken_for=_class(classes, taken)
            ),
        )

    def _key(self, name: str) -> str:
        return f"{self._prefix}_{name}"

    def _methods(self) -> list[str]:
        known = attribution_classes()
        key = self._key("method")
        if key not in st.session_state:
            st.session_state[key] = address.wanted(key, list(known))[:METHODS_MOST] or [FIRST]
        return st.multiselect(
            "Methods",
            list(known),
            key=key,
            format_func=lambda name: name,
            max_selections=METHODS_MOST,
            bind="query-params",
            help="\n".join(f"- **{name}**: {cls.__doc__}" for name, cls in known.items()),
            width=360,
        ) or [FIRST]

    def _select(self, name: str, options: Sequence[str], default: str, label: str, width: int) -> str:
        key = self._key(name)
        address.seed(key, options, default)
        return st.selectbox(label, options, key=key, bind="query-params", width=width)

    def _more(self, known: Overview) -> tuple[int, int, Target, str]:
        n = st.number_input("Pictures at most", 1, self._most, self._n, key=self._key("n"), bind="query-params")
        seed = st.number_input("Seed of the choice", 0, 10**6, 0, key=self._key("seed"), bind="query-params")
        targets = ["predicted", "true", *known.classes]
        chosen = self._select("target", targets, "predicted", "Explain the class that is", 220)
        target: Target = cast(Target, chosen) if chosen in {"predicted", "true"} else known.classes.index(chosen)
        baseline = self._select("baseline", ["mean", "black", "blur"], "mean", "Compare with", 220)
        st.caption("Compared with the mean colour of the training pictures, a black picture, or the picture blurred.")
        _confusions(known)
        return int(n), int(seed), target, baseline


def _confusions(known: Overview) -> None:
    answers = list(known.answers.values())
    if not answers:
        return
    found = confusions(answers[0].labels.astype(np.int64), [a.probabilities for a in answers], most=5)
    lines = [f"- {known.classes[true]} taken for {known.classes[taken]}: {count(n)}" for true, taken, n in found]
    if lines:
        st.markdown("Most frequent confusions:\n" + "\n".join(lines))


def _class(classes: Sequence[str], chosen: str) -> int | None:
    return None if chosen == ANY else list(classes).index(chosen) - 1


def _with_baseline(name: str, baseline: str) -> AnyAttribution:
    settings = parse_attribution(name)
    return settings.model_copy(update={"baseline": baseline}) if hasattr(settings, "baseline") else settings


def nothing_to_ask() -> NoReturn:
    """No run has a network."""
    text = "None of these runs has a network to ask: a run that is launched here has one after its first epoch. "
    show.nothing(f"{text}Choose others at the left, or launch one.", show.LAUNCH, "Launch a run")


def say_what_is_lacking(
    store: Store, found: Overview, able: Sequence[Run], looks: Mapping[int, RunStyle], *, checks: bool, going: bool
) -> None:
    """What is not there yet with the button that gets it, and what cannot be, in sentences.

    Args:
        store: where the runs are.
        found: what is there.
        able: runs with a network.
        looks: how runs are named.
        checks: whether the page also shows if maps can be trusted.
        going: whether it is being computed.
    """
    if found.answers and not found.places:
        st.info("No test picture is like that; choose other pictures.", icon=":material/filter_alt_off:")
    elif not found.maps and not found.refusals:
        text = (
            "The first maps appear as soon as they are computed."
            if going
            else "No map of these pictures is there yet: they will be of the same test pictures for every run."
        )
        st.info(text, icon=":material/hourglass_empty:" if going else ":material/info:")
    if not going:
        compute_button(store, found, able, checks=checks, key="compute")
    for (run, _), text in found.refusals.items():
        st.warning(plain(f"{looks[run].label}: {text}."), icon=":material/block:")
    if found.other_pictures:
        names = ", ".join(looks[run].label for run in found.other_pictures)
        st.caption(plain(f"Tested on other pictures than {looks[found.runs[0].id].label}, so not beside it: {names}."))
    later = [run for run in found.runs if run.id in found.steps and run.progress.last_step + 1 > found.steps[run.id]]
    for old in later:
        text = f"{looks[old.id].label} has trained on: what is shown is of step {count(found.steps[old.id])}."
        st.caption(plain(text))


def compute_button(store: Store, found: Overview, able: Sequence[Run], *, checks: bool, key: str) -> None:
    """Starts what is lacking, and says how long it takes where that is known; nothing where nothing is lacking."""
    lacking = found.lacking()
    unchecked = found.lacking(checks=True) if checks else {}
    runs = [run for run in able if any(run.id == cell[0] for cell in [*lacking, *unchecked])]
    if not runs:
        return
    maps, seconds = sum(lacking.values()), _seconds(found, checks)
    amount = f"{count(maps)} maps" if maps else "maps" if lacking else "checks"
    about = f", about {duration(seconds)}" if seconds else ""
    command.button(
        f"Compute {amount}{about}",
        lambda: _start(store, runs, _settings(found, checks)),
        type="primary",
        key=key,
        icon=":material/play_arrow:",
        disabled=store.read_only,
    )


def _seconds(found: Overview, checks: bool) -> float | None:
    """From what earlier pictures took; None where a method was never used."""
    lacking = found.lacking()
    if not lacking or any(method not in found.seconds for _, method in lacking):
        return None
    return sum(n * found.seconds[method] * (3 if checks else 1) for (_, method), n in lacking.items())


def _settings(found: Overview, checks: bool) -> Explain:
    beside = tuple(run.id for run in found.runs if run.id not in found.other_pictures)
    return found.wanted.model_copy(update={"checks": checks, "beside": beside})


def _start(store: Store, runs: Sequence[Run], wanted: Explain) -> None:
    tasks.submit_all(runs, lambda run_id: jobs.submit_task(store, run_id, wanted))
