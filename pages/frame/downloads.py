"""Each figure of a page to take away: as a picture, as a drawing, as numbers in rows or in columns."""

from collections.abc import Callable, Mapping

import altair as alt
import pandas as pd
import streamlit as st

from gradscope.analysis.wording import plain
from gradscope.figures import export

Drawn = alt.Chart | alt.LayerChart | alt.FacetChart
Ways = Mapping[str, Callable[[], str | bytes]]

_DRAWN = "figures_drawn"
_TYPES = {
    "png": "image/png",
    "svg": "image/svg+xml",
    "csv": "text/csv",
    "parquet": "application/vnd.apache.parquet",
}


def begin() -> None:
    """A page begins: what another one drew is gone."""
    st.session_state[_DRAWN] = {}


def note(key: str, make: Callable[[], Drawn]) -> None:
    """A figure was drawn; make gives it once more."""
    st.session_state.setdefault(_DRAWN, {})[key] = make


def offer(table: pd.DataFrame, file: str) -> None:
    """The list behind a button; made only while it is open, since a live page comes by here every second."""
    place = st.popover("Download", icon=":material/download:", key="downloads", on_change="rerun")
    if not place.open:
        return
    with place:
        _row(file, "Table of this page", _numbers(lambda: table))
        for key, make in st.session_state.get(_DRAWN, {}).items():
            figure = make()
            _row(key, _title(figure), _ways(figure))


def _ways(figure: Drawn) -> Ways:
    return {
        "png": lambda: export.as_png(figure),
        "svg": lambda: export.as_svg(figure),
        **_numbers(lambda: export.numbers(figure)),
    }


def _numbers(table: Callable[[], pd.DataFrame]) -> Ways:
    return {"csv": lambda: table().to_csv(index=False), "parquet": lambda: export.as_parquet(table())}


def _title(figure: Drawn) -> str:
    title = figure.title
    return str(title.text if isinstance(title, alt.TitleParams) else title)


def _row(key: str, title: str, ways: Ways) -> None:
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.markdown(plain(title), width="stretch")
        for kind, make in ways.items():
            # whatever is made is made when the button is pressed
            st.download_button(
                kind.upper(),
                make,
                f"{key}.{kind}",
                _TYPES[kind],
                key=f"download-{key}-{kind}",
                on_click="ignore",
                type="tertiary",
            )
