"""Room for what matters on a window of 1280 x 800: the runs shown are seen below the menu, and the figure is wider.

Streamlit has parameters for neither the menu's spacing nor the page's margins.
"""

import streamlit as st

_STYLE = """
<style>
[data-testid="stSidebarHeader"] { margin-bottom: 0; }
[data-testid="stSidebarNavItems"] > div { margin-bottom: 0.1rem; padding-bottom: 0; }
[data-testid="stSidebarNavItems"] header[data-testid="stNavSectionHeader"] { margin: 0.15rem 0 0; }
a[data-testid="stSidebarNavLink"] { margin-block: 0; line-height: 1.55rem; height: 1.6rem; }
div[data-testid="stSidebarNavSeparator"] { padding-top: 0.4rem; }
div[data-testid="stSidebarUserContent"] { padding-top: 0.3rem; }
div[data-testid="stMainBlockContainer"] { padding-inline: 3rem; }
</style>
"""


def close_ranks() -> None:
    """Put the style into the page."""
    st.html(_STYLE)
