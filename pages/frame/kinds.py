"""The choice that several pages share: gradient, signal or activation."""

import streamlit as st

from gradscope.records import Kind
from pages.frame import address

KINDS = [Kind.GRADIENT.value, Kind.SIGNAL.value, Kind.ACTIVATION.value]


def choose() -> Kind:
    """The control; its choice is in the address under `kind` and goes along from page to page."""
    address.seed("kind", KINDS, KINDS[0])
    kind = st.segmented_control(
        "What",
        KINDS,
        key="kind",
        default=KINDS[0],
        required=True,
        bind="query-params",
        label_visibility="collapsed",
    )
    return Kind(kind or KINDS[0])
