"""What a network looks at, in numbers: where the mass of its attributions lies.

A score is a share of a map's mass, |a| summed over the channels, so that evidence for and against a class counts alike
and maps of different methods, units and networks can be compared. A map without any mass has no shares: NaN.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

EDGE_SHARE = 0.2
"""Where no contour is known: the fifth of a picture's pixels with the steepest changes are its edges."""
MARGIN_SHARE = 8
"""The margin is an eighth of the side: the outer 4 pixels of 32."""
CHANNELS = ("red", "green", "blue")


@dataclass(frozen=True, kw_only=True)
class Regions:
    """Parts of N pictures, each bool [N, H, W]; the margin overlaps the others."""

    contour: Bools
    """The object's contour where it is known, else the picture's edges."""
    interior: Bools
    """The object without its contour where it is known, else what is neither edge nor margin."""
    margin: Bools
    """The outer eighth of the picture."""
    object: Bools | None = None
    """The whole object, where it is known."""


def regions(images: NDArray[np.uint8], object_mask: Bools | None = None, contour_mask: Bools | None = None) -> Regions:
    """The parts of pictures [N, C, H, W], exact where masks [N, H, W] are given."""
    frame = margin(images.shape[0], *images.shape[2:])
    if object_mask is not None and contour_mask is not None:
        inside = object_mask & ~contour_mask
        return Regions(contour=contour_mask, interior=inside, margin=frame, object=object_mask)
    found = edges(images)
    return Regions(contour=found, interior=~found & ~frame, margin=frame)


def margin(n: int, height: int, width: int) -> Bools:
    """The outer eighth of a picture, at least one pixel, n times; [n, height, width].

    >>> int(margin(1, 32, 32).sum()) == 32 * 32 - 24 * 24
    True
    """
    frame = np.ones((n, height, width), np.bool_)
    down, across = (max(1, side // MARGIN_SHARE) for side in (height, width))
    frame[:, down : height - down, across : width - across] = False
    return frame


def edges(images: NDArray[np.uint8], share: float = EDGE_SHARE) -> Bools:
    """The given share of the pixels whose surroundings change most, at most; bool [N, H, W] for [N, C, H, W].

    Change is the length of the Sobel gradient (Sobel & Feldman 1968), the greatest of the channels, so that an edge
    between colours of one brightness counts. A share and no threshold: faint pictures have edges too, and an even map
    has the same contour share on all of them. A pixel without any change is never an edge.
    """
    change = sobel(images).max(axis=1)
    flat = change.reshape(len(change), -1)
    least = np.quantile(flat, 1 - share, axis=1, method="higher")[:, None, None] if flat.size else 0.0
    return np.asarray((change >= least) & (change > 0))


def sobel(images: NDArray[np.uint8]) -> Floats:
    """Length of the Sobel gradient of every channel, [N, C, H, W]; the border is continued outwards."""
    x = np.pad(images.astype(np.float64), ((0, 0), (0, 0), (1, 1), (1, 1)), mode="edge")
    across, down = x[..., 2:] - x[..., :-2], x[..., 2:, :] - x[..., :-2, :]
    right = across[..., :-2, :] + 2 * across[..., 1:-1, :] + across[..., 2:, :]
    below = down[..., :-2] + 2 * down[..., 1:-1] + down[..., 2:]
    return np.hypot(right, below)


def mass(maps: NDArray[np.floating]) -> Floats:
    """|a| summed over the channels: [N, H, W] for maps [N, C, H, W]."""
    found: Floats = np.abs(maps.astype(np.float64)).sum(axis=1)
    return found


def shares(maps: NDArray[np.floating], where: Regions) -> dict[str, Floats]:
    """Every score of N maps [N, C, H, W] by name, each [N].

    contour, interior, margin: share of the mass that lies there. red, green, blue: share of the mass in that channel,
    for maps of three channels. Where the object is known also pointing, 1 if the greatest value lies on it (the
    pointing game, Zhang et al. 2018, without their tolerance), and iou, the intersection over union of the object and
    as many pixels of most mass.
    """
    weight = mass(maps)
    found = {name: _share(weight, getattr(where, name)) for name in ("contour", "interior", "margin")}
    if maps.shape[1] == len(CHANNELS):
        channel = np.abs(maps.astype(np.float64)).sum(axis=(2, 3))
        total = _or_nan(channel.sum(axis=1))
        found |= {name: channel[:, i] / total for i, name in enumerate(CHANNELS)}
    if where.object is not None:
        found |= {"pointing": pointing(maps, where.object), "iou": overlap(weight, where.object)}
    return found


def even(where: Regions) -> dict[str, float]:
    """What a map of the same value everywhere scores: the mean share of the area; 1/3 for each colour."""
    found = {name: float(getattr(where, name).mean()) for name in ("contour", "interior", "margin")}
    return found | dict.fromkeys(CHANNELS, 1 / 3)


def _share(weight: Floats, region: Bools) -> Floats:
    total = _or_nan(weight.sum(axis=(1, 2)))
    part: Floats = np.where(region, weight, 0.0).sum(axis=(1, 2)) / total
    return part


def _or_nan(total: Floats) -> Floats:
    return np.where(total > 0, total, np.nan)


def pointing(maps: NDArray[np.floating], objects: Bools) -> Floats:
    """1 where the pixel with most evidence for the class is the object's, else 0; NaN for a map without mass; [N]."""
    evidence = maps.astype(np.float64).sum(axis=1).reshape(len(maps), -1)
    hit = objects.reshape(len(maps), -1)[np.arange(len(maps)), evidence.argmax(axis=1)]
    return np.where(mass(maps).any(axis=(1, 2)), hit.astype(np.float64), np.nan)


def overlap(weight: Floats, objects: Bools) -> Floats:
    """Intersection over union of each object and as many pixels of most mass as it has; [N].

    No threshold has to be chosen, and 1 is within reach of every map.
    """
    flat, inside = weight.reshape(len(weight), -1), objects.reshape(len(objects), -1)
    order = np.argsort(-flat, axis=1, kind="stable")
    place = np.empty_like(order)
    np.put_along_axis(place, order, np.arange(flat.shape[1])[None, :], axis=1)
    chosen = place < inside.sum(axis=1, keepdims=True)
    union = (chosen | inside).sum(axis=1)
    both = (chosen & inside).sum(axis=1)
    return np.where(weight.any(axis=(1, 2)) & (union > 0), both / np.maximum(union, 1), np.nan)
