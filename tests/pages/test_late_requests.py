"""What the browser asks of a page that was left; in a browser: tests/browser/test_living_runs_in_the_browser.py."""

from streamlit.runtime.scriptrunner_utils.script_requests import RerunData

from pages.frame.late import is_late


def test_a_part_of_a_page_that_was_left_comes_too_late() -> None:
    part = RerunData(page_script_hash="diagnosis", fragment_id_queue=["figure"])
    assert is_late(part, "what if")
    assert not is_late(part, "diagnosis")


def test_a_whole_page_is_never_late() -> None:
    assert not is_late(RerunData(page_script_hash="what if"), "diagnosis")
    assert not is_late(RerunData(page_name="what_if"), "")
