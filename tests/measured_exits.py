"""What the task `exits` measures, for tests to vary by `dataclasses.replace`: an exit, and leaving at a threshold."""

from gradscope.measured import ExitPoint, ExitSweep

POINT = ExitPoint(
    exit=1,
    point="blocks.0",
    images=10,
    step=7,
    fingerprint="a",
    accuracy=0.5,
    loss=1.5,
    calibration_error=0.1,
    macs=100,
    macs_asking=100,
    parameters=30,
    milliseconds=0.2,
    batch_size=5,
    device="cpu",
)
SWEEP = ExitSweep(
    rule="confidence",
    threshold=0.5,
    images=10,
    step=7,
    fingerprint="a",
    accuracy=0.7,
    macs=150.5,
    milliseconds=0.3,
    left=(6, 4),
    batch_size=5,
    device="cpu",
)
