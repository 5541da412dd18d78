"""Filters as small images, and the patches of images that they respond to most."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from goingdeeper.data.decode import Pixels, fit
from goingdeeper.prediction.predictor import Held
from goingdeeper.runs.model import Model
from goingdeeper.shapes import Field
from goingdeeper.trace import trace
from goingdeeper.why.taps import squares, tapped

FILTERS, PATCHES, ROW = 2, 8, 16
"""Filters of a layer whose patches are shown, patches of each, and filters in a row."""

LARGEST, GREY = 32, 128
"""Pixels on each side of a patch as it is shown at most, and what is beyond the image."""

Row = tuple[str, tuple[list[list[list[int]]], ...]]


def filters(weights: Tensor, caption: str) -> list[Row]:
    """Of a layer that sees the image, (filters, 3, k, k): each one's largest at 0 or 255, grey being 0."""
    weights = weights.detach().permute(0, 2, 3, 1)
    weights = weights / weights.abs().amax((1, 2, 3), keepdim=True).clamp(min=1e-12)
    images = (GREY + (255 - GREY) * weights).round().int().tolist()
    return [
        (
            f"{caption}, filters {first + 1} to {len(images[: first + ROW])}",
            tuple(images[first : first + ROW]),
        )
        for first in range(0, len(images), ROW)
    ]


def patches(model: Model, images: Sequence[Held], layers: Sequence[str]) -> tuple[Row, ...]:
    """What some filters of each layer respond to most, one patch of an image, strongest first."""
    steps = {step.path: step for step in trace(model.net.description)}
    found = [{name: _strongest(part[name]) for name in layers} for part in tapped(model, images, layers)]
    rows = []
    for name in layers:
        most, at = (np.concatenate([part[name][which] for part in found]) for which in (0, 1))
        field, wide = steps[name].field, steps[name].shape_out[2]
        for one in telling(most):
            best = np.argsort(-most[:, one], kind="stable")[:PATCHES]
            seen = [square for part in squares(model, [images[image] for image in best]) for square in part]
            cut = [
                around(square, field, divmod(int(at[image, one]), wide))
                for square, image in zip(seen, best, strict=True)
            ]
            side = min(field.size[0], len(seen[0]))
            rows.append(
                (f"{name}, filter {one + 1}: {side}x{side} pixels", tuple(own.tolist() for own in cut))
            )
    return tuple(rows)


def telling(most: NDArray[np.float32]) -> list[int]:
    """Of filters, (N, filters) being their maxima in each image, those that stand out most in a few."""
    best = np.sort(most, axis=0)[-PATCHES:].mean(0)
    out = (best - most.mean(0)) / np.maximum(most.std(0), 1e-9)
    return [int(one) for one in np.argsort(-out, kind="stable")[:FILTERS]]


def around(square: Pixels, field: Field, at: tuple[int, int]) -> Pixels:
    """What a value at a row and column sees of an image, grey beyond it; all of an image that is smaller.

    Of layers that are padded alike on all sides, so that this is about the pixel at so many jumps.
    """
    side = field.size[0]
    if side < len(square):
        wide = np.pad(square, ((side // 2,) * 2, (side // 2,) * 2, (0, 0)), constant_values=GREY)
        top, left = (place * jump for place, jump in zip(at, field.jump, strict=True))
        square = wide[top : top + side, left : left + side]
    return fit(square, LARGEST) if len(square) > LARGEST else square


def _strongest(values: Tensor) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Of maps, (N, filters, H, W): each one's maximum, and its number, row by row; (N, filters)."""
    most, at = values.flatten(2).max(2)
    return most.numpy(), at.numpy()
