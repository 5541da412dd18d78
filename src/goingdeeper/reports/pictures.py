"""Thumbnails for the report: bytes to a data URL with its size, or nothing where they show nothing."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass

from PIL import Image

from goingdeeper.data.decode import Pixels, png
from goingdeeper.reports.scores import Prediction

TINY = 64
"""Images up to so many pixels a side are enlarged pixel by pixel: smoothing would blur a digit away."""


@dataclass(frozen=True)
class Thumbnail:
    """A data URL and the picture's size in pixels."""

    url: str
    width: int
    height: int

    @property
    def tiny(self) -> bool:
        return max(self.width, self.height) <= TINY


@dataclass(frozen=True)
class Shown:
    """A prediction with its picture, and what speaks for the answer in it.

    thumbnail: None where the image is gone. heat: None there, and where it cannot be computed.
    """

    prediction: Prediction
    thumbnail: Thumbnail | None
    heat: Thumbnail | None


def shrunk(pixels: Pixels, longest: int) -> bytes:
    """A JPEG with no side over `longest`; a PNG of images that are tiny already."""
    if max(pixels.shape[:2]) <= TINY:
        return png(pixels)
    image = Image.fromarray(pixels)
    image.thumbnail((longest, longest), reducing_gap=2.0)
    out = io.BytesIO()
    image.save(out, "JPEG", quality=85)
    return out.getvalue()


def thumbnail(content: bytes | None) -> Thumbnail | None:
    """The thumbnail of a PNG's or JPEG's bytes; None for nothing and for what is neither."""
    if not content:
        return None
    try:
        with Image.open(io.BytesIO(content), formats=("PNG", "JPEG")) as image:
            kind, (width, height) = str(image.format).lower(), image.size
    except (OSError, ValueError, SyntaxError):
        return None
    return Thumbnail(f"data:image/{kind};base64,{base64.b64encode(content).decode()}", width, height)
