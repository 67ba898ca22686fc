"""Choices in the address: what a deep link asks for becomes a widget's first value.

A widget bound to the address writes the text of its option there, such as `runs=3 tanh-pn`. People and other pages also
write `runs=3`, and a run may have been renamed since: both are understood here.

Every page has keys of its own. Streamlit strikes out of the address what another page's widget of the same key wrote
there, so that with a shared one the way back in the browser's history would lose what was chosen.
"""

from collections.abc import Callable, Sequence
from typing import TypeVar

import streamlit as st

Option = TypeVar("Option")


def named(key: str) -> list[str]:
    """What the address says under a key, whether there is such an option or not."""
    return [text for text in st.query_params.get_all(key) if text]


def wanted(key: str, options: Sequence[Option], text: Callable[[Option], str] = str) -> list[Option]:
    """The options that the address names under a key: by their text, as they are, or by the number they begin with."""
    by_text = {str(option): option for option in options} | {text(option): option for option in options}
    by_number = {_number(str(option)): option for option in options if _number(str(option)) is not None}
    found = []
    for given in named(key):
        option = by_text.get(given, by_number.get(_number(given)))
        if option is not None and option not in found:
            found.append(option)
    return found


def _number(text: str) -> int | None:
    first = text.split(" ")[0]
    return int(first) if first.isdecimal() else None


def seed(key: str, options: Sequence[Option], default: Option, text: Callable[[Option], str] = str) -> None:
    """Give the widget of that key a value that is among its options: the one it has, the address's, or the default.

    What it has is left alone: only then does Streamlit write it into the address of another page.
    """
    if key in st.session_state and st.session_state[key] in options:
        return
    value = default if key in st.session_state else next(iter(wanted(key, options, text)), default)
    if key not in st.session_state and value != default and named(key) != [text(value)]:
        # as the widget writes it, before there is one: it strikes out of the address whatever it does not know
        st.query_params[key] = text(value)
        st.rerun()
    if key in st.session_state or value != default:
        st.session_state[key] = value


def seed_step(key: str, steps: Sequence[int]) -> None:
    """Give the widget of that key a recorded step.

    Nearest at or below the one it has or the address names; the last if it has none, or had the last of other runs.
    """
    named = st.query_params.get(key, "")
    now = st.session_state.get(key, int(named) if named.isdecimal() else steps[-1])
    if now == st.session_state.get(f"{key}_last"):
        now = steps[-1]
    st.session_state[key] = max((s for s in steps if s <= now), default=steps[0])
    st.session_state[f"{key}_last"] = steps[-1]
