"""Real images, and folders of small ones, for all tests that need them."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from goingdeeper.layers import CLASSES, BatchNorm, Conv, GlobalAvgPool, Linear, Network


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """On busy processors, threads that wait for each other took thirty times as long as one."""
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)


@pytest.fixture(scope="session")
def test_data() -> Path:
    folder = os.environ.get("GOINGDEEPER_TEST_DATA")
    if not folder:
        pytest.skip("GOINGDEEPER_TEST_DATA is not set; it names the folder of real images")
    return Path(folder)


@pytest.fixture(scope="session")
def real_images() -> Callable[[int, int], tuple[Any, Any]]:
    """Different real images and their classes, of ten in turn: photographs of hands, else handwritten digits.

    (count, size) -> images: (count, 3, size, size), float32, normalised; labels: (count,).
    """
    import torch
    from torch.nn import functional as F

    folder = os.environ.get("GOINGDEEPER_TEST_DATA")
    if folder:
        classes = [sorted(Path(folder, "sign-digits", str(digit)).glob("*.JPG"))[:8] for digit in range(10)]
        files = list(chain.from_iterable(zip(*classes, strict=True)))
        pixels = np.stack([np.asarray(Image.open(file).convert("RGB").resize((96, 96))) for file in files])
        labels = [int(file.parent.name) for file in files]
    else:
        from sklearn.datasets import load_digits

        grey, digits = load_digits(return_X_y=True)
        pixels = np.repeat(np.uint8(grey[:80].reshape(-1, 8, 8, 1) * 15.9), 3, axis=3)
        labels = [int(digit) for digit in digits[:80]]
    planes = torch.tensor(pixels).permute(0, 3, 1, 2).float() / 127.5 - 1

    def take(count: int, size: int) -> tuple[Any, Any]:
        images = F.interpolate(planes[:count], (size, size), mode="bilinear", antialias=True)
        return images, torch.tensor(labels[:count])

    return take


@pytest.fixture
def picture_folder(tmp_path: Path) -> Callable[..., Path]:
    """Makes a folder from {"train/cat": 3, "dog": 2}: so many different 8x8 pictures a place."""
    random = np.random.default_rng(0)

    def make(counts: dict[str, int], name: str = "photos") -> Path:
        root = tmp_path / name
        root.mkdir(exist_ok=True)
        for place, count in counts.items():
            (root / place).mkdir(parents=True, exist_ok=True)
            for number in range(count):
                pixels = random.integers(0, 256, (8, 8, 3), np.uint8)
                Image.fromarray(pixels).save(root / place / f"{number}.png")
        return root

    return make


@pytest.fixture
def small_network() -> Network:
    """A network of two layers for 8x8 images of seven classes."""
    return Network(
        "small",
        {
            "conv": Conv(6, 3, norm=BatchNorm()),
            "side": Conv(5, 3, stride=2, bias=True),
            "pool": GlobalAvgPool(),
            "fc": Linear(CLASSES),
        },
        heads={"conv": {"pool": GlobalAvgPool(), "fc": Linear(CLASSES)}},
        input=(3, 8, 8),
        classes=7,
    )
