"""What the tests of reproductions share."""

from collections.abc import Callable

from gradscope.reproduce.group import Group
from gradscope.reproduce.papers import paper_of

PN = paper_of("pn")

Found = Callable[..., Group]
"""The group of some experiments, by default at the tiny scale."""

Ended = Callable[..., int]
"""Adds a run of an experiment that ended in some way."""
