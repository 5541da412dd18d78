"""The digits that come with scikit-learn."""

from __future__ import annotations

from functools import cache

import numpy as np

from goingdeeper.data.decode import Pixels
from goingdeeper.data.sources.source import Item, Source


@cache
def digits() -> Source:
    """The 1,797 handwritten digits of 8x8 pixels that come with scikit-learn; no network is used."""
    from sklearn.datasets import load_digits

    grey, labels = load_digits(return_X_y=True)
    pictures = np.round(grey.reshape(-1, 8, 8) * (255 / 16)).astype(np.uint8)

    def read(path: str) -> Pixels:
        return np.repeat(pictures[int(path.removeprefix("digits/"))][:, :, None], 3, axis=2)

    return Source(
        name="digits",
        location="digits",
        classes=tuple(str(digit) for digit in range(10)),
        items=tuple(Item(f"digits/{index:04}", str(label)) for index, label in enumerate(labels)),
        content=None,
        read=read,
        size=lambda path: (8, 8),
        oriented=True,
    )
