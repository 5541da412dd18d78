"""Random erasing and cutout: which pixels are taken, and how often."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.stats import binomtest, ks_2samp

from goingdeeper.data.holes import ERASE_DRAWS, cut_out, erased, outside
from goingdeeper.data.order import uniforms


def by_definition(size, generator):
    """PyTorch's RandomErasing(scale=(0.02, 0.33), ratio=(0.3, 3.3)), which has erased one in a million."""
    for _ in range(10):
        area = generator.uniform(0.02, 0.33) * size * size
        ratio = math.exp(generator.uniform(math.log(0.3), math.log(3.3)))
        height, width = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if height < size and width < size:
            top, left = generator.integers(0, size - height + 1), generator.integers(0, size - width + 1)
            return top, left, height, width
    return None


def test_erased_rectangles_are_distributed_as_the_definition_says():
    boxes = erased(1.0, 50, uniforms(0, 1, np.arange(4000), ERASE_DRAWS))
    generator = np.random.default_rng(1)
    expected = np.array([by_definition(50, generator) for _ in range(4000)])
    for feature in (
        lambda b: b[:, 2] * b[:, 3], lambda b: b[:, 2] / b[:, 3],
        lambda b: (b[:, 0] + 0.5) / (51 - b[:, 2]), lambda b: (b[:, 1] + 0.5) / (51 - b[:, 3]),
    ):  # fmt: skip
        assert ks_2samp(feature(boxes), feature(expected)).pvalue > 1e-3
    assert (boxes[:, :2] >= 0).all() and (boxes[:, :2] + boxes[:, 2:] <= 50).all()


@pytest.mark.parametrize("share", [0.1, 0.5])
def test_a_share_of_the_images_is_erased(share):
    boxes = erased(share, 32, uniforms(2, 1, np.arange(4000), ERASE_DRAWS))
    hit = int((boxes[:, 2] > 0).sum())
    assert binomtest(hit, 4000, share).pvalue > 1e-4
    assert (boxes[boxes[:, 2] == 0] == 0).all()


def test_cutout_stands_around_any_pixel_and_over_the_edge():
    boxes = cut_out(0.375, 32, uniforms(0, 1, np.arange(8000), 2))
    assert (boxes[:, 2:] == 12).all()
    holes = ~outside(torch.from_numpy(boxes), 32).numpy()
    # A pixel is hit from 12 of 32 rows, fewer near the edge: rows c - 6 to c + 5 for a centre c.
    along = np.array([sum(c - 6 <= i < c + 6 for c in range(32)) / 32 for i in range(32)])
    assert np.abs(holes.mean(0) - along[:, None] * along).max() < 5 * math.sqrt(0.375**2 / 8000)
    assert along[0] == 7 / 32 and along[16] == 12 / 32


def test_outside_of_boxes():
    boxes = torch.tensor([[1, 2, 2, 1], [-1, -1, 2, 3], [0, 0, 0, 0], [3, 3, 9, 9]])
    expected = torch.ones(4, 4, 4, dtype=torch.bool)
    expected[0, 1:3, 2] = False
    expected[1, 0, :2] = False
    expected[3, 3, 3] = False
    assert torch.equal(outside(boxes, 4), expected)
