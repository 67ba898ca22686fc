"""Maps and pictures as coloured pixels: what a browser shows without knowing of attributions.

A map's colour says for or against the class, its opacity how much; where there is nothing the ground shows through, so
that one picture serves on white and on near-black.
"""

import base64
import io
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Floats = NDArray[np.floating]
Pixels = NDArray[np.uint8]

FOR, AGAINST = (232, 93, 4), (63, 144, 218)
"""Orange speaks for the class, blue against it; they stay apart for every kind of colour sight."""

QUANTILE = 0.99
"""Full colour stands for this quantile of the magnitudes: one outlier shall not make all else pale."""


def summed(maps: Floats) -> Floats:
    """What each pixel contributes: the sum over the channels, [..., H, W] for maps [..., C, H, W]."""
    out: Floats = maps.sum(axis=-3)
    return out


def full_colour(values: Iterable[Floats]) -> float:
    """The magnitude that gets full colour in all of these maps [..., H, W] together; 1 where there is nothing."""
    sizes = [np.abs(v).ravel() for v in values]
    every = np.concatenate(sizes) if sizes else np.zeros(0)
    found = float(np.quantile(every, QUANTILE)) if every.size else 0.0
    return found or float(every.max(initial=0.0)) or 1.0


def picture(image: Pixels) -> Pixels:
    """RGB [H, W, 3] of a picture [C, H, W] of one or three channels."""
    return np.ascontiguousarray(np.broadcast_to(image, (3, *image.shape[1:])).transpose(1, 2, 0))


def overlay(image: Pixels, values: Floats, full: float, strength: float) -> Pixels:
    """A map over its picture in grey; RGBA [H, W, 4].

    Args:
        image: [C, H, W].
        values: [H, W], what each pixel contributes.
        full: the magnitude of full colour.
        strength: in 0..1: 0 the picture alone, 0.5 both whole, 1 the map alone.
    """
    share = np.clip(np.abs(values) / full, 0, 1)[..., None] * min(1.0, 2 * strength)
    ground = np.full_like(share, min(1.0, 2 * (1 - strength)))
    colour = np.where((values >= 0)[..., None], np.array(FOR), np.array(AGAINST))
    grey = image.astype(np.float64).mean(axis=0)[..., None]
    alpha = share + ground * (1 - share)
    mixed = (colour * share + grey * ground * (1 - share)) / np.where(alpha > 0, alpha, 1)
    pixels: Pixels = np.rint(np.concatenate([mixed, 255 * alpha], axis=-1)).astype(np.uint8)
    return pixels


def scale_bar(width: int = 160, height: int = 10) -> Pixels:
    """From all against the class to all for it, as `overlay` colours them; RGBA [height, width, 4]."""
    values = np.broadcast_to(np.linspace(-1, 1, width), (height, width))
    return overlay(np.zeros((1, height, width), np.uint8), values, 1.0, 1.0)


def grey(values: Floats) -> Pixels:
    """RGB [H, W, 3] of values [H, W] in 0..1, black to white."""
    return np.repeat(np.rint(255 * np.clip(values, 0, 1)).astype(np.uint8)[..., None], 3, axis=-1)


def enlarged(pixels: Pixels, side: int) -> Pixels:
    """Every pixel as a square, the longer side about `side`: browsers would blur it."""
    factor = max(1, round(side / max(pixels.shape[:2])))
    return pixels.repeat(factor, axis=0).repeat(factor, axis=1)


def address(pixels: Pixels) -> str:
    """A PNG of pixels [H, W, 3 or 4] as a data address."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, format="PNG", optimize=False, compress_level=6)
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()
