"""What can be done to a training: one file a method, each a set of pure functions and a thin class for our loop."""

from gradscope.methods.base import Method, Objective, Phase, cross_entropy, objective_of
from gradscope.methods.build import build_methods

__all__ = ["Method", "Objective", "Phase", "build_methods", "cross_entropy", "objective_of"]
