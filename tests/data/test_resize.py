"""Without torch to the bits that torch gives, for any size."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from goingdeeper.data import resize
from goingdeeper.data.decode import decode

SIDES = (1, 2, 3, 7, 8, 9, 33, 64, 224, 500)


def oracle(pixels: np.ndarray, height: int, width: int) -> np.ndarray:
    """By torch's own function, on planes as its documentation has them."""
    planes = torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None]
    found = F.interpolate(planes, (height, width), mode="bilinear", antialias=True, align_corners=False)
    return found[0].permute(1, 2, 0).numpy()


def drawn(height: int, width: int, kind: str = "noise") -> np.ndarray:
    random = np.random.default_rng([height, width])
    if kind == "extremes":
        return (random.integers(0, 2, (height, width, 3)) * 255).astype(np.uint8)
    return random.integers(0, 256, (height, width, 3), np.uint8)


def assert_same(pixels: np.ndarray, height: int, width: int) -> None:
    found = resize.by_numpy(pixels, height, width)
    assert found.dtype == np.uint8 and found.flags.c_contiguous
    assert np.array_equal(found, oracle(pixels, height, width))


@pytest.mark.parametrize("height", SIDES)
@pytest.mark.parametrize("width", SIDES)
def test_many_sizes(height, width):
    """Each of these to a few others: up, down, one axis alone, none, and one pixel."""
    pixels = drawn(height, width, "extremes")
    for target in ((width, height), (1, 1), (height, 40), (40, width), (height, width), (97, 55)):
        assert_same(pixels, *target)


@settings(deadline=None, max_examples=150)
@given(*[st.integers(1, 400)] * 4, st.sampled_from(["noise", "extremes"]))
def test_any_size(height, width, to_height, to_width, kind):
    assert_same(drawn(height, width, kind), to_height, to_width)


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ((375, 500), (256, 341)),
        ((2, 1000), (60, 30000)),
        ((4000, 8), (512, 256)),
        ((1024, 1024), (1, 1)),
        ((3000, 4000), (224, 299)),
    ],
    ids=str,
)
def test_sizes_far_apart(given, wanted):
    assert_same(drawn(*given), *wanted)


def test_photographs(test_data):
    files = sorted((test_data / "photos").glob("*.JPEG"))[:6]
    assert files
    for file in files:
        pixels = decode(file)
        height, width = pixels.shape[:2]
        assert_same(pixels, 256, round(256 * width / height))


@pytest.mark.parametrize("part", [1, 1000, 10**7])
@pytest.mark.parametrize("band", [1, 3, 64])
def test_how_the_work_is_divided_changes_nothing(monkeypatch, part, band):
    monkeypatch.setattr(resize, "PART", part)
    monkeypatch.setattr(resize, "BAND", band)
    resize._bands.cache_clear()
    try:
        assert_same(drawn(50, 70), 33, 91)
    finally:
        resize._bands.cache_clear()


def test_what_was_given_stays_as_it_was():
    """A view, read-only; and the same size gives other memory, too."""
    pixels = drawn(40, 60)[::2, 10:50]
    pixels.setflags(write=False)
    kept = pixels.copy()
    assert_same(pixels, 31, 17)
    same = resize.by_numpy(pixels, *pixels.shape[:2])
    assert not np.shares_memory(same, pixels)
    assert np.array_equal(pixels, kept)


def test_torch_where_it_is_loaded(monkeypatch):
    pixels = drawn(50, 70)
    monkeypatch.setattr(resize, "by_numpy", None)
    assert np.array_equal(resize.resize(pixels, 33, 91), oracle(pixels, 33, 91))


def test_numpy_where_torch_is_not_loaded():
    code = (
        "import sys; from goingdeeper.data.decode import fit; import numpy as np; "
        "assert fit(np.zeros((50, 70, 3), np.uint8), 20).shape == (20, 28, 3); "
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
