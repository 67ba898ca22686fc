"""Square patches that stand for single pixels where a method asks about every subset of them."""

import torch
from torch import Tensor


def patch_side(wanted: int | None, height: int, width: int) -> int:
    """The wanted side in pixels, at most the picture's; by default an eighth of its shorter side, at least 1."""
    shorter = min(height, width)
    return max(1, shorter // 8) if wanted is None else min(wanted, shorter)


def patch_ids(side: int, channels: int, height: int, width: int) -> Tensor:
    """Which patch each value of a picture belongs to, every channel apart; int64 [1, C, H, W], 0..P-1.

    >>> patch_ids(1, 1, 2, 2).tolist()
    [[[[0, 1], [2, 3]]]]
    """
    down, across = torch.arange(height) // side, torch.arange(width) // side
    one = down[:, None] * int(across[-1] + 1) + across[None, :]
    apart = torch.arange(channels)[:, None, None] * int(one.max() + 1)
    return (apart + one)[None].contiguous()  # captum cannot view an expanded mask
