import pytest

from gradscope.errors import ConfigError
from gradscope.records import Status
from gradscope.store import read, write
from gradscope.store.limits import checked_name, checked_note, checked_tags


def test_a_name_is_one_line_of_what_can_be_shown() -> None:
    assert checked_name("  my\nnet\t\x00 \ud800 7 ") == "my net 7"
    assert checked_name("n" * 200) == "n" * 200


@pytest.mark.parametrize(("name", "reason"), [("n" * 5000, "at most 200 letters, not 5000"), (" \n", "at least one")])
def test_a_name_that_no_table_can_hold_is_refused(store, name: str, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        write.create_run(store, name=name, source="attached", config={}, status=Status.RUNNING)
    assert read.runs(store) == []


def test_tags_stand_once_and_are_few_and_short() -> None:
    assert checked_tags(["a", " b ", "a"]) == ["a", "b"]
    for tags, reason in ((["t" * 61], "at most 60 letters"), ([str(i) for i in range(31)], "at most 30 tags")):
        with pytest.raises(ConfigError, match=reason):
            checked_tags(tags)


def test_a_note_may_be_long_and_have_lines(store) -> None:
    assert checked_note("one\ntwo\x00") == "one\ntwo"
    run_id = write.create_run(store, name="x", source="attached", config={}, status=Status.RUNNING)
    with pytest.raises(ConfigError, match="at most 20000 letters"):
        write.edit(store, run_id, name="y", note="n" * 20_001)
    assert read.run(store, run_id).name == "x"
