"""Heat maps on images, in colours that the colour-blind can order, too, and pictures with their scale."""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from goingdeeper.data.decode import Pixels

Heat: TypeAlias = NDArray[np.float32]
"""(height, width), from 0 to 1."""

INFERNO = (
    "000004", "0c0826", "240c4f", "420a68", "5d126e", "781c6d", "932667", "ae305c", "c73e4c",
    "dd513a", "ed6925", "f8850f", "fca50a", "fac62d", "f2e661", "fcffa4",
)  # fmt: skip
"""Matplotlib's colours of that name, evenly spaced. They get lighter all the way: grey orders them, too."""

_STOPS = np.array([list(bytes.fromhex(stop)) for stop in INFERNO], np.float64)

LEAST, GAP, LINE, BAR = 224, 12, 20, 12
"""Pixels: a panel's side at least, the space between two, a line of text, and the scale's height."""

MEDIUM = 128
"""The grey that the scale lies on."""


def coloured(heat: Heat) -> NDArray[np.float64]:
    """(height, width, 3), from 0 to 255: the colours of values from 0 to 1."""
    places = np.linspace(0, 1, len(_STOPS))
    return np.stack([np.interp(heat, places, channel) for channel in _STOPS.T], axis=-1)


def overlay(pixels: Pixels, heat: Heat) -> Pixels:
    """The image in greys, half of it the colours of its heat, which has its size."""
    grey = np.asarray(Image.fromarray(pixels).convert("L"), np.float64)
    mixed: Pixels = np.rint((grey[:, :, None] + coloured(heat)) / 2).astype(np.uint8)
    return mixed


def scale() -> list[str]:
    """The colours of an overlay on medium grey, evenly spaced from 0 to 1, as in style sheets."""
    return [f"#{bytes(colour).hex()}" for colour in _scale(1, len(INFERNO))[0]]


def picture(pixels: Pixels, heat: Heat, title: str, what: str, most: str) -> Image.Image:
    """The image, beside it its overlay, and below the scale.

    title: above them. what: the scale shows, from 0 to `most`.
    """
    by = -(-LEAST // pixels.shape[0])
    left, right = (_enlarged(each, by) for each in (pixels, overlay(pixels, heat)))
    wide = left.width + GAP + right.width
    page = Image.new("RGB", (wide + 2 * GAP, left.height + 2 * LINE + BAR + 4 * GAP), "white")
    draw, font, below = ImageDraw.Draw(page), _font(), LINE + GAP + left.height + GAP
    draw.text((GAP, GAP // 2), _cut(title, font, wide), "black", font)
    page.paste(left, (GAP, LINE + GAP))
    page.paste(right, (GAP + left.width + GAP, LINE + GAP))
    page.paste(Image.fromarray(_scale(BAR, wide)), (GAP, below))
    text = below + BAR + GAP // 2
    draw.text((GAP, text), "0", "black", font)
    draw.text((GAP + wide, text), most, "black", font, anchor="ra")
    room = wide - 2 * GAP - 2 * font.getlength(most)
    draw.text((GAP + wide / 2, text), _cut(what, font, room), "black", font, anchor="ma")
    return page


def _scale(height: int, width: int) -> Pixels:
    ramp = np.tile(np.linspace(0, 1, width, dtype=np.float32), (height, 1))
    return overlay(np.full((height, width, 3), MEDIUM, np.uint8), ramp)


def _enlarged(pixels: Pixels, by: int) -> Image.Image:
    return Image.fromarray(pixels.repeat(by, 0).repeat(by, 1))


@cache
def _font() -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """DejaVu Sans, which comes with matplotlib: Pillow's own font has nothing beyond ASCII."""
    found = find_spec("matplotlib")
    file = Path(found.origin).parent / "mpl-data/fonts/ttf/DejaVuSans.ttf" if found and found.origin else None
    return ImageFont.truetype(file, 12) if file and file.is_file() else ImageFont.load_default(13)


def _cut(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, room: float) -> str:
    """As much of a text as there is room for, in pixels."""
    if font.getlength(text) <= room:
        return text
    while text and font.getlength(text + "...") > room:
        text = text[:-1]
    return text + "..."
