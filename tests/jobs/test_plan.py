"""What the supervisor decides, from what it sees."""

from gradscope.jobs.plan import Child, Plan, decide, noticed
from gradscope.records import Status

QUEUED, RUNNING, STOPPING = Status.QUEUED, Status.RUNNING, Status.STOPPING


def test_nothing_to_do_is_an_empty_plan():
    assert decide({}, [], [0, 1], now=0.0) == Plan()


def test_free_slots_are_filled_as_far_as_the_queue_goes():
    assert decide({1: QUEUED, 2: QUEUED, 3: QUEUED}, [], [0, 1], now=0.0).fill == (0, 1)
    assert decide({1: QUEUED}, [], [0, 1], now=0.0).fill == (0,)


def test_a_slot_with_a_living_process_is_taken_whatever_its_run_says():
    at_work = Child(number=1, slot=0)
    assert decide({1: RUNNING, 2: QUEUED}, [at_work], [0], now=0.0).fill == ()
    lingering = Child(number=1, slot=0, unwanted_since=0.0)
    assert decide({2: QUEUED}, [lingering], [0, 1], now=0.0).fill == (1,)


def test_an_adopted_process_of_a_slot_that_no_longer_exists_takes_none():
    assert decide({1: RUNNING, 2: QUEUED}, [Child(number=1, slot=7)], [0], now=0.0).fill == (0,)


def test_a_stopping_run_gets_sigterm_after_3_seconds_once_and_sigkill_after_60():
    child = noticed(Child(number=1, slot=0), {1: STOPPING}, now=100.0)
    assert child.unwanted_since == 100.0
    assert decide({1: STOPPING}, [child], [0], now=102.9) == Plan()
    assert decide({1: STOPPING}, [child], [0], now=103.0) == Plan(terminate=(1,))
    terminated = Child(number=1, slot=0, unwanted_since=100.0, terminated=True)
    assert decide({1: STOPPING}, [terminated], [0], now=159.9) == Plan()
    assert decide({1: STOPPING}, [terminated], [0], now=160.0) == Plan(kill=(1,))


def test_a_process_whose_run_was_deleted_or_has_ended_is_not_wanted_either():
    assert noticed(Child(number=1, slot=0), {}, now=5.0).unwanted_since == 5.0


def test_the_first_moment_counts():
    seen = noticed(Child(number=1, slot=0), {1: STOPPING}, now=5.0)
    assert noticed(seen, {1: STOPPING}, now=9.0).unwanted_since == 5.0


def test_a_run_that_came_back_is_wanted_again():
    lost = Child(number=1, slot=0, unwanted_since=5.0, terminated=True)
    assert noticed(lost, {1: RUNNING}, now=9.0) == Child(number=1, slot=0)
