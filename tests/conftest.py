"""What holds for all tests."""

import os
import sys
from collections import Counter

import hypothesis
import pytest

# there are as many workers as cores: their threads would wait for each other, and how many there are decides roundings
os.environ.setdefault("OMP_NUM_THREADS", "1")

# no limit to how long an example takes, which is the machine's affair, and the same examples each time
hypothesis.settings.load_profile("ci")

BROWSER_SECONDS = 1200
"""A test in a browser may take so long: it waits patiently, and many times."""


@pytest.fixture(autouse=True)
def main_module_stays():
    """AppTest puts the page's script in place of `__main__`, which a process spawned later would run again."""
    main = sys.modules["__main__"]
    yield
    sys.modules["__main__"] = main


def pytest_collection_modifyitems(config, items):
    if hasattr(config, "workerinput"):
        tests = Counter(file_of(item.nodeid) for item in items)
        items.sort(key=lambda item: (not in_browser(item.nodeid), -tests[file_of(item.nodeid)]))
    for item in items:
        if in_browser(item.nodeid) and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(BROWSER_SECONDS))
    marked = [item for item in items if item.get_closest_marker("gpu")]
    if marked and not has_gpu():
        for item in marked:
            item.add_marker(pytest.mark.skip(reason="there is no CUDA device"))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """With `--dist loadfile`: one worker begins with all tests in a browser; other files go out largest first.

    Those are few and long and wait for pages: last, they would leave a core idle; on two workers, wait for each other.
    """
    if config.getvalue("dist") != "loadfile":
        return None
    from xdist.scheduler import LoadFileScheduling

    class BrowserFirst(LoadFileScheduling):
        def _split_scope(self, nodeid):
            return "browser" if in_browser(nodeid) else file_of(nodeid)

    config.option.loadscopereorder = False  # the order is that of the workers' collections
    return BrowserFirst(config, log)


def file_of(nodeid):
    return nodeid.split("::", 1)[0]


def in_browser(nodeid):
    return "/browser/" in file_of(nodeid)


def has_gpu():
    import torch

    return torch.cuda.is_available()
