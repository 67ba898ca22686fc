"""Generated colour pictures of one shape each, with exact masks of the object and of its contour.

Whoever asks a network what it looked at needs pictures in which the right answer is known: here it is the mask. Colour,
texture, place, scale, turn and background are random and tell nothing about the class; only the outline does.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from gradscope.config import Shapes
from gradscope.data.dataset import Progress, Source, Split

SIDE = 32
"""Pixels."""
_CHUNK = 500
# As hard as a small network can learn from 4,000 pictures in some ten epochs: a ResNet-8 (Adam, one seed) is right on
# 0.84 of the validation after ten epochs; with stripes of 0.18, eight blots and colours 0.4 apart it was on 0.59.
_CLUTTER = 4
_STRIPES = 0.06
_CONTRAST = 0.7
_NOISE = 0.02

Floats = NDArray[np.float32]
Bools = NDArray[np.bool_]


def circle(u: Floats, v: Floats) -> Bools:
    """Inside a disc, of an area like the others'."""
    return np.asarray(u**2 + v**2 <= 0.8**2)


def square(u: Floats, v: Floats) -> Bools:
    """Inside a square with corners near the unit circle."""
    return np.maximum(np.abs(u), np.abs(v)) <= 0.7


def triangle(u: Floats, v: Floats) -> Bools:
    """Inside an equilateral triangle with corners on the unit circle, its sides 1/2 away from the centre."""
    height = np.float32(np.sqrt(3) / 2)
    return (-v <= 0.5) & (height * u + v / 2 <= 0.5) & (-height * u + v / 2 <= 0.5)


def star(u: Floats, v: Floats) -> Bools:
    """Inside a five-pointed star with tips on the unit circle and notches at 0.45 of it."""
    turn = 2 * np.pi / 5
    angle = np.abs(np.mod(np.arctan2(v, u), turn) - turn / 2)  # 0 at a notch, turn / 2 at a tip
    radius = np.hypot(u, v)
    x, y = radius * np.cos(angle), radius * np.sin(angle)
    tip_x, tip_y, notch = np.cos(turn / 2), np.sin(turn / 2), 0.45
    # on the centre's side of the edge from notch (notch, 0) to tip
    return np.asarray((tip_x - notch) * y - tip_y * (x - notch) >= 0)


def cross(u: Floats, v: Floats) -> Bools:
    """Inside a cross of two equal bars."""
    upright = (np.abs(u) <= 0.27) & (np.abs(v) <= 0.95)
    return upright | ((np.abs(v) <= 0.27) & (np.abs(u) <= 0.95))


SHAPES: Mapping[str, Callable[[Floats, Floats], Bools]] = {
    "circle": circle,
    "square": square,
    "triangle": triangle,
    "star": star,
    "cross": cross,
}
"""Each takes coordinates in units of the shape's radius, seen from its centre, and tells which are inside."""


@dataclass(frozen=True, kw_only=True)
class Frame:
    """Centre (x, y), radius in pixels and turn in radians of N figures; each float32 [N]."""

    x: Floats
    y: Floats
    radius: Floats
    turn: Floats

    def coordinates(self) -> tuple[Floats, Floats]:
        """The centres of all pixels in each figure's own coordinates, two float32 [N, 32, 32]."""
        pixel = np.arange(SIDE, dtype=np.float32) + 0.5
        right = pixel[None, None, :] - self.x[:, None, None]
        down = pixel[None, :, None] - self.y[:, None, None]
        scale: Floats = (np.float32(1) / self.radius)[:, None, None]
        cos: Floats = np.cos(self.turn)[:, None, None] * scale
        sin: Floats = np.sin(self.turn)[:, None, None] * scale
        return right * cos + down * sin, down * cos - right * sin


def read_shapes(settings: Shapes, progress: Progress) -> Source:
    """Training and test pictures from two streams of one seed, the classes in equal shares."""
    total = settings.train_size + settings.test_size
    train = generate(settings.train_size, (settings.data_seed, 0), lambda done, _: progress(done, total))
    test = generate(
        settings.test_size, (settings.data_seed, 1), lambda done, _: progress(settings.train_size + done, total)
    )
    return Source(train=train, test=test, classes=tuple(SHAPES), train_name="shapes", test_name="shapes")


def generate(n: int, seed: tuple[int, ...], progress: Progress) -> Split:
    """N pictures with their masks; the same ones for the same n and seed."""
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.arange(n) % len(SHAPES))
    images = np.empty((n, 3, SIDE, SIDE), np.uint8)
    masks = np.empty((n, SIDE, SIDE), np.bool_)
    for start in range(0, n, _CHUNK):
        part = slice(start, min(start + _CHUNK, n))
        masks[part] = object_masks(labels[part], rng)
        images[part] = paint(masks[part], rng)
        progress(part.stop, n)
    return Split(
        images=torch.from_numpy(images),
        labels=torch.from_numpy(labels),
        object_mask=torch.from_numpy(masks),
        contour_mask=torch.from_numpy(contours(masks)),
    )


def object_masks(labels: NDArray[np.int64], rng: np.random.Generator) -> Bools:
    """Which pixels have their centre inside the shape, bool [N, 32, 32], for labels [N]; whole shapes only."""
    n = len(labels)
    radius = _between(rng, 6, 13, n)
    x, y = (radius + 1 + _between(rng, 0, 1, n) * (SIDE - 2 - 2 * radius) for _ in range(2))
    u, v = Frame(x=x, y=y, radius=radius, turn=_between(rng, 0, 2 * np.pi, n)).coordinates()
    masks = np.empty(u.shape, np.bool_)
    for label, inside in enumerate(SHAPES.values()):
        of = labels == label
        masks[of] = inside(u[of], v[of])
    return masks


def contours(masks: Bools) -> Bools:
    """The object's pixels with a neighbour above, below, left or right that is not the object's; bool [N, H, W]."""
    padded = np.pad(masks, ((0, 0), (1, 1), (1, 1)))
    surrounded = padded[:, :-2, 1:-1] & padded[:, 2:, 1:-1] & padded[:, 1:-1, :-2] & padded[:, 1:-1, 2:]
    return masks & ~surrounded


def paint(masks: Bools, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Textured objects on a textured, cluttered ground; uint8 [N, 3, 32, 32] for masks [N, 32, 32]."""
    n = len(masks)
    colour = _between(rng, 0.05, 0.95, (n, 3))
    ground = _between(rng, 0.05, 0.95, (n, 3))
    # an object of nearly its ground's colour would be invisible: such a ground moves half the range away
    near = np.linalg.norm(colour - ground, axis=1) < _CONTRAST
    ground[near] = np.mod(colour[near] + 0.5, 1.0)
    inside = colour[:, :, None, None] + _texture(n, rng)[:, None]
    outside = _clutter(ground[:, :, None, None] + _texture(n, rng)[:, None], rng)
    picture = np.where(masks[:, None], inside, outside)
    picture += _NOISE * rng.standard_normal(picture.shape, dtype=np.float32)
    return np.asarray(np.rint(np.clip(picture, 0, 1) * 255), dtype=np.uint8)


def _texture(n: int, rng: np.random.Generator) -> Floats:
    """Stripes of random direction, wavelength, strength and place; float32 [N, 32, 32]."""
    frame = Frame(
        x=_between(rng, 0, SIDE, n),
        y=_between(rng, 0, SIDE, n),
        radius=_between(rng, 2.5, 10, n),
        turn=_between(rng, 0, 2 * np.pi, n),
    )
    stripes: Floats = np.sin(np.float32(2 * np.pi) * frame.coordinates()[0])
    return _between(rng, 0, _STRIPES, n)[:, None, None] * stripes


def _clutter(ground: Floats, rng: np.random.Generator) -> Floats:
    """Small bars and blots of any colour on the ground [N, 3, 32, 32], much smaller than the smallest shape."""
    n = len(ground)
    for _ in range(_CLUTTER):
        frame = Frame(
            x=_between(rng, 0, SIDE, n),
            y=_between(rng, 0, SIDE, n),
            radius=_between(rng, 1, 4, n),
            turn=_between(rng, 0, 2 * np.pi, n),
        )
        u, v = frame.coordinates()
        blot = u**2 + (v / _between(rng, 0.25, 0.8, n)[:, None, None]) ** 2 <= 1
        colour = _between(rng, 0, 1, (n, 3))
        ground = np.where(blot[:, None], colour[:, :, None, None], ground)
    return ground


def _between(rng: np.random.Generator, low: float, high: float, size: int | tuple[int, ...]) -> Floats:
    return np.float32(low) + np.float32(high - low) * rng.random(size, dtype=np.float32)
