"""Images at another size, with and without torch to the same bits."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from functools import lru_cache
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Pixels: TypeAlias = NDArray[np.uint8]
"""(height, width, 3)."""

Bands: TypeAlias = tuple[tuple[slice, slice, NDArray[np.float64]], ...]

BAND = 8
"""Outputs that one product of matrices makes: more would multiply by more zeros, fewer take more calls."""

PART = 1 << 19
"""Values of 8 bytes that are worked on at a time, so that the processor's cache holds them."""


def resize(pixels: Pixels, height: int, width: int) -> Pixels:
    """The image at another size, its aspect ratio given up: bilinear, antialiased, on bytes.

    By torch where it is loaded already, otherwise by NumPy: importing torch takes longer than most answers.
    """
    if "torch" in sys.modules:
        return _by_torch(pixels, height, width)
    return by_numpy(pixels, height, width)


def _by_torch(pixels: Pixels, height: int, width: int) -> Pixels:
    import torch
    from torch.nn import functional as F

    # (1, 3, H, W) as a view of (H, W, 3) memory is torch's fast path for bytes, but only if the stride of the
    # first is that of a whole image: otherwise planes come out, and twice as late.
    whole = torch.from_numpy(np.require(pixels, requirements=("C", "W")))[None].permute(0, 3, 1, 2)
    resized = F.interpolate(whole, (height, width), mode="bilinear", antialias=True, align_corners=False)
    found: Pixels = resized[0].permute(1, 2, 0).contiguous().numpy()
    return found


def by_numpy(pixels: Pixels, height: int, width: int) -> Pixels:
    """What torch's `interpolate` of bytes gives, to the bit.

    As ATen's UpSampleKernel.cpp: rows first, then columns, each rounded to bytes, with weights of 16 bits. In
    doubles all sums of such are exact, so that their order does not matter and BLAS may make them.
    """
    if pixels.shape[:2] == (height, width):
        return pixels.copy()
    if width != pixels.shape[1]:
        pixels = _across(pixels, _bands(pixels.shape[1], width, 3))
    if height != pixels.shape[0]:
        pixels = _down(pixels, _bands(pixels.shape[0], height, 1))
    return pixels


def _across(pixels: Pixels, bands: Bands) -> Pixels:
    height, width, channels = pixels.shape
    out = np.empty((height, bands[-1][0].stop), np.uint8)
    step = max(1, PART // (width * channels))
    for top in range(0, height, step):
        part = pixels[top : top + step].reshape(-1, width * channels).astype(np.float64)
        sums = np.empty((len(part), out.shape[1]))
        for made, read, weights in bands:
            np.matmul(part[:, read], weights.T, out=sums[:, made])
        out[top : top + step] = _bytes(sums)
    return out.reshape(height, -1, channels)


def _down(pixels: Pixels, bands: Bands) -> Pixels:
    flat = pixels.reshape(len(pixels), -1)
    out = np.empty((bands[-1][0].stop, flat.shape[1]), np.uint8)
    step = max(1, PART // len(flat))
    for left in range(0, flat.shape[1], step):
        part = flat[:, left : left + step].astype(np.float64)
        sums = np.empty((len(out), part.shape[1]))
        for made, read, weights in bands:
            np.matmul(weights, part[read], out=sums[made])
        out[:, left : left + step] = _bytes(sums)
    return out.reshape(len(out), *pixels.shape[1:])


def _bytes(sums: NDArray[np.float64]) -> Pixels:
    """Rounded half up, which adding a half and shifting does."""
    sums += 0.5
    return np.minimum(sums, 255, out=sums).astype(np.uint8)


@lru_cache(4)  # of an image of absurd sides, each holds 60 MB
def _bands(given: int, wanted: int, channels: int) -> Bands:
    """Of a few neighbouring outputs each: which they are, which inputs they need, and the matrix between.

    channels: that lie side by side, each of which has the same weights.
    """
    first, weights = _weights(given, wanted)
    return tuple(_banded(first, weights, given, channels))


def _banded(
    first: NDArray[np.int64], weights: NDArray[np.float64], given: int, channels: int
) -> Iterator[tuple[slice, slice, NDArray[np.float64]]]:
    taps = np.arange(weights.shape[1])
    for start in range(0, len(first), BAND):
        part = first[start : start + BAND]
        low, count = int(part[0]), len(part)
        high = min(int(part[-1]) + len(taps), given)
        places = part[:, None] + taps - low
        inside = places < high - low  # those beyond the border weigh nothing
        matrix = np.zeros((count, channels, high - low, channels))
        rows = np.broadcast_to(np.arange(count)[:, None], places.shape)
        for channel in range(channels):
            matrix[rows[inside], channel, places[inside], channel] = weights[start : start + BAND][inside]
        yield (
            slice(channels * start, channels * (start + count)),
            slice(channels * low, channels * high),
            matrix.reshape(channels * count, -1),
        )


def _weights(given: int, wanted: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """(wanted,) the first input of each output, and (wanted, taps) what the inputs from there on weigh.

    Triangles as wide as the inputs of one output, in doubles, then rounded to as many fractional bits (22 at
    most) as leave the largest within 16 with its sign.
    """
    scale = given / wanted
    support, inverse = (scale, 1 / scale) if scale >= 1 else (1.0, 1.0)
    middle = scale * (np.arange(wanted) + 0.5)
    first = np.maximum((middle - support + 0.5).astype(np.int64), 0)
    count = np.minimum((middle + support + 0.5).astype(np.int64), given) - first
    taps = np.arange(2 * math.ceil(support) + 1)
    place = (first[:, None] + taps) - middle[:, None] + 0.5
    weights = np.maximum(1 - np.abs(place * inverse), 0) * (taps < count[:, None])
    # One after the other, as torch adds them: np.sum would add in another order.
    weights /= np.add.accumulate(weights, axis=1)[:, -1:]
    largest, bits = float(weights.max()), 0
    while bits < 22 and int(0.5 + largest * (1 << bits + 1)) < 1 << 15:
        bits += 1
    return first, np.floor(0.5 + weights * (1 << bits)) / (1 << bits)
