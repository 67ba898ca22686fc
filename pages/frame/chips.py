"""A run's colour, dash and marker as a small picture, for tables and lists."""

import base64

from gradscope.figures.style import RunStyle

_MARKERS = {
    "circle": '<circle cx="17" cy="7" r="4.5"/>',
    "square": '<rect x="13" y="3" width="8" height="8"/>',
    "triangle-up": '<path d="M17 2 L22 11 L12 11 Z"/>',
    "triangle-down": '<path d="M17 12 L22 3 L12 3 Z"/>',
    "diamond": '<path d="M17 1 L22 7 L17 13 L12 7 Z"/>',
    "triangle-right": '<path d="M13 2 L22 7 L13 12 Z"/>',
    "triangle-left": '<path d="M21 2 L12 7 L21 12 Z"/>',
}


def chip(style: RunStyle) -> str:
    """An SVG of 34 x 14 pixels as a data address."""
    dash = " ".join(map(str, style.dash)) if style.dash[1] else ""
    picture = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="34" height="14" fill="{style.colour}">'
        f'<path d="M1 7 H33" stroke="{style.colour}" stroke-width="2.5" stroke-dasharray="{dash}"/>'
        f"{_MARKERS[style.shape]}</svg>"
    )
    return "data:image/svg+xml;base64," + base64.b64encode(picture.encode()).decode()
