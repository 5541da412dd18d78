"""The part of an image that training sees, at the input's size."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import torch
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from PIL import Image

from goingdeeper.data.decode import Pixels, centre, fit
from goingdeeper.data.order import Floats, Whole, whole
from goingdeeper.data.resize import resize
from goingdeeper.recipes.images import AreaCrop, Crop, Padded, ScaleJitter, Window

PUBLISHED = 224
"""The input that sides of Window and ScaleJitter are given for."""

Values: TypeAlias = Pixels | NDArray[np.float32]

Large: TypeAlias = Window | ScaleJitter | AreaCrop

Box: TypeAlias = tuple[int, int, int, int]
"""Top, left, height, width."""


def draws_of(crop: Crop) -> int:
    """How many random numbers a crop takes."""
    return 3 * crop.tries + 3 if isinstance(crop, AreaCrop) else 3


def most(crop: Crop, size: int) -> float:
    """The shorter side, in pixels, beyond which a larger image would add nothing to the crops.

    Larger images are fitted to it first: camera frames would fill the memory. The smallest AreaCrop of
    such an image still has `size` pixels each way; a ScaleJitter's largest is half of it.
    """
    match crop:
        case Padded():
            return size
        case Window():
            return scaled(crop.side, size)
        case ScaleJitter():
            return 2 * scaled(crop.high, size)
        case AreaCrop():
            return math.ceil(size / math.sqrt(crop.low / crop.aspect)) if crop.low > 0 else math.inf


def scaled(side: float, size: int) -> int:
    """A side given for an input of 224, in proportion for an input of `size`."""
    return max(size, round(side * size / PUBLISHED))


def divisor(height: int, width: int, crop: Large, size: int, draws: Floats) -> int:
    """8, 4, 2 or 1: an image decoded at this part of its size still has a pixel for each of the crop's."""
    if isinstance(crop, AreaCrop):
        box = area_box(height, width, crop, draws[1:])
        there, needed = min(box[2:] if box else (height, width)), size
    else:
        there, needed = min(height, width), _side(crop, size, draws)
    return next(by for by in (8, 4, 2, 1) if there >= by * needed or by == 1)


def _side(crop: Window | ScaleJitter, size: int, draws: Floats) -> int:
    """What the shorter side of the image is brought to."""
    if isinstance(crop, Window):
        return scaled(crop.side, size)
    low, high = scaled(crop.low, size), scaled(crop.high, size)
    return low + int(whole(draws[2], high - low + 1))


def cropped(
    image: Pixels, crop: Large, size: int, draws: Floats, full: tuple[int, int] | None = None
) -> tuple[Pixels, tuple[int, int]]:
    """(size, size, 3): a random part of the image; and where it lies in the central square, for a Window.

    draws: `draws_of(crop)` numbers in [0, 1). full: height and width of the image that this is a reduced
    copy of.
    """
    if isinstance(crop, AreaCrop):
        height, width = full or image.shape[:2]
        box = area_box(height, width, crop, draws[1:])
        if box is None:
            return centre(fit(image, size), size), (0, 0)
        if image.shape[:2] != (height, width):
            box = _reduced(box, (height, width), image.shape[:2])
        method = RESIZES[int(draws[0] * len(RESIZES))] if crop.any_resize else None
        return resized(image, box, size, method), (0, 0)
    side = _side(crop, size, draws)
    image = fit(image, side)
    if isinstance(crop, Window) and crop.square:
        image = centre(image, side)
    top = int(whole(draws[0], image.shape[0] - size + 1))
    left = int(whole(draws[1], image.shape[1] - size + 1))
    corner = (top - (image.shape[0] - side) // 2, left - (image.shape[1] - side) // 2)
    return image[top : top + size, left : left + size], corner


def area_box(height: int, width: int, crop: AreaCrop, draws: Floats) -> Box | None:
    """A part with a share of the area and an aspect ratio; None where the central square is to be taken."""
    limit = math.log(crop.aspect)
    for area, aspect, swap in draws[: 3 * crop.tries].reshape(-1, 3).tolist():
        pixels = (crop.low + (1 - crop.low) * area) * height * width
        if crop.logarithmic:
            ratio = math.exp(limit * (2 * aspect - 1))
        else:
            ratio = 1 / crop.aspect + (crop.aspect - 1 / crop.aspect) * aspect
        w, h = max(1, round(math.sqrt(pixels * ratio))), max(1, round(math.sqrt(pixels / ratio)))
        if swap < 0.5 and not crop.logarithmic:
            w, h = h, w
        if w <= width and h <= height:
            top, left = draws[-2:].tolist()
            return (
                min(int(top * (height - h + 1)), height - h),
                min(int(left * (width - w + 1)), width - w),
                h,
                w,
            )
    return (0, 0, height, width) if crop.otherwise == "whole" else None


def _reduced(box: Box, full: tuple[int, int], copy: tuple[int, int]) -> Box:
    """A box of an image in a copy of another height and width."""
    places, sides = [], []
    for place, side, whole_side, copy_side in zip(box[:2], box[2:], full, copy, strict=True):
        sides.append(round(side * copy_side / whole_side))
        places.append(min(round(place * copy_side / whole_side), copy_side - sides[-1]))
    return places[0], places[1], sides[0], sides[1]


RESIZES = (
    None,  # bilinear
    Image.Resampling.BOX,  # the mean over the area
    Image.Resampling.NEAREST,
    Image.Resampling.BICUBIC,
)


def resized(image: Pixels, box: Box, size: int, method: Image.Resampling | None = None) -> Pixels:
    """A part of the image at (size, size, 3), its aspect ratio given up; bilinear, antialiased by default."""
    top, left, height, width = box
    part = image[top : top + height, left : left + width]
    if (height, width) == (size, size):
        return part
    if method is not None:
        return np.asarray(Image.fromarray(part).resize((size, size), method))
    return resize(part, size, size)


def mirror(image: Pixels) -> Pixels:
    """Left and right exchanged; ten times as fast as numpy's view of pixels from the right."""
    return torch.from_numpy(np.require(image, requirements="W")).flip(1).numpy()


def places(
    draws: Floats, heights: int | Whole, widths: int | Whole, size: int, crop: Padded
) -> tuple[Whole, Whole]:
    """Top and left of each window in an image of that size, from minus the margin on. draws: (N, 2)."""
    margin = round(crop.pad * size)
    top = whole(draws[:, 0], heights + 2 * margin - size + 1) - margin
    left = whole(draws[:, 1], widths + 2 * margin - size + 1) - margin
    return top, left


def windows(images: Sequence[Values] | Values, top: Whole, left: Whole, size: int, crop: Padded) -> Values:
    """(N, size, size, 3): of each image the window at its place; what is outside is 0, or mirrored.

    Images of one shape are done together.
    """
    if len({image.shape for image in images}) > 1:
        each = zip(images, top[:, None], left[:, None], strict=True)
        return np.concatenate([windows([image], y, x, size, crop) for image, y, x in each])
    together = np.asarray(images)
    margin = round(crop.pad * size)
    if margin and crop.reflect:
        together = np.pad(together, ((0, 0), (margin, margin), (margin, margin), (0, 0)), mode="reflect")
    elif margin:
        n, height, width, channels = together.shape
        wide = np.zeros((n, height + 2 * margin, width + 2 * margin, channels), together.dtype)
        wide[:, margin:-margin, margin:-margin] = together
        together = wide
    rows = together.reshape(*together.shape[:2], -1)  # rows of bytes are copied faster than pixels
    view = sliding_window_view(rows, (size, 3 * size), axis=(1, 2))[:, :, ::3]
    found = view[np.arange(len(rows)), top + margin, left + margin]
    return found.reshape(-1, size, size, 3)
