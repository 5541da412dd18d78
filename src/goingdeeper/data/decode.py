"""One way from a file to pixels, used by training, evaluation and prediction alike."""

from __future__ import annotations

import io
import re
import stat
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from goingdeeper.data.claims import lean
from goingdeeper.data.resize import resize
from goingdeeper.errors import DataError, shown

try:
    from simplejpeg import decode_jpeg, decode_jpeg_header
except ImportError:  # not built for this platform; Pillow gives the same pixels
    decode_jpeg = None

Pixels = NDArray[np.uint8]
"""(height, width, 3) RGB, as a person sees the picture."""

MAX_PIXELS = 89_478_485
"""Larger headers are refused before decoding; Pillow's own limit for a suspicious image."""

MAX_BYTES = 8 * MAX_PIXELS + (1 << 20)
"""Larger files are refused unread; so much four channels of 16 bits take that are not compressed."""

MAX_RATIO = 500
"""So many times longer than wide, an image is refused: fitted to a network it would fill the memory."""

JPEG = b"\xff\xd8\xff"
"""What a JPEG file begins with."""

_ORIENTING = (b"eXIf", b"exif", b"adobe")
"""One of these is in a PNG that has an orientation: its EXIF chunk, a raw profile, XMP."""

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
    if (quick := _plain_jpeg(data, name)) is not None:
        return quick
    with _opened(data, name, length) as image:
        if image.format == "JPEG" and (found := _flawless(data, image.mode, image.size)) is not None:
            return _upright(found, image.getexif().get(ExifTags.Base.Orientation, 1))
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


def decode_reduced(
    data: bytes, name: str, divisor: Callable[[int, int], int]
) -> tuple[Pixels, tuple[int, int]]:
    """The pixels, and the height and width of the image itself; for training only, and not those of `decode`.

    divisor: called with the height and width; a JPEG is decoded at 1/2, 1/4 or 1/8 of its size where that is
    2, 4 or 8, in less time than the whole. Raises DataError as `decode`.
    """
    if not data:
        raise DataError(f"{name} is empty (0 bytes)")
    with _opened(lean(data, name), name, len(data)) as image:
        turned = image.getexif().get(ExifTags.Base.Orientation, 1) in range(5, 9)
        height, width = image.size if turned else image.size[::-1]
        by = divisor(height, width) if image.format == "JPEG" else 1
        if by > 1:
            image.draft(None, (max(1, image.width // by), max(1, image.height // by)))
            image.load()
            return rgb(image), (height, width)
    return decode(data, name), (height, width)


@contextmanager
def _opened(data: bytes, name: str, length: int) -> Iterator[Image.Image]:
    """An image of which the header was read; what goes wrong within becomes a DataError.

    length: of the file, of which `data` may leave out what is not needed.
    """
    try:
        with _quiet, Image.open(io.BytesIO(data), formats=_FORMATS) as image:
            _check_size(image.size, name)
            yield image
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


def _plain_jpeg(data: bytes, name: str) -> Pixels | None:
    """The pixels of a JPEG without metadata that may turn it; of such Pillow need not even see the header."""
    if decode_jpeg is None or not data.startswith(JPEG) or _has_app1(data):
        return None
    try:
        height, width, space, _ = decode_jpeg_header(data)
    except Exception:
        return None
    _check_size((width, height), name)
    return _flawless(data, space, (width, height))


def _has_app1(data: bytes) -> bool:
    """Whether a JPEG has EXIF or XMP in front of its first scan; also where its segments are out of order."""
    place = 2
    while data[place : place + 1] == b"\xff" and len(data) > place + 4:
        kind = data[place + 1]
        if kind == 0xDA:
            return False
        if kind == 0xE1:
            return True
        place += 2 + int.from_bytes(data[place + 2 : place + 4])
    return True


def _flawless(data: bytes, space: str, size: tuple[int, int]) -> Pixels | None:
    """What Pillow would give, to the bit, in less time; None for all but whole and ordinary JPEGs.

    Strict about what libjpeg would go on from: how much is lost, and what is said of it, Pillow decides.
    """
    if decode_jpeg is None or space not in ("RGB", "L", "YCbCr", "Gray"):
        return None
    try:
        pixels: Pixels = decode_jpeg(data)
    except Exception:
        return None
    return pixels if pixels.shape == (size[1], size[0], 3) else None


def _upright(pixels: Pixels, orientation: int) -> Pixels:
    """The picture as a person sees it, by the EXIF standard's table; what that does not know, as it is."""
    if orientation not in range(2, 9):
        return pixels
    whole = pixels.view("V3")[:, :, 0]  # pixels as one thing each are turned three times as fast
    if orientation > 4:
        whole = whole.T
    rows, columns = _BACKWARDS[orientation]
    turned = np.ascontiguousarray(whole[::rows, ::columns])
    return turned.view(np.uint8).reshape(*turned.shape, 3)


_BACKWARDS = {2: (1, -1), 3: (-1, -1), 4: (-1, 1), 5: (1, 1), 6: (1, -1), 7: (-1, -1), 8: (-1, 1)}
"""The steps through rows and columns, after the two are exchanged for 5 to 8."""


def header_size(file: Path | bytes) -> tuple[int, int] | None:
    """(width, height) as the header has it, orientation not applied; None where it cannot be read."""
    try:
        data = lean(file if isinstance(file, bytes) else content(file), "")
        with _quiet, Image.open(io.BytesIO(data), formats=_FORMATS) as image:
            return image.size
    except Exception:  # the full read names what is wrong
        return None


def is_upright(data: bytes) -> bool:
    """Whether an image file that can be read has its pixels stored as they are to be seen."""
    if data.startswith(JPEG) and not _has_app1(data):
        return True
    with _quiet, Image.open(io.BytesIO(data), formats=_FORMATS) as image:
        return image.getexif().get(ExifTags.Base.Orientation, 1) not in range(2, 9)


@dataclass(frozen=True)
class Header:
    """What an image file says of itself: its format and mode in Pillow's words, its EXIF orientation.

    deep: more than 8 bits a channel. animated: several frames, of which the first counts.
    """

    format: str
    mode: str
    orientation: int
    deep: bool
    transparent: bool
    animated: bool


def header(data: bytes) -> Header | None:
    """The header of an image file's bytes; None where it cannot be read."""
    try:
        lean(data, "")  # refuses floods
        with _quiet, Image.open(io.BytesIO(data), formats=_FORMATS) as image:
            deep = image.mode.startswith("I") or any(";16" in str(part) for part in image.tile)
            # Pillow decodes a PNG to look for orientations behind its pixels, as few have them.
            upright = image.format == "PNG" and not any(word in data for word in _ORIENTING)
            orientation = 1 if upright else image.getexif().get(ExifTags.Base.Orientation, 1)
            # A camera's MPO is a JPEG with a second view behind it, which no viewer shows.
            stereo = image.format == "MPO"
            return Header(
                format="JPEG" if stereo else str(image.format),
                mode=image.mode,
                orientation=orientation if orientation in range(1, 9) else 1,
                deep=deep,
                transparent=image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info,
                animated=not stereo and bool(getattr(image, "is_animated", False)),
            )
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
    return resize(pixels, *target)


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
