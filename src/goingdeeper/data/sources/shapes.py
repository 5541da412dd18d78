"""Shapes that are drawn when they are read, of each class at sizes over a factor of 8.

An image follows from its number alone, to the bit on every machine: real numbers are added, multiplied,
divided and their roots taken, one operation at a time, which IEEE 754 rounds alike everywhere; sines, powers
and sums of many are left alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from goingdeeper.data.decode import Pixels
from goingdeeper.data.order import uniforms
from goingdeeper.data.sources.source import Item, Source
from goingdeeper.errors import DataError

Map: TypeAlias = NDArray[np.floating[Any]]  # float32

TRAIN, VAL = 8000, 2000
SIDE = 64
SIZES = (4.0, 32.0)
"""Pixels: the square root of a shape's area, drawn log-uniformly whatever its class."""
GROUND = (20.0, 130.0)
"""Each channel of the colour behind everything."""
CONTRAST = (50.0, 110.0)
"""How much lighter than the ground a shape is at the most; in each channel by half of that at the least."""
STRIPES = 3
"""Between the ground and the shape."""
CLUTTER = (15.0, 70.0)
"""How much lighter or darker than the ground a stripe is at the most."""
NOISE = 16.0
"""How far each byte of an image is off at the most."""
SOFT = 0.15
"""Width of an edge in sizes, if that is over a pixel: a large shape is a small one magnified."""

_DRAWN, _NOISE = 100, 101  # streams of random numbers, apart from those of training
_BITS = 16
_AT = np.arange(SIDE, dtype=np.float32) - (SIDE - 1) / 2


@cache
def shapes() -> Source:
    """10,000 images of 64x64 pixels, one of eight shapes in each, for training and for validation.

    They differ in size, place, rotation, colours, contrast and what is behind them; `size_of` tells the size.
    """
    classes = tuple(OUTLINES)
    return Source(
        name="shapes",
        location="shapes",
        classes=classes,
        items=tuple(
            Item(f"shapes/{number:04}", classes[number % len(classes)], "train" if number < TRAIN else "val")
            for number in range(TRAIN + VAL)
        ),
        content=None,
        read=lambda path: drawn(_number(path)),
        size=lambda path: (SIDE, SIDE),
        oriented=False,
    )


def size_of(image: str | int) -> float:
    """The size in pixels of the shape in an image, by its path or number: the root of its area.

    Raises DataError where there is no such image.
    """
    (chance,) = _chances(_number(image), 1)
    return SIZES[0] * _power(SIZES[1] / SIZES[0], chance)


def drawn(number: int) -> Pixels:
    """The image of a number: (64, 64, 3)."""
    _, turn, right, down, light, *chances = _chances(number, 11 + 7 * STRIPES)
    ground = [_between(*GROUND, chance) for chance in chances[:3]]
    image = np.empty((3, SIDE, SIDE), np.float32)
    image[:] = np.reshape(ground, (3, 1, 1))
    for stripe in range(STRIPES):
        _stripe(image, ground, chances[6 + 7 * stripe :][:7])
    size = size_of(number)
    room = SIDE / 2 - size  # no outline reaches farther than one size
    x, y = _plane(size, turn, (2 * right - 1) * room, (2 * down - 1) * room)
    outline = tuple(OUTLINES.values())[number % len(OUTLINES)]
    contrast = _between(*CONTRAST, light)
    colour = [value + contrast * (1 + chance) / 2 for value, chance in zip(ground, chances[3:6], strict=True)]
    _paint(image, _inside(outline(x, y), size), colour)
    image += _noise(number)
    return np.rint(np.clip(image, 0, 255)).astype(np.uint8).transpose(1, 2, 0).copy()


def _stripe(image: Map, ground: Sequence[float], chances: Sequence[float]) -> None:
    """Paints a stripe of a width from 2 pixels to 16 across the image."""
    turn, shift, thick, light = chances[:4]
    width = 2 * _power(8.0, thick)
    across, _ = _plane(width, turn, 0, 0)
    distance = np.abs(across + (shift - 0.5) * SIDE / width) - 0.5
    contrast = _between(*CLUTTER, light)
    colour = [value + contrast * (2 * chance - 1) for value, chance in zip(ground, chances[4:], strict=True)]
    _paint(image, _inside(distance, width), colour)


def _plane(size: float, turn: float, x: float, y: float) -> tuple[Map, Map]:
    """Each pixel's coordinates in sizes, about a place in pixels from the image's centre, turned."""
    cos, sin = _direction(turn)
    right, down = (_AT - x) / size, (_AT - y) / size
    return cos * right[None, :] + sin * down[:, None], cos * down[:, None] - sin * right[None, :]


def _inside(distance: Map, size: float) -> Map:
    """How much of each pixel is inside of an outline, for distances in sizes."""
    found: Map = np.clip(0.5 - distance * (1 / max(SOFT, 1 / size)), 0, 1)
    return found


def _paint(image: Map, cover: Map, colour: Sequence[float]) -> None:
    for channel, value in zip(image, colour, strict=True):
        channel += cover * (value - channel)


def _noise(number: int) -> Map:
    """(3, 64, 64) of what is added to each byte, made of six bytes of a random number each."""
    words = (uniforms(0, 0, [number], SIDE * SIDE // 2, _NOISE)[0] * 2**48).astype("<u8")
    found = words.view(np.uint8).reshape(-1, 8)[:, :6].astype(np.float32)
    noise: Map = (found - 127.5) * (NOISE / 127.5)
    return noise.reshape(3, SIDE, SIDE)


def _chances(number: int, count: int) -> list[float]:
    """The first random numbers in [0, 1) of an image."""
    found: list[float] = uniforms(0, 0, [number], count, _DRAWN)[0].tolist()
    return found


def _between(low: float, high: float, chance: float) -> float:
    return low + (high - low) * chance


def _power(base: float, exponent: float) -> float:
    """base^exponent for an exponent in [0, 1), of its first binary digits."""
    found = 1.0
    for _ in range(_BITS):
        base, exponent = math.sqrt(base), 2 * exponent
        if exponent >= 1:
            found, exponent = found * base, exponent - 1
    return found


def _direction(turn: float) -> tuple[float, float]:
    """Cosine and sine of a part in [0, 1) of a whole turn, of its first binary digits."""
    cos, sin = 1.0, 0.0
    c, s = -1.0, 0.0  # of half a turn, then half of that, and so on
    for _ in range(_BITS):
        turn *= 2
        if turn >= 1:
            cos, sin, turn = cos * c - sin * s, sin * c + cos * s, turn - 1
        c, s = math.sqrt((1 + c) / 2), math.sqrt((1 - c) / 2)
    return cos, sin


def _number(image: str | int) -> int:
    number = str(image).removeprefix("shapes/")
    if not number.isdecimal() or not int(number) < TRAIN + VAL:
        raise DataError(f"{image}: no such image; they are shapes/0000 to shapes/{TRAIN + VAL - 1}")
    return int(number)


def _radius(x: Map, y: Map) -> Map:
    found: Map = np.sqrt(x * x + y * y)
    return found


def _circle(x: Map, y: Map) -> Map:
    return _radius(x, y) - math.sqrt(1 / math.pi)


def _crescent(x: Map, y: Map) -> Map:
    """The lune of Hippocrates: its area is the square of its outer radius."""
    found: Map = np.maximum(_radius(x, y) - 1, math.sqrt(2) - _radius(x + 1, y))
    return found


def _cross(x: Map, y: Map) -> Map:
    """Five squares."""
    x, y, half = np.abs(x), np.abs(y), 0.5 / math.sqrt(5)
    return np.maximum(np.minimum(x, y) - half, np.maximum(x, y) - 3 * half)


def _ell(x: Map, y: Map) -> Map:
    """A square of 1.25 without a square of 0.75 in its corner."""
    found: Map = np.maximum(np.maximum(np.abs(x), np.abs(y)) - 0.625, np.minimum(x, y) + 0.125)
    return found


def _ring(x: Map, y: Map) -> Map:
    """Twice as wide as its hole."""
    hole = math.sqrt(1 / (3 * math.pi))
    found: Map = np.abs(_radius(x, y) - 1.5 * hole) - 0.5 * hole
    return found


def _square(x: Map, y: Map) -> Map:
    return np.maximum(np.abs(x), np.abs(y)) - 0.5


def _star(x: Map, y: Map) -> Map:
    """Five points: what is beyond one side of a regular pentagon at the most."""
    x = np.abs(x)
    side = _SIN72 * x + _COS72 * y
    right, down = _SIN36 * x, _COS36 * y
    second = np.maximum(np.minimum(y, side), -right - down)
    second = np.maximum(second, np.minimum(np.maximum(y, side), right - down))
    return second - _PENTAGON


def _triangle(x: Map, y: Map) -> Map:
    """Of equal sides: 3 sqrt(3) r^2 about a circle of radius r."""
    return np.maximum(math.sqrt(0.75) * np.abs(x) + 0.5 * y, -y) - 1 / math.sqrt(3 * math.sqrt(3))


_COS36, _COS72 = (math.sqrt(5) + 1) / 4, (math.sqrt(5) - 1) / 4
_SIN36, _SIN72 = math.sqrt(1 - _COS36 * _COS36), math.sqrt(1 - _COS72 * _COS72)
# Of the circle within the pentagon: 5 r^2 tan 36 is its own area, 5 (r tan 36)^2 tan 72 that of the points.
_PENTAGON = 1 / math.sqrt(5 * _SIN36 / _COS36 * (1 + _SIN36 / _COS36 * _SIN72 / _COS72))

OUTLINES: dict[str, Callable[[Map, Map], Map]] = {
    "circle": _circle,
    "crescent": _crescent,
    "cross": _cross,
    "ell": _ell,
    "ring": _ring,
    "square": _square,
    "star": _star,
    "triangle": _triangle,
}
"""About how far outside of a shape of area 1 about the origin a place is; less than 0 within."""
