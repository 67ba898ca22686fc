"""Buttons that do what the page says as they are pressed.

What `on_click` is given was made when the page was drawn last: a field that somebody typed into, and left by pressing
the button, still had its old value then. So the page is drawn with what it says now, the button leaves what is to be
done, and that is done before the page is drawn once more, as a callback would be.
"""

from collections.abc import Callable
from typing import Any

import streamlit as st

_LEFT = "commanded"


def button(label: str, action: Callable[[], None], **look: Any) -> None:  # Any: as st.button takes them
    """A button for an action that depends on what fields of the page say; `look` as `st.button` takes it."""
    if st.button(label, **look):
        st.session_state[_LEFT] = action
        st.rerun()


def carry_out() -> None:
    """Do what a button has left to be done; before anything is drawn."""
    if action := st.session_state.pop(_LEFT, None):
        action()
