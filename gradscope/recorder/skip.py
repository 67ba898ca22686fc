"""A step that gradient scaling skipped, on its way to the store."""

from dataclasses import dataclass

from gradscope.recorder.measure import Transfer
from gradscope.recorder.record import Record
from gradscope.records import Batch, SkippedStep


@dataclass(frozen=True, kw_only=True)
class Skip:
    """An attempt at a step that was, or may have been, skipped: of a fused optimiser only the device knows."""

    record: Record
    """What was measured of it, to find the layer by."""
    attempt: int
    """0 for the first attempt at that step."""
    scale: Transfer | None
    """What the loss was multiplied by."""
    n_rows: int = 1

    def resolve(self) -> Batch:
        """One row, or none if the step was taken; waits for the device."""
        if not self.record.was_skipped():
            return Batch()
        layer, kind = self.record.origin() or (None, None)
        scale = None if self.scale is None else float(self.scale.wait())
        step = SkippedStep(step=self.record.step, attempt=self.attempt, layer=layer, kind=kind, scale=scale)
        return Batch(skipped=(step,))
