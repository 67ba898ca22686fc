"""What holds for all tests."""

import sys

import pytest


@pytest.fixture(autouse=True)
def main_module_stays():
    """AppTest puts the page's script in place of `__main__`, which a process spawned later would run again."""
    main = sys.modules["__main__"]
    yield
    sys.modules["__main__"] = main


def pytest_collection_modifyitems(items):
    marked = [item for item in items if item.get_closest_marker("gpu")]
    if marked and not has_gpu():
        for item in marked:
            item.add_marker(pytest.mark.skip(reason="there is no CUDA device"))


def has_gpu():
    import torch

    return torch.cuda.is_available()
