"""Every network's maps have the sizes of its paper's table: (channels, side) by address."""

from __future__ import annotations

import pytest
import torch

from goingdeeper import catalogue
from goingdeeper.nn.build import Net

Sizes = dict[str, tuple[int, int]]

STEM: Sizes = {"conv1": (64, 112), "pool1": (64, 56)}
MODULES: Sizes = {
    "3a": (256, 28), "3b": (480, 28), "pool3": (480, 14), "4a": (512, 14), "4b": (512, 14), "4c": (512, 14),
    "4d": (528, 14), "4e": (832, 14), "pool4": (832, 7), "5a": (832, 7), "5b": (1024, 7), "pool5": (1024, 1),
}  # fmt: skip
GOOGLENET: Sizes = STEM | {
    "norm1": (64, 56), "conv2.reduce": (64, 56), "conv2": (192, 56), "norm2": (192, 56), "pool2": (192, 28),
    **MODULES, "heads.4a.pool": (512, 4), "heads.4d.conv": (128, 4),
}  # fmt: skip
WITHOUT_NORMS: Sizes = STEM | {"conv2": (192, 56), "pool2": (192, 28)} | MODULES

BASIC = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3)}
BOTTLENECK = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}


def ends(counts: tuple[int, ...], filters: int, side: int) -> Sizes:
    """Each stage's last block: twice the filters on half the map of the one before."""
    names = (f"conv{stage}_{count}" for stage, count in enumerate(counts, start=2))
    return {name: (filters << i, side >> i) for i, name in enumerate(names)}


SIZES: dict[str, Sizes] = {"googlenet": GOOGLENET}
for depth, counts in BASIC.items():
    for id in (f"plain-{depth}", *(f"resnet-{depth}-{option}" for option in "abc")):
        SIZES[id] = STEM | ends(counts, 64, 56)
for depth, counts in BOTTLENECK.items():
    for id in (f"resnet-{depth}", f"resnet-{depth}-v1.5", f"resnet-{depth}-c"):
        SIZES[id] = STEM | ends(counts, 256, 56)
for depth in (20, 32, 44, 56, 110, 1202):
    n = (depth - 2) // 6
    for id in (f"cifar-plain-{depth}", *(f"cifar-resnet-{depth}-{option}" for option in "abc")):
        SIZES[id] = {"conv1": (16, 32)} | ends((n, n, n), 16, 32)
SIZES["resnet-50-signs"] = {
    "conv1": (64, 32), "pool1": (64, 15), "conv2_3": (256, 15), "conv3_1": (512, 8), "conv3_4": (512, 8),
    "conv4_6": (1024, 4), "conv5_3": (2048, 2), "pool5": (2048, 1),
}  # fmt: skip

for id in ("googlenet-naive", "googlenet-separable-stem"):
    SIZES[id] = {name: GOOGLENET[name] for name in (*STEM, "norm1", "conv2", "pool2")}
SIZES["googlenet-naive"] |= {"3a": (416, 28)}  # 64 + 128 + 32 filters and 192 channels past the pool
SIZES["googlenet-separable-stem"] = GOOGLENET
SIZES["bn-googlenet"] = WITHOUT_NORMS
SIZES["googlenet-torchvision"] = WITHOUT_NORMS | {"heads.4a.pool": (512, 4), "heads.4d.pool": (528, 4)}


def bn_inception(widest: int, reduced: int) -> Sizes:
    """Ioffe and Szegedy's table, its stride 2 where the modules that have it stand."""
    return WITHOUT_NORMS | {
        "3b": (320, 28), "3c": (576, 14), "4a": (576, 14), "4b": (576, 14), "4c": (widest, 14),
        "4d": (widest, 14), "4e": (reduced, 7), "5a": (1024, 7), "5b": (1024, 7),
    }  # fmt: skip


for id in ("released", "plain-stem", "table-literal", "caffe"):
    widths = (576, 1024) if id in ("released", "plain-stem") else (608, 1056)
    SIZES[f"bn-inception-{id}"] = {
        name: size for name, size in bn_inception(*widths).items() if name not in ("pool3", "pool4")
    }

THREE: Sizes = {"conv1a": (32, 149), "conv2a": (32, 147), "conv2b": (64, 147), "pool3a": (64, 73)}
ONE: Sizes = {"conv1": (64, 147), "pool3a": (64, 73)}
RELEASED: Sizes = {
    "conv3b": (80, 73), "conv4a": (192, 71), "pool5a": (192, 35),
    "mixed5b": (256, 35), "mixed5c": (288, 35), "mixed5d": (288, 35),
}  # fmt: skip
LITERAL: Sizes = {
    "conv3b": (80, 71), "conv4a": (192, 35), "conv5a": (288, 35),
    "mixed5b": (288, 35), "mixed5c": (288, 35), "mixed5d": (288, 35), "mixed6f": (768, 17),
}  # fmt: skip
DEEP: Sizes = {f"mixed6{letter}": (768, 17) for letter in "abcde"} | {
    "mixed7a": (1280, 8), "mixed7b": (2048, 8), "mixed7c": (2048, 8), "pool8": (2048, 1),
}  # fmt: skip
HEAD: Sizes = {"heads.mixed6e.conv1": (128, 5), "heads.mixed6e.conv2": (768, 1)}
SIZES["inception-v3"] = SIZES["inception-v2-factorized-7x7"] = THREE | RELEASED | DEEP | HEAD
SIZES["inception-v3-keras"] = THREE | RELEASED | DEEP
SIZES["inception-v2-released-modules"] = ONE | RELEASED | DEEP | HEAD
SIZES["inception-v2-table1-3x3"] = THREE | LITERAL | DEEP
SIZES["inception-v2-table1-7x7"] = ONE | LITERAL | DEEP

for id in ("alexnet", "alexnet-ungrouped"):
    SIZES[id] = {
        "conv1": (96, 55), "pool1": (96, 27), "conv2": (256, 27), "pool2": (256, 13), "conv3": (384, 13),
        "conv4": (384, 13), "conv5": (256, 13), "pool5": (256, 6),
    }  # fmt: skip
for id, counts in {
    "vgg-11": (1, 1, 2, 2, 2), "vgg-13": (2, 2, 2, 2, 2), "vgg-16-c": (2, 2, 3, 3, 3),
    "vgg-16": (2, 2, 3, 3, 3), "vgg-19": (2, 2, 4, 4, 4),
}.items():  # fmt: skip
    SIZES[id] = {}
    for group, (count, filters) in enumerate(zip(counts, (64, 128, 256, 512, 512), strict=True), start=1):
        side = 224 >> (group - 1)
        SIZES[id] |= {f"conv{group}_{count}": (filters, side), f"pool{group}": (filters, side // 2)}
for id, count, (a, b, c) in (
    ("prelu-net-a", 5, (256, 512, 512)),
    ("prelu-net-b", 6, (256, 512, 512)),
    ("prelu-net-c", 6, (384, 768, 896)),
):
    SIZES[id] = {
        "conv1": (96, 112), "pool1": (96, 56), f"conv2_{count}": (a, 56), "pool2": (a, 28),
        f"conv3_{count}": (b, 28), "pool3": (b, 14), f"conv4_{count}": (c, 14),
    }  # fmt: skip
SIZES["maxout-cifar10"] = {
    "conv1": (96, 33), "pool1": (96, 16), "conv2": (192, 15), "pool2": (192, 7), "conv3": (192, 9),
    "pool3": (192, 5),
}  # fmt: skip
for id in ("nin-cifar10", "dsn-cifar10"):
    SIZES[id] = {
        "conv1": (192, 32), "cccp1": (160, 32), "cccp2": (96, 32), "pool1": (96, 16), "conv2": (192, 16),
        "cccp4": (192, 16), "pool2": (192, 8), "conv3": (192, 8), "cccp5": (192, 8), "cccp6": (10, 8),
    }  # fmt: skip
for id in ("fitnet-19", "fitnet-19-5pieces"):
    SIZES[id] = {
        "conv1_3": (32, 32), "conv1_5": (48, 32), "pool1": (48, 16), "conv2_6": (80, 16), "pool2": (80, 8),
        "conv3_6": (128, 8), "pool3": (128, 1),
    }  # fmt: skip
for id, filters, lasts in (
    ("highway-19", (32, 80, 128), (5, 6, 6)),
    ("highway-19-fc", (32, 80, 128), (5, 6, 6)),
    ("highway-32", (32, 64, 96), (10, 10, 10)),
):
    SIZES[id] = {}
    for stage, (width, last) in enumerate(zip(filters, lasts, strict=True), start=1):
        side = 32 >> (stage - 1)
        SIZES[id] |= {f"conv{stage}_1": (width, side), f"conv{stage}_{last}": (width, side)}
    SIZES[id] |= {"pool3": (128, 1)} if "fc" in id else {"conv4": (100, 8)}


@pytest.mark.parametrize(
    "id", [pytest.param(id, marks=pytest.mark.slow) if "1202" in id else id for id in SIZES]
)
def test_maps_have_the_papers_sizes(id):
    with torch.device("meta"):
        net = Net(catalogue.network(id)).eval()
        images = torch.empty(1, *net.description.input)
    _, found = net.tap(images, SIZES[id])
    assert {name: tuple(value.shape) for name, value in found.items()} == {
        name: (1, channels, side, side) for name, (channels, side) in SIZES[id].items()
    }


def test_every_network_has_its_sizes_checked():
    assert set(SIZES) == set(catalogue.names())
