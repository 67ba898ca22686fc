"""A page that was left asks for nothing more.

The timer of a page that moves is in the browser, and ends there only when the browser hears of the next page. What it
asks for between the moment in which a button's page change begins on the server and that one comes too late. Streamlit
would answer it after the next page is drawn: it would go back, as far as server and browser are concerned, to the page
that was left, redraw one part of it, and so take away the page that was just there. Streamlit has no parameter for it.
"""

from streamlit.runtime.scriptrunner.script_runner import ScriptRunner
from streamlit.runtime.scriptrunner_utils.script_requests import RerunData

_run = ScriptRunner._run_script


def is_late(request: RerunData, page: str) -> bool:
    """Whether a part of another page than the one that is open, by Streamlit's hash of it, is to be drawn anew."""
    return bool(request.fragment_id_queue) and request.page_script_hash != page


def _run_what_is_not_late(self: ScriptRunner, rerun_data: RerunData) -> None:
    if not is_late(rerun_data, self._pages_manager.current_page_script_hash):
        _run(self, rerun_data)


def forget_pages_left() -> None:
    """Have Streamlit leave aside what comes too late, in every session of this process."""
    ScriptRunner._run_script = _run_what_is_not_late  # type: ignore[method-assign]
