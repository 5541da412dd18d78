"""One way from a file to pixels, used by training, evaluation and prediction alike."""

from __future__ import annotations

import io
import re
import stat
import threading
import warnings
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError
from torch.nn import functional as F

from goingdeeper.data.claims import lean
from goingdeeper.errors import DataError, shown

Pixels = NDArray[np.uint8]
"""(height, width, 3) RGB, as a person sees the picture."""

MAX_PIXELS = 89_478_485
"""Larger headers are refused before decoding; Pillow's own limit for a suspicious image."""

MAX_BYTES = 8 * MAX_PIXELS + (1 << 20)
"""Larger files are refused unread; so much four channels of 16 bits take that are not compressed."""

MAX_RATIO = 500
"""So many times longer than wide, an image is refused: fitted to a network it would fill the memory."""

# Of Pillow's other formats some start programs (EPS), and none has a suffix that is looked for.
_FORMATS = ("JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF", "PPM")


def decode(file: Path | bytes, name: str | None = None) -> Pixels:
    """The pixels of an image file (or its bytes), orientation applied.

    Transparency is laid on white, 16-bit greys are scaled to 8 bits; of several frames the first counts.
    Raises DataError, naming the file and what is wrong with it.
    """
    name = name or (shown(file) if isinstance(file, Path) else "the image")
    data = file if isinstance(file, bytes) else content(file, name)
    if not data:
        raise DataError(f"{name} is empty (0 bytes)")
    length, data = len(data), lean(data, name)
    try:
        with _quiet, Image.open(io.BytesIO(data), formats=_FORMATS) as image:
            _check_size(image.size, name)
            image.load()
            tags = getattr(image, "tag_v2", {})  # of TIFF files
            if image.mode == "F" or 32 in tags.get(258, ()):
                raise DataError(f"{name} holds values of 32 bits; save it with 8 or 16 bits a channel")
            clear = image.info.get("transparency")
            if image.format == "PNG" and image.mode == "L" and isinstance(clear, int):
                # Of 2 or 4 bits, Pillow scales the pixels to 8, but not the grey that is clear.
                image.info["transparency"] = clear * 255 // (2 ** data[24] - 1)
            pixels = rgb(image)
            # Where white is 0, Pillow turns greys of 8 bits round, but not those of 16.
            return 255 - pixels if image.mode.startswith("I") and tags.get(262) == 0 else pixels
    except DataError:
        raise
    except UnidentifiedImageError:
        raise DataError(f"{name} is not an image that can be read (starts with {data[:8]!r})") from None
    except Image.DecompressionBombError:
        raise DataError(f"{name} claims over {2 * MAX_PIXELS:,} pixels and is refused") from None
    except Exception as problem:  # Pillow's plugins raise nearly anything on damaged files
        text = str(problem)
        if "truncated" in text.lower() or isinstance(problem, EOFError):
            raise DataError(f"{name} is truncated at {length:,} bytes") from None
        raise DataError(f"{name} is damaged: {text or type(problem).__name__}") from None


def header_size(file: Path | bytes) -> tuple[int, int] | None:
    """(width, height) as the header has it, orientation not applied; None where it cannot be read."""
    try:
        data = lean(file if isinstance(file, bytes) else content(file), "")
        with _quiet, Image.open(io.BytesIO(data), formats=_FORMATS) as image:
            return image.size
    except Exception:  # the full read names what is wrong
        return None


def content(file: Path, name: str | None = None) -> bytes:
    """The bytes of a regular file. Raises DataError, naming it, where they cannot be read."""
    name = name or shown(file)
    try:
        found = file.stat()
        if not stat.S_ISREG(found.st_mode) and not stat.S_ISDIR(found.st_mode):  # a pipe might never end
            raise DataError(f"{name} cannot be read: it is no regular file")
        if found.st_size > MAX_BYTES:
            raise DataError(f"{name} has {found.st_size:,} bytes; over {MAX_BYTES:,} is refused")
        return file.read_bytes()
    except (OSError, ValueError) as problem:
        raise DataError(f"{name} cannot be read: {getattr(problem, 'strerror', None) or problem}") from None


def _check_size(size: tuple[int, int], name: str) -> None:
    width, height = size
    if width * height > MAX_PIXELS:
        raise DataError(f"{name} is {width}x{height}; over {MAX_PIXELS:,} pixels is refused")
    if min(size) < 1 or max(size) > MAX_RATIO * min(size):
        raise DataError(f"{name} is {width}x{height}; over {MAX_RATIO} times as long as wide is refused")


class _Quiet:
    """Keeps Pillow's warnings back while images are decoded; what matters of them becomes a DataError.

    One filter for all threads, since `warnings.catch_warnings` is not safe where several use it.
    """

    _FILTER = ("ignore", None, Warning, re.compile(r"PIL\."), 0)

    def __init__(self) -> None:
        self._lock, self._inside = threading.Lock(), 0

    def __enter__(self) -> None:
        with self._lock:
            self._inside += 1
            if self._FILTER not in warnings.filters:
                warnings.filterwarnings("ignore", module=r"PIL\.")

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside and self._FILTER in warnings.filters:
                warnings.filters.remove(self._FILTER)  # type: ignore[attr-defined]


_quiet = _Quiet()


def rgb(image: Image.Image) -> Pixels:
    """The pixels of an opened image, orientation applied."""
    if image.getexif().get(ExifTags.Base.Orientation, 1) != 1:  # it copies the upright ones, too
        image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I"):  # convert("RGB") would clip 16-bit greys to white
        wide = np.asarray(image, dtype=np.int64).clip(0, 65535)
        grey = ((wide * 255 + 32767) // 65535).astype(np.uint8)
        grey[wide == image.info.get("transparency")] = 255
        return np.repeat(grey[:, :, None], 3, axis=2)
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        rgba = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba)
    return np.array(image if image.mode == "RGB" else image.convert("RGB"), dtype=np.uint8)


def fit(pixels: Pixels, size: int) -> Pixels:
    """The image with its shorter side at `size` pixels: bilinear, antialiased, on bytes."""
    height, width = pixels.shape[:2]
    short = min(height, width)
    if short == size:
        return pixels
    target = (max(size, round(height * size / short)), max(size, round(width * size / short)))
    # (1, 3, H, W) as a view of (H, W, 3) memory: torch's fast path for bytes.
    planes = torch.from_numpy(np.require(pixels, requirements=("C", "W"))).permute(2, 0, 1)[None]
    resized = F.interpolate(planes, target, mode="bilinear", antialias=True, align_corners=False)
    return resized[0].permute(1, 2, 0).contiguous().numpy()


def centre(pixels: Pixels, size: int) -> Pixels:
    """The central size x size pixels of a fitted image."""
    top, left = (pixels.shape[0] - size) // 2, (pixels.shape[1] - size) // 2
    return pixels[top : top + size, left : left + size]


def png(pixels: Pixels, longest: int | None = None) -> bytes:
    """The pixels as a PNG file, made smaller where a side is over `longest`."""
    image = Image.fromarray(pixels)
    if longest is not None:
        image.thumbnail((longest, longest))
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()
