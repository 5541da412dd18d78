"""Modules against references written out by hand: normalisation, pooling, shortcuts, whole blocks."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from goingdeeper.catalogue.resnet import basic, bottleneck
from goingdeeper.layers import (
    CLASSES,
    LRN,
    RELU,
    AvgPool,
    Conv,
    GlobalAvgPool,
    Layer,
    Linear,
    MaxPool,
    Network,
    ZeroPad,
)
from goingdeeper.nn.build import Net, build, create_model


def value_of(layer: Layer, images: torch.Tensor) -> torch.Tensor:
    """The layer alone, on (N, C, H, W)."""
    return net_of(layer, images).eval().tap(images, ["it"])[1]["it"].detach()


def net_of(layer: Layer, images: torch.Tensor) -> Net:
    layers = {"it": layer, "pool": GlobalAvgPool(), "fc": Linear(CLASSES)}
    return build(Network("one", layers, input=tuple(images.shape[1:]), classes=2))


def lrn(x: np.ndarray, size: int, alpha: float, beta: float, k: float) -> np.ndarray:
    """x / (k + alpha/size * sum over `size` neighbouring channels of x^2)^beta, (N, C, H, W)."""
    y = np.empty_like(x)
    for channel in range(x.shape[1]):
        near = slice(max(0, channel - size // 2), channel + size // 2 + 1)
        y[:, channel] = x[:, channel] / (k + alpha / size * (x[:, near] ** 2).sum(1)) ** beta
    return y


def windows(x: np.ndarray, kernel: int, stride: int) -> np.ndarray:
    """Maxima of unpadded windows, the last ones cut off at the border: Caffe's ceil mode."""
    side = -(-(x.shape[2] - kernel) // stride) + 1
    y = np.empty((*x.shape[:2], side, side), x.dtype)
    for row in range(side):
        for column in range(side):
            rows, columns = (
                slice(row * stride, row * stride + kernel),
                slice(column * stride, column * stride + kernel),
            )
            y[:, :, row, column] = x[:, :, rows, columns].max((2, 3))
    return y


@pytest.mark.parametrize("record", [LRN(), LRN(5, 5e-4, 0.75, 2.0), LRN(3, 0.1, 0.5, 1.0)])
def test_local_response_normalisation(record):
    images = 30 * torch.randn(2, 9, 3, 4)
    expected = lrn(images.double().numpy(), record.size, record.alpha, record.beta, record.k)
    np.testing.assert_allclose(value_of(record, images).numpy(), expected, rtol=1e-5)


def test_the_stem_of_googlenet():
    """pool1 then norm1, but norm2 then pool2; pools without padding whose last windows are cut off."""
    net = create_model("googlenet", num_classes=2, size=81).eval()
    images = 20 * torch.randn(1, 3, 81, 81)

    def conv(x: np.ndarray, address: str, stride: int = 1) -> np.ndarray:
        weight, bias = (net.get_parameter(f"{address}.conv.{part}").detach() for part in ("weight", "bias"))
        y = F.conv2d(torch.from_numpy(x), weight, bias, stride, padding=weight.shape[-1] // 2)
        return y.relu().numpy()

    x = windows(conv(images.numpy(), "conv1", 2), 3, 2)
    x = lrn(x, 5, 1e-4, 0.75, 1.0)
    x = conv(conv(x, "conv2.reduce"), "conv2.conv")
    x = windows(lrn(x, 5, 1e-4, 0.75, 1.0), 3, 2)
    with torch.no_grad():
        _, found = net.tap(images, ["pool2"])
    assert x.shape == (1, 192, 10, 10)
    np.testing.assert_allclose(found["pool2"].numpy(), x, rtol=1e-4, atol=1e-5)


def test_an_inception_module_joins_its_branches_in_the_papers_order():
    net = create_model("googlenet", num_classes=2, size=79).eval()
    _, found = net.tap(torch.randn(1, 3, 79, 79), ["pool2", "3a"])

    def conv(x: torch.Tensor, address: str) -> torch.Tensor:
        weight, bias = (net.get_parameter(f"3a.{address}.conv.{part}") for part in ("weight", "bias"))
        return F.conv2d(x, weight, bias, padding=weight.shape[-1] // 2).relu()

    x = found["pool2"]
    expected = torch.cat(
        [
            conv(x, "1x1"),
            conv(conv(x, "3x3.reduce"), "3x3.conv"),
            conv(conv(x, "5x5.reduce"), "5x5.conv"),
            conv(F.max_pool2d(x, 3, 1, 1), "pool.proj"),
        ],
        dim=1,
    )
    torch.testing.assert_close(found["3a"], expected)


@pytest.mark.parametrize("side", [8, 7])
@pytest.mark.parametrize(("block", "filters"), [(basic, 12), (bottleneck, 3)])
@pytest.mark.parametrize("option", ["a", "b", "c"])
@pytest.mark.parametrize(("stride", "channels"), [(2, 6), (1, 12), (1, 6)])
def test_a_residual_block(block, filters, option, stride, channels, side):
    """Section 3.3 of He et al. 2015: what stands in the way of the shortcut, and the ReLU after the sum."""
    images = torch.randn(4, channels, side, side)
    net = net_of(block(filters, stride, option, channels), images).train()

    def unit(x: torch.Tensor, name: str, stride: int, relu: bool) -> torch.Tensor:
        weight = net.get_parameter(f"it.{name}.conv.weight")
        y = F.conv2d(x, weight, None, stride, weight.shape[-1] // 2)
        y = (y - y.mean((0, 2, 3), keepdim=True)) / (
            y.var((0, 2, 3), keepdim=True, correction=0) + 1e-5
        ).sqrt()
        return y.relu() if relu else y

    names = ["conv1", "conv2"] if block is basic else ["conv1", "conv2", "conv3"]
    x = images
    for number, name in enumerate(names):
        x = unit(x, name, stride if number == 0 else 1, relu=name != names[-1])
    if option == "c" or (option == "b" and channels != 12):
        shortcut = unit(images, "shortcut", stride, relu=False)
    else:
        kept = images[:, :, ::stride, ::stride]
        shortcut = torch.cat([kept, torch.zeros(4, 12 - channels, *kept.shape[2:])], dim=1)
        assert not [name for name, _ in net.named_parameters() if "shortcut" in name]
    _, found = net.tap(images, ["it"])
    torch.testing.assert_close(found["it"], (x + shortcut).relu(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("side", "before", "after"), [("after", 0, 10), ("both", 5, 5)])
def test_zero_padding_on_either_side(side, before, after):
    images = torch.rand(1, 6, 5, 5) + 1
    found = value_of(ZeroPad(16, 2, side), images)
    assert found.shape == (1, 16, 3, 3)
    assert torch.equal(found[:, before : before + 6], images[:, :, [0, 2, 4]][..., [0, 2, 4]])
    assert not found[:, :before].any() and not found[:, 16 - after :].any()


RAMP = torch.arange(1.0, 17.0).reshape(1, 1, 4, 4)


@pytest.mark.parametrize(
    ("pool", "expected"),
    [
        # Of the ramp 1 2 3 4 / 5 6 7 8 / 9 10 11 12 / 13 14 15 16:
        (MaxPool(3, stride=2, padding=1), [[6, 8], [14, 16]]),
        (MaxPool(3, stride=2, padding=0), [[11]]),
        (MaxPool(3, stride=2, padding=0, ceil=True), [[11, 12], [15, 16]]),
        (MaxPool(3, stride=2, padding=(0, 1, 0, 1)), [[11, 12], [15, 16]]),
        (AvgPool(2, stride=2, padding=0), [[3.5, 5.5], [11.5, 13.5]]),
        (AvgPool(3, stride=3, padding=1), [[14 / 9, (3 + 4 + 7 + 8) / 9], [(9 + 10 + 13 + 14) / 9, 54 / 9]]),
        (AvgPool(3, stride=3, padding=1, count_padding=False), [[3.5, 5.5], [11.5, 13.5]]),
        (AvgPool(3, stride=3, padding=(1, 1, 1, 1), count_padding=False), [[3.5, 5.5], [11.5, 13.5]]),
        (AvgPool(3, stride=2, padding=(0, 1, 0, 1)), [[6, 45 / 9], [72 / 9, 54 / 9]]),
        (AvgPool(3, stride=2, padding=(0, 1, 0, 1), count_padding=False), [[6, 7.5], [12, 13.5]]),
        (AvgPool(2, stride=3, ceil=True, padding=(0, 1, 0, 1)), [[3.5, 3], [6.75, 4]]),
        (AvgPool(2, stride=3, ceil=True, padding=(0, 1, 0, 1), count_padding=False), [[3.5, 6], [13.5, 16]]),
    ],
)
def test_pools_on_a_ramp(pool, expected):
    torch.testing.assert_close(value_of(pool, RAMP)[0, 0], torch.tensor(expected, dtype=torch.float32))


@pytest.mark.parametrize("padding", [1, (0, 1, 0, 1), (1, 1, 1, 0)])
def test_padding_is_never_a_maximum(padding):
    assert value_of(MaxPool(3, stride=2, padding=padding), -RAMP).max() < 0


@pytest.mark.parametrize("padding", [(1, 0, 2, 1), (0, 1, 0, 1), (0, 3, 3, 0)])
def test_a_convolution_padded_unevenly(padding):
    top, bottom, left, right = padding
    images = torch.randn(2, 3, 9, 8)
    layer = Conv(5, (3, 2), stride=2, padding=padding, bias=True)
    net = net_of(layer, images)
    weight, bias = net.get_parameter("it.conv.weight"), net.get_parameter("it.conv.bias")
    expected = F.conv2d(F.pad(images, (left, right, top, bottom)), weight, bias, 2).relu()
    torch.testing.assert_close(net.tap(images, ["it"])[1]["it"], expected)


def test_a_fully_connected_layer_flattens_by_channel():
    images = torch.randn(2, 3, 4, 5)
    net = build(Network("fc", {"fc": Linear(6, act=RELU), "out": Linear(CLASSES)}, (), (3, 4, 5), 2))
    _, found = net.tap(images, ["fc"])
    expected = torch.einsum("nchw,fchw->nf", images, net.get_parameter("fc.weight").reshape(6, 3, 4, 5))
    torch.testing.assert_close(found["fc"], (expected + net.get_parameter("fc.bias")).relu())
