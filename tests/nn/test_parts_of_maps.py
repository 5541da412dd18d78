"""Spatial pyramids and adaptive averages against torch's adaptive pooling, whatever the map's size."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from goingdeeper.layers import CLASSES, AdaptiveAvgPool, Layer, Linear, Network, SpatialPyramid
from goingdeeper.nn.build import build

FORMATS = [torch.contiguous_format, torch.channels_last]
PRELU = (7, 3, 2, 1)


def value_of(layer: Layer, images: Tensor) -> Tensor:
    net = build(Network("one", {"it": layer, "fc": Linear(CLASSES)}, (), tuple(images.shape[1:]), 2))
    return net.tap(images, ["it"])[1]["it"]


def pyramid(images: Tensor, bins: tuple[int, ...]) -> Tensor:
    """Level after level; within a level the channels, each a map of n x n read row by row."""
    return torch.cat([F.adaptive_max_pool2d(images, n).flatten(1) for n in bins], 1)


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("size", [(14, 14), (7, 7), (13, 13), (14, 7), (9, 16), (28, 21), (8, 31)])
def test_a_spatial_pyramid(size, format):
    images = torch.randn(2, 5, *size).contiguous(memory_format=format)
    found = value_of(SpatialPyramid(PRELU), images)
    assert found.shape == (2, 5 * 63)
    assert torch.equal(found, pyramid(images, PRELU))


@settings(deadline=None, max_examples=60)
@given(
    size=st.tuples(st.integers(1, 17), st.integers(1, 17)),
    bins=st.lists(st.integers(1, 17), min_size=1, max_size=3),
)
def test_parts_of_any_map(size, bins):
    bins = tuple(min(n, *size) for n in bins)
    images = torch.randn(1, 2, *size)
    assert torch.equal(value_of(SpatialPyramid(bins), images), pyramid(images, bins))
    for n in bins:
        torch.testing.assert_close(value_of(AdaptiveAvgPool(n), images), F.adaptive_avg_pool2d(images, n))


def test_the_order_of_the_bins():
    """By hand: a 4x4 map of 0 to 15 and its negative, in 2x2, then in one part."""
    ramp = torch.arange(16.0).reshape(1, 1, 4, 4)
    found = value_of(SpatialPyramid((2, 1)), torch.cat([ramp, -ramp], 1))
    assert found.flatten().tolist() == [5, 7, 13, 15, 0, -2, -8, -10, 15, 0]


def test_parts_overlap_where_the_size_does_not_divide():
    """Thirds of 14: 0 to 5, 4 to 10, 9 to 14, borders rounded outwards; 4 lies in two of them."""
    spike = torch.zeros(1, 1, 14, 14)
    spike[..., 4, 9] = 1
    assert value_of(SpatialPyramid((3,)), spike).reshape(3, 3).tolist() == [[0, 1, 1], [0, 1, 1], [0, 0, 0]]
    means = value_of(AdaptiveAvgPool(3), spike)[0, 0] * torch.tensor([[1, 30, 25], [1, 36, 30], [1, 1, 1]])
    torch.testing.assert_close(means, torch.tensor([[0.0, 1, 1], [0, 1, 1], [0, 0, 0]]))


@pytest.mark.parametrize("size", [(14, 14), (9, 16)])
@pytest.mark.parametrize("kind", [SpatialPyramid, AdaptiveAvgPool])
def test_gradients(kind, size):
    """Without ties, the gradient goes where torch's adaptive pooling sends it."""
    images = torch.randn(1, 3, *size, requires_grad=True)
    layer, reference = (
        (SpatialPyramid(PRELU), lambda x: pyramid(x, PRELU))
        if kind is SpatialPyramid
        else (AdaptiveAvgPool(4), lambda x: F.adaptive_avg_pool2d(x, 4))
    )
    found, expected = value_of(layer, images), reference(images)
    weights = torch.randn_like(expected)
    (mine,) = torch.autograd.grad((found * weights).sum(), images)
    (theirs,) = torch.autograd.grad((expected * weights).sum(), images)
    torch.testing.assert_close(mine, theirs, rtol=1e-5, atol=1e-6)
