"""The choice that several pages share: gradient, signal or activation."""

import streamlit as st

from gradscope.records import Kind
from pages.frame import address

KINDS = [Kind.GRADIENT.value, Kind.SIGNAL.value, Kind.ACTIVATION.value]


def choose(key: str) -> Kind:
    """The control; its choice is in the address under the key, which is the page's own: see `address`."""
    address.seed(key, KINDS, KINDS[0])
    kind = st.segmented_control(
        "What",
        KINDS,
        key=key,
        default=KINDS[0],
        required=True,
        bind="query-params",
        label_visibility="collapsed",
    )
    return Kind(kind or KINDS[0])
