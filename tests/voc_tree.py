"""A tiny Pascal VOC of the true form: JPEGs and annotations as torchvision's data set looks for them."""

from collections.abc import Sequence
from pathlib import Path

from PIL import Image

Things = Sequence[tuple[str, int]]
"""Class and difficult (0 or 1) of every object of a picture."""
COLOURS = {"cat": (250, 20, 20), "dog": (20, 250, 20), "bus": (20, 20, 250), "person": (250, 250, 20)}
SHOWN: tuple[Things, ...] = (
    [("cat", 0)],
    [("dog", 0)],
    [("bus", 0), ("bus", 1)],
    [("person", 0)],
    [("cat", 0), ("person", 0)],
    [("dog", 0), ("bus", 1)],
)
"""What the pictures show, over and over."""


def picture(things: Things, width: int) -> Image.Image:
    """Each class is a stripe of its colour, at its own height."""
    out = Image.new("RGB", (width, 40), (128, 128, 128))
    for i, (name, colour) in enumerate(COLOURS.items()):
        if any(thing == name for thing, _ in things):
            out.paste(colour, (0, 10 * i, width, 10 * i + 10))
    return out


def annotation(things: Things) -> str:
    """As the annotators wrote it, with the tags that count."""
    objects = "".join(
        f"<object><name>{name}</name><difficult>{difficult}</difficult></object>" for name, difficult in things
    )
    return f"<annotation><folder>VOC2007</folder>{objects}</annotation>"


def write_voc(folder: Path, parts: dict[str, int], year: str = "2007") -> Path:
    """VOCdevkit below the folder, with so many pictures a part; gives the folder of the annotations."""
    root = folder / "VOCdevkit" / f"VOC{year}"
    for name in ("ImageSets/Main", "JPEGImages", "Annotations"):
        (root / name).mkdir(parents=True, exist_ok=True)
    for part, n in parts.items():
        names = [f"{part}_{i:03d}" for i in range(n)]
        (root / "ImageSets" / "Main" / f"{part}.txt").write_text("\n".join(names) + "\n")
        for i, name in enumerate(names):
            things = SHOWN[i % len(SHOWN)]
            picture(things, 40 + 10 * (i % 2)).save(root / "JPEGImages" / f"{name}.jpg")
            (root / "Annotations" / f"{name}.xml").write_text(annotation(things))
    return root / "Annotations"
