"""Thumbnails as data URLs."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from PIL import Image

from goingdeeper.reports.pictures import shrunk, thumbnail


def encoded(kind: str, size: tuple[int, int]) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", size, (200, 30, 30)).save(stream, kind)
    return stream.getvalue()


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_a_picture_keeps_its_bytes_and_size(kind):
    content = encoded(kind, (120, 80))
    found = thumbnail(content)
    assert found is not None
    head, _, data = found.url.partition(",")
    assert head == f"data:image/{kind.lower()};base64"
    assert base64.b64decode(data) == content
    assert (found.width, found.height, found.tiny) == (120, 80, False)


def test_pictures_are_made_small_and_tiny_ones_are_kept_as_they_are():
    pixels = np.random.default_rng(0).integers(0, 256, (64, 30, 3), np.uint8)
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(shrunk(pixels, 160)))), pixels)
    found = Image.open(io.BytesIO(shrunk(np.full((300, 600, 3), 90, np.uint8), 160)))
    assert (found.format, found.size) == ("JPEG", (160, 80))
    assert np.abs(np.asarray(found).astype(int) - 90).max() <= 2


def test_an_8x8_digit_is_enlarged_pixel_by_pixel():
    found = thumbnail(encoded("PNG", (8, 8)))
    assert found is not None
    assert found.tiny


@pytest.mark.parametrize(
    "content",
    [
        None,
        b"",
        b"not a picture",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        encoded("GIF", (9, 9)),
        encoded("PNG", (9, 9))[:20],
    ],
)
def test_what_is_no_png_or_jpeg_is_no_picture(content):
    assert thumbnail(content) is None
