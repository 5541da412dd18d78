"""Colours as they might have been: photometric distortions of one image.

All take bytes and give float32 on the scale 0 to 255, in general with fractions and, where their source does
not clip, a little beyond that range: rounding again would change what was drawn.
"""

from __future__ import annotations

from itertools import permutations
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageEnhance

from goingdeeper.data.decode import Pixels
from goingdeeper.data.order import Floats, normals
from goingdeeper.recipes.images import Colour, Howard, InceptionColour, PCAColour, TorchColour

Values: TypeAlias = NDArray[np.float32]

DRAWS = 10
"""Random numbers for any of them."""

# Of ImageNet's colours on a scale of 0 to 1: eigenvalues, and eigenvectors in columns.
EIGENVALUES = np.array([0.2175, 0.0188, 0.0045])
EIGENVECTORS = np.array([
    [-0.5675, 0.7192, 0.4009],
    [-0.5808, -0.0045, -0.8140],
    [-0.5836, -0.6948, 0.4203],
])  # fmt: skip

GREY = np.array([0.299, 0.587, 0.114], np.float32)
ORDERS = tuple(permutations(range(3)))
INCEPTION_ORDERS = (
    ("brightness", "saturation", "hue", "contrast"),
    ("saturation", "brightness", "contrast", "hue"),
    ("contrast", "hue", "brightness", "saturation"),
    ("hue", "saturation", "contrast", "brightness"),
)
INCEPTION_FAST = (("brightness", "saturation"), ("saturation", "brightness"))


def recoloured(image: Pixels, colour: Colour, draws: Floats) -> Values:
    """(H, W, 3) bytes to float32 on the same scale. draws: `DRAWS` numbers in [0, 1)."""
    match colour:
        case PCAColour():
            return image + pca(colour.std, draws[4:])
        case Howard():
            factors = 1 + colour.strength * (2 * draws[1:4] - 1)
            return enhanced(image, factors, ORDERS[int(draws[0] * len(ORDERS))]) + pca(colour.pca, draws[4:])
        case TorchColour():
            factors = 1 + colour.strength * (2 * draws[1:4] - 1)
            return blended(image, factors, ORDERS[int(draws[0] * len(ORDERS))]) + pca(colour.pca, draws[4:])
        case InceptionColour():
            orders = INCEPTION_FAST if colour.fast else INCEPTION_ORDERS
            return distorted(image, orders[int(draws[0] * len(orders))], draws[1:5])


def pca(std: float, draws: Floats) -> Values:
    """What is added to red, green and blue: sum of a_i lambda_i p_i, a_i from N(0, std). draws: 6."""
    return (255 * EIGENVECTORS @ (EIGENVALUES * std * normals(draws))).astype(np.float32)


def enhanced(image: Pixels, factors: Floats, order: tuple[int, ...]) -> Pixels:
    """Contrast, brightness and saturation by their factors, as Pillow, which Howard used, has them."""
    kinds = (ImageEnhance.Contrast, ImageEnhance.Brightness, ImageEnhance.Color)
    picture = Image.fromarray(image)
    for kind in order:
        picture = kinds[kind](picture).enhance(float(factors[kind]))
    return np.asarray(picture)


def blended(image: Pixels, factors: Floats, order: tuple[int, ...]) -> Values:
    """Brightness, contrast, saturation: blends with black, the mean grey level and the grey image."""
    values = image.astype(np.float32)
    for kind in order:
        factor = np.float32(factors[kind])
        other: Values | np.float32 = np.float32(0)
        if kind == 1:
            other = (values.reshape(-1, 3).mean(0) @ GREY).astype(np.float32)
        elif kind == 2:
            other = (values @ GREY)[:, :, None]
        values = values * factor
        values += (1 - factor) * other
    return values


def distorted(image: Pixels, order: tuple[str, ...], draws: Floats) -> Values:
    """The released Inception's four distortions, the last clip included.

    draws: for brightness (an addend within 32 of 255), saturation and contrast (factors from 0.5 to 1.5)
    and hue (an addend within 0.2 of the circle).
    """
    values = image.astype(np.float32) / np.float32(255)
    brightness, saturation, contrast, hue = draws
    for kind in order:
        if kind == "brightness":
            values = values + np.float32((2 * brightness - 1) * 32 / 255)
        elif kind == "saturation":
            values = saturated(values, 0.5 + saturation)
        elif kind == "contrast":
            mean = values.reshape(-1, 3).mean(0)
            values = (values - mean) * np.float32(0.5 + contrast) + mean
        else:
            values = turned(values, 0.2 * (2 * hue - 1))
    found: Values = values.clip(0, 1) * np.float32(255)
    return found


def saturated(values: Values, factor: float) -> Values:
    """The saturation of the colour cone (HSV) times a factor, at most 1; hue and value stay.

    values: 0 to 1; slightly beyond is what earlier distortions leave.
    """
    top = values.max(2, keepdims=True)
    spread = top - values.min(2, keepdims=True)
    # Saturation is spread / top. The distance to the top changes as it does, in all three channels.
    full = np.divide(top, spread, out=np.full_like(top, np.inf), where=spread > 0)
    found: Values = np.where(top > 0, top - (top - values) * np.minimum(np.float32(factor), full), top)
    return found


def turned(values: Values, angle: float) -> Values:
    """The hue turned by a part of the circle; saturation and value stay."""
    top = values.max(2)
    spread = top - values.min(2)
    with np.errstate(divide="ignore", invalid="ignore"):
        red, green, blue = np.moveaxis(values, 2, 0)
        sixths = np.where(
            top == red, (green - blue) / spread,
            np.where(top == green, (blue - red) / spread + 2, (red - green) / spread + 4),
        )  # fmt: skip
        chroma = np.where(top > 0, np.minimum(spread, top), 0)  # a saturation of at most 1
    sixths = np.where(spread > 0, sixths, 0) + np.float32(6 * angle)
    away = (np.array([5, 3, 1], np.float32) + sixths[:, :, None]) % 6
    found: Values = top[:, :, None] - chroma[:, :, None] * np.minimum(away, 4 - away).clip(0, 1)
    return found
