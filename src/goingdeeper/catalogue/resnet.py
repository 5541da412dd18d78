"""Plain and residual networks: He et al., "Deep residual learning for image recognition" (2015)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Literal, TypeAlias

from goingdeeper import edits
from goingdeeper.layers import (
    CLASSES,
    BatchNorm,
    Conv,
    GlobalAvgPool,
    Identity,
    Layer,
    Linear,
    MaxPool,
    Network,
    Residual,
    ZeroPad,
)

Option: TypeAlias = Literal["a", "b", "c"]
OPTIONS: tuple[Option, ...] = ("a", "b", "c")

conv = partial(Conv, norm=BatchNorm())  # batch norm right after each convolution, no biases

# Table 1: blocks in conv2_x, conv3_x, conv4_x and conv5_x.
BLOCKS = {
    18: (2, 2, 2, 2),
    34: (3, 4, 6, 3),
    50: (3, 4, 6, 3),
    101: (3, 4, 23, 3),
    152: (3, 8, 36, 3),
}
FILTERS = (64, 128, 256, 512)
CIFAR_FILTERS = (16, 32, 64)
CIFAR_DEPTHS = (20, 32, 44, 56, 110, 1202)


def shortcut(option: Option, filters: int, stride: int, widens: bool) -> Layer:
    """Section 3.3: A pads with zeros, B projects where widths differ, C always."""
    if option == "c" or (option == "b" and widens):
        return conv(filters, 1, stride, act=None)
    return ZeroPad(filters, stride) if widens else Identity()


def basic(filters: int, stride: int, option: Option, channels: int) -> Residual:
    """Figure 5, left."""
    return Residual({
        "conv1": conv(filters, 3, stride),
        "conv2": conv(filters, 3, act=None),
    }, shortcut(option, filters, stride, channels != filters))  # fmt: skip


def bottleneck(filters: int, stride: int, option: Option, channels: int) -> Residual:
    """Figure 5, right; the stride is on the first 1x1."""
    return Residual({
        "conv1": conv(filters, 1, stride),
        "conv2": conv(filters, 3),
        "conv3": conv(4 * filters, 1, act=None),
    }, shortcut(option, 4 * filters, stride, channels != 4 * filters))  # fmt: skip


def stages(
    block: Callable[[int, int, Option, int], Residual],
    counts: tuple[int, ...],
    filters: tuple[int, ...],
    option: Option,
) -> dict[str, Layer]:
    """conv2_1, conv2_2, ...: each stage after the first halves the map in its first block."""
    layers: dict[str, Layer] = {}
    channels = filters[0]
    for stage, (count, width) in enumerate(zip(counts, filters, strict=True)):
        for index in range(count):
            stride = 2 if stage > 0 and index == 0 else 1
            unit = block(width, stride, option, channels)
            layers[f"conv{stage + 2}_{index + 1}"] = unit
            channels = 4 * width if block is bottleneck else width
    return layers


def resnet(depth: int, option: Option) -> Network:
    """Table 1: the ImageNet networks."""
    block = bottleneck if depth >= 50 else basic
    return Network(f"resnet-{depth}-{option}", {
        "conv1": conv(64, 7, stride=2),
        "pool1": MaxPool(3, stride=2, padding=1),
        **stages(block, BLOCKS[depth], FILTERS, option),
        "pool5": GlobalAvgPool(),
        "fc": Linear(CLASSES),
    })  # fmt: skip


def cifar_resnet(depth: int, option: Option) -> Network:
    """Section 4.2: 6n+2 layers on 32x32 images."""
    n = (depth - 2) // 6
    return Network(f"cifar-resnet-{depth}-{option}", {
        "conv1": conv(16, 3),
        **stages(basic, (n, n, n), CIFAR_FILTERS, option),
        "pool5": GlobalAvgPool(),
        "fc": Linear(CLASSES),
    }, input=(3, 32, 32), classes=10)  # fmt: skip


def _plain(residual: Callable[[], Network], name: str) -> Network:
    return edits.rename(edits.without_shortcuts(residual()), name)


def _v1_5(residual: Callable[[], Network], name: str) -> Network:
    return edits.rename(edits.stride_on_3x3(residual()), name)


def _named(residual: Callable[[], Network], name: str) -> Network:
    return edits.rename(residual(), name)


def _networks() -> dict[str, Callable[[], Network]]:
    networks: dict[str, Callable[[], Network]] = {}
    for depth in (18, 34):
        networks[f"plain-{depth}"] = partial(_plain, partial(resnet, depth, "a"), f"plain-{depth}")
        for option in OPTIONS:
            networks[f"resnet-{depth}-{option}"] = partial(resnet, depth, option)
    for depth in (50, 101, 152):
        projected = partial(resnet, depth, "b")
        networks[f"resnet-{depth}"] = partial(_named, projected, f"resnet-{depth}")
        networks[f"resnet-{depth}-v1.5"] = partial(_v1_5, projected, f"resnet-{depth}-v1.5")
        networks[f"resnet-{depth}-c"] = partial(resnet, depth, "c")
    for depth in CIFAR_DEPTHS:
        networks[f"cifar-plain-{depth}"] = partial(
            _plain, partial(cifar_resnet, depth, "a"), f"cifar-plain-{depth}"
        )
        for option in OPTIONS:
            networks[f"cifar-resnet-{depth}-{option}"] = partial(cifar_resnet, depth, option)
    return networks


NETWORKS = _networks()
