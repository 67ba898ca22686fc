"""A student beside its teacher, as it was measured: a frozen value."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Distilled:
    """What a student took over from its teacher, and what each of them costs."""

    fingerprint: str
    """Of the student's weights."""
    teacher_fingerprint: str
    """Of the teacher's."""
    images: int
    """Test pictures; the same ones for every run on the same data."""
    step: int
    """Optimiser steps behind the student's weights."""
    teacher_run: int | None
    """None where the teacher came out of a file."""
    agreement: float
    """Share in 0..1 of the pictures to which both give the same answer, right or wrong."""
    divergences: Mapping[str, float]
    """KL(teacher || student) in nats, mean over the pictures, by the temperature of both."""
    accuracy: float
    """Of the student on these pictures, in 0..1."""
    teacher_accuracy: float
    parameters: int
    teacher_parameters: int
    macs: int
    """Multiply-accumulates a picture."""
    teacher_macs: int
    milliseconds: Mapping[str, float]
    """Of one forward pass, by the number of pictures in it; the median of several."""
    teacher_milliseconds: Mapping[str, float]
    device: str
