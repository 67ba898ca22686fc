"""One press of the browser's back button goes back one page, to the view that was there.

On the way to another page Streamlit writes the address two or three times, each as a step of its own in the browser's
history: the old page without its choices, the new page, the new page with its choices. Steps within a page take the
place of each other here, and those written on the way out of a page are undone. Streamlit has no parameter for it.
"""

import streamlit as st

_SCRIPT = """
<script>
if (!window.gradscopeHistory) {
  window.gradscopeHistory = true;
  const push = history.pushState.bind(history), replace = history.replaceState.bind(history);
  let left = null;  // the address before the server changed it, since somebody last did something
  for (const gesture of ["pointerdown", "keydown", "popstate"]) {
    window.addEventListener(gesture, () => { left = null; }, true);
  }
  history.pushState = (state, title, address) => {
    if (new URL(address ?? "", location.href).pathname === location.pathname) {
      left = left || location.href;
      return replace(state, title, address);
    }
    if (left) replace(history.state, title, left);
    left = null;
    return push(state, title, address);
  };
}
</script>
"""


def one_step_a_page() -> None:
    """Put the script into the page."""
    st.html(_SCRIPT, unsafe_allow_javascript=True)
