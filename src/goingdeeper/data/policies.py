"""RandAugment and TrivialAugment: operations drawn for each image, by Pillow."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PIL import Image, ImageEnhance, ImageOps

from goingdeeper.data.decode import Pixels
from goingdeeper.data.order import Floats, normals
from goingdeeper.recipes.images import Policy, RandAugment, TrivialAugment

OPERATIONS = (
    "identity", "autocontrast", "equalize", "rotate", "solarize", "color", "posterize", "contrast",
    "brightness", "sharpness", "shear_x", "shear_y", "translate_x", "translate_y",
)  # fmt: skip
"""Cubuk et al. 2020, section 3; the same in Mueller and Hutter 2021, table 1."""

BINS = 31
"""Strengths that TrivialAugment draws from: 0 to 30."""

_ENHANCE: dict[str, Callable[[Image.Image], ImageEnhance._Enhance]] = {
    "color": ImageEnhance.Color,
    "contrast": ImageEnhance.Contrast,
    "brightness": ImageEnhance.Brightness,
    "sharpness": ImageEnhance.Sharpness,
}


def draws_of(policy: Policy) -> int:
    """How many random numbers it takes."""
    return 4 * policy.count if isinstance(policy, RandAugment) else 3


def changed(image: Pixels, policy: Policy, draws: Floats) -> Pixels:
    """The image after the operations drawn. draws: `draws_of(policy)` numbers in [0, 1)."""
    picture = Image.fromarray(np.ascontiguousarray(image))
    if isinstance(policy, TrivialAugment):
        strength = int(draws[1] * BINS) / (BINS - 1)
        picture = _apply(picture, _operation(draws[0]), strength, bool(draws[2] < 0.5), wide=True)
        return np.asarray(picture)
    for operation, sign, *pair in draws.reshape(-1, 4):
        magnitude = policy.magnitude + policy.std * normals(np.array(pair))[0]
        strength = float(np.clip(magnitude, 0, 10)) / 10
        picture = _apply(picture, _operation(operation), strength, bool(sign < 0.5), wide=False)
    return np.asarray(picture)


def _operation(draw: float) -> str:
    return OPERATIONS[int(draw * len(OPERATIONS))]


def _apply(picture: Image.Image, operation: str, strength: float, negative: bool, wide: bool) -> Image.Image:
    """strength: 0 to 1. wide: TrivialAugment's ranges, black from outside; else RandAugment's, and grey."""
    sign = -1 if negative else 1
    fill = (0, 0, 0) if wide else (128, 128, 128)

    def moved(*matrix: float) -> Image.Image:
        # Bilinear, as the recipes that use these policies had it.
        return picture.transform(
            picture.size, Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR, fillcolor=fill
        )

    match operation:
        case "identity":
            return picture
        case "autocontrast":
            return ImageOps.autocontrast(picture)
        case "equalize":
            return ImageOps.equalize(picture)
        case "rotate":
            degrees = sign * strength * (135 if wide else 30)
            return picture.rotate(degrees, Image.Resampling.BILINEAR, fillcolor=fill)
        case "solarize":
            return ImageOps.solarize(picture, round(256 * (1 - strength)))
        case "posterize":
            return ImageOps.posterize(picture, 8 - round((6 if wide else 4) * strength))
        case "shear_x":
            return moved(1, sign * strength * (0.99 if wide else 0.3), 0, 0, 1, 0)
        case "shear_y":
            return moved(1, 0, 0, sign * strength * (0.99 if wide else 0.3), 1, 0)
        case "translate_x":
            return moved(1, 0, sign * int(strength * (32 if wide else picture.width * 150 / 331)), 0, 1, 0)
        case "translate_y":
            return moved(1, 0, 0, 0, 1, sign * int(strength * (32 if wide else picture.height * 150 / 331)))
        case _:
            return _ENHANCE[operation](picture).enhance(1 + sign * strength * (0.99 if wide else 0.9))
