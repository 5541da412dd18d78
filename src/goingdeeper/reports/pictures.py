"""Thumbnails for the report: bytes to a data URL with its size, or nothing where they show nothing."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass

from PIL import Image

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
    """A prediction with its picture; `thumbnail` is None where the image is gone."""

    prediction: Prediction
    thumbnail: Thumbnail | None


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
