"""What can be done to a training: one file a method, each a set of pure functions and a thin class for our loop."""

from gradscope.methods.base import LABEL, Given, Judged, Method, Objective, cross_entropy, objective_of, plain_objective
from gradscope.methods.build import build_methods

__all__ = [
    "LABEL",
    "Given",
    "Judged",
    "Method",
    "Objective",
    "build_methods",
    "cross_entropy",
    "objective_of",
    "plain_objective",
]
