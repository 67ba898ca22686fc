"""Real Doppler RAD-DAR: range-Doppler matrices of cars, drones and people (Roldan et al. 2020, IET Radar, Sonar &
Navigation, doi 10.1049/iet-rsn.2019.0307), as stacks of frames that follow each other.
"""

import numpy as np
import torch
from torch import Tensor

from gradscope.config import Rdrd
from gradscope.data.dataset import Progress, Source, Split
from gradscope.data.rdrd_files import Values, find_frames, held_out, stacks
from gradscope.errors import DataError


def read_rdrd(settings: Rdrd, progress: Progress) -> Source:
    """Stacks of frames as channels, none across two sessions; power in dB laid linearly on 0..255.

    The scale runs from the smallest to the largest value of all frames, so a level of the published data is 0.6 dB, a
    sixteenth of their standard deviation. The test does not depend on the run's seed.
    """
    found = find_frames(settings.path)
    first = stacks(found, settings.frames, settings.stride)
    if len(first) == 0:
        raise DataError(
            f"no {settings.frames} frames follow each other in {settings.path}; set data.frames=1 or add frames"
        )
    levels = _levels(found.read(progress))
    test = held_out(found, first, settings.split)

    def split(chosen: "np.ndarray[tuple[int, ...], np.dtype[np.bool_]]") -> Split:
        begin = torch.from_numpy(first[chosen])
        recording = torch.from_numpy(found.recording)[begin] if settings.split == "recording" else None
        images = torch.stack([levels[begin + k] for k in range(settings.frames)], dim=1)
        return Split(images=images, labels=torch.from_numpy(found.label)[begin], recording=recording)

    return Source(
        train=split(~test),
        test=split(test),
        classes=found.classes,
        train_name=settings.path,
        test_name=f"the test part of {settings.path}",
    )


def _levels(values: Values) -> Tensor:
    """uint8 [N, H, W] of float32 [N, H, W]."""
    low, high = float(values.min()), float(values.max())
    scale = 255 / (high - low) if high > low else 0.0
    return torch.from_numpy(np.rint((values - low) * scale).astype(np.uint8))
