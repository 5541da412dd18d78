"""Caffe's networks from their public definitions: layers, shapes and the forward pass in plain torch.

Caffe itself cannot be had here. What follows is read off the prototxt files that `Naming.source` names, not
off our descriptions: filters, strides, pads, Caffe's ceil-mode pools, and what its layers keep as blobs.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from goingdeeper.names import entries, namings
from goingdeeper.nn.build import build
from goingdeeper.trace import replace_input
from goingdeeper.weights.forms import to_ours, to_theirs

Shapes = dict[str, tuple[int, ...]]


class Caffe:
    """Blobs by layer, made at random as layers ask for them, and the layers' arithmetic."""

    def __init__(self):
        self.chance = torch.Generator().manual_seed(1)
        self.blobs: dict[str, Tensor] = {}

    def blob(self, key, *shape, low=None):
        if low is None:
            fan = torch.tensor(shape[1:]).prod() if len(shape) > 1 else 25
            value = torch.randn(shape, generator=self.chance) * (2 / fan) ** 0.5
        else:
            value = torch.rand(shape, generator=self.chance) + low
        return self.blobs.setdefault(key, value)

    def conv(self, x, name, filters, kernel, stride=1, pad=0, groups=1, bias=True):
        weight = self.blob(f"{name}[0]", filters, x.shape[1] // groups, kernel, kernel)
        return F.conv2d(x, weight, self.blob(f"{name}[1]", filters) if bias else None, stride, pad, 1, groups)

    def inner(self, x, name, outputs):
        x = x.flatten(1)
        return F.linear(x, self.blob(f"{name}[0]", outputs, x.shape[1]), self.blob(f"{name}[1]", outputs))

    def batch_norm(self, x, norm, scale):
        """BatchNorm keeps sums and the factor they are divided by; Scale follows. batch_norm_layer.cpp."""
        width = x.shape[1]
        factor = self.blob(f"{norm}[2]", 1, low=900.0)
        mean, variance = self.blob(f"{norm}[0]", width), self.blob(f"{norm}[1]", width, low=500.0)
        x = (x - (mean / factor).view(1, -1, 1, 1)) / (variance / factor + 1e-5).sqrt().view(1, -1, 1, 1)
        gamma, beta = self.blob(f"{scale}[0]", width, low=0.5), self.blob(f"{scale}[1]", width)
        return x * gamma.view(1, -1, 1, 1) + beta.view(1, -1, 1, 1)

    def fork_norm(self, x, name):
        width = x.shape[1]
        slope, bias = self.blob(f"{name}[0]", width, low=0.5), self.blob(f"{name}[1]", width)
        mean, variance = self.blob(f"{name}[2]", width), self.blob(f"{name}[3]", width, low=0.5)
        x = (x - mean.view(1, -1, 1, 1)) / (variance + 1e-5).sqrt().view(1, -1, 1, 1)
        return x * slope.view(1, -1, 1, 1) + bias.view(1, -1, 1, 1)


def max_pool(x, kernel, stride, pad=0):
    return F.max_pool2d(x, kernel, stride, pad, ceil_mode=True)


def mean_pool(x, kernel, stride, pad=0):
    """Padding counts, what hangs over the edge does not. pooling_layer.cpp."""
    return F.avg_pool2d(x, kernel, stride, pad, ceil_mode=True)


def lrn(x):
    """local_size 5, alpha 0.0001, beta 0.75, k 1: alpha is divided by 5. lrn_layer.cpp."""
    squares = F.pad(x.square(), (0, 0, 0, 0, 2, 2))
    total = sum(squares[:, shift : shift + x.shape[1]] for shift in range(5))
    return x / (1 + 1e-4 / 5 * total) ** 0.75


# ResNet-N-deploy.prototxt: the blocks of each stage, by the letters in their names.
NUMBERED = {101: (3, 22), 152: (7, 35)}


def blocks(depth):
    third, fourth = NUMBERED.get(depth, (0, 0))
    stages = {"2": "abc", "3": "abcd", "4": "abcdef", "5": "abc"}
    found = {stage: [*letters] for stage, letters in stages.items()}
    if depth != 50:
        found["3"] = ["a", *(f"b{number}" for number in range(1, third + 1))]
        found["4"] = ["a", *(f"b{number}" for number in range(1, fourth + 1))]
    return found


def resnet(depth):
    def run(net, x):
        def unit(x, name, filters, kernel, stride=1, pad=0):
            x = net.conv(x, f"res{name}", filters, kernel, stride, pad, bias=False)
            return net.batch_norm(x, f"bn{name}", f"scale{name}")

        x = net.conv(x, "conv1", 64, 7, 2, 3, bias=depth == 50)
        x = max_pool(net.batch_norm(x, "bn_conv1", "scale_conv1").relu(), 3, 2)
        for stage, letters in blocks(depth).items():
            filters = 64 * 2 ** (int(stage) - 2)
            for letter in letters:
                stride = 2 if letter == "a" and stage != "2" else 1
                name, shortcut = f"{stage}{letter}_branch", x
                if letter == "a":
                    shortcut = unit(x, f"{name}1", 4 * filters, 1, stride)
                x = unit(x, f"{name}2a", filters, 1, stride).relu()
                x = unit(x, f"{name}2b", filters, 3, 1, 1).relu()
                x = (unit(x, f"{name}2c", 4 * filters, 1) + shortcut).relu()
        return net.inner(x.mean((2, 3)), "fc1000", 1000)

    return run


# models/bvlc_googlenet: 1x1, 3x3_reduce, 3x3, 5x5_reduce, 5x5, pool_proj.
GOOGLENET = {
    "3a": (64, 96, 128, 16, 32, 32), "3b": (128, 128, 192, 32, 96, 64), "4a": (192, 96, 208, 16, 48, 64),
    "4b": (160, 112, 224, 24, 64, 64), "4c": (128, 128, 256, 24, 64, 64), "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128), "5a": (256, 160, 320, 32, 128, 128),
    "5b": (384, 192, 384, 48, 128, 128),
}  # fmt: skip


def googlenet(net, x):
    heads = {}
    x = lrn(max_pool(net.conv(x, "conv1/7x7_s2", 64, 7, 2, 3).relu(), 3, 2))
    x = net.conv(x, "conv2/3x3_reduce", 64, 1).relu()
    x = max_pool(lrn(net.conv(x, "conv2/3x3", 192, 3, pad=1).relu()), 3, 2)
    for module, (n1, r3, n3, r5, n5, proj) in GOOGLENET.items():
        name = f"inception_{module}"
        three = net.conv(x, f"{name}/3x3_reduce", r3, 1).relu()
        five = net.conv(x, f"{name}/5x5_reduce", r5, 1).relu()
        x = torch.cat([
            net.conv(x, f"{name}/1x1", n1, 1).relu(),
            net.conv(three, f"{name}/3x3", n3, 3, pad=1).relu(),
            net.conv(five, f"{name}/5x5", n5, 5, pad=2).relu(),
            net.conv(max_pool(x, 3, 1, 1), f"{name}/pool_proj", proj, 1).relu(),
        ], 1)  # fmt: skip
        if module in ("4a", "4d"):
            loss = "loss1" if module == "4a" else "loss2"
            y = net.conv(mean_pool(x, 5, 3), f"{loss}/conv", 128, 1).relu()
            heads[module] = net.inner(net.inner(y, f"{loss}/fc", 1024).relu(), f"{loss}/classifier", 1000)
        if module in ("3b", "4e"):
            x = max_pool(x, 3, 2)
    return net.inner(mean_pool(x, 7, 1), "loss3/classifier", 1000)


# tsn_bn_inception_rgb_deploy.prototxt: 1x1, 3x3_reduce, 3x3, double_3x3_reduce, the two 3x3, pool_proj.
BN_INCEPTION = {
    "3a": (64, 64, 64, 64, 96, 32), "3b": (64, 64, 96, 64, 96, 64), "3c": (0, 128, 160, 64, 96, 0),
    "4a": (224, 64, 96, 96, 128, 128), "4b": (192, 96, 128, 96, 128, 128),
    "4c": (160, 128, 160, 128, 160, 128), "4d": (96, 128, 192, 160, 192, 128),
    "4e": (0, 128, 192, 192, 256, 0), "5a": (352, 192, 320, 160, 224, 128),
    "5b": (352, 192, 320, 192, 224, 128),
}  # fmt: skip


def bn_inception(classifier):
    def run(net, x):
        def unit(x, name, filters, kernel, stride=1, pad=0):
            return net.fork_norm(net.conv(x, name, filters, kernel, stride, pad), f"{name}_bn").relu()

        x = max_pool(unit(x, "conv1/7x7_s2", 64, 7, 2, 3), 3, 2)
        x = unit(x, "conv2/3x3_reduce", 64, 1)
        x = max_pool(unit(x, "conv2/3x3", 192, 3, pad=1), 3, 2)
        for module, (n1, r3, n3, double, n, proj) in BN_INCEPTION.items():
            name, stride = f"inception_{module}", 1 if n1 else 2
            three = unit(x, f"{name}/3x3_reduce", r3, 1)
            pair = unit(x, f"{name}/double_3x3_reduce", double, 1)
            pair = unit(pair, f"{name}/double_3x3_1", n, 3, pad=1)
            parts = [
                unit(three, f"{name}/3x3", n3, 3, stride, 1),
                unit(pair, f"{name}/double_3x3_2", n, 3, stride, 1),
            ]
            if n1:
                pooled = (max_pool if module == "5b" else mean_pool)(x, 3, 1, 1)
                parts = [
                    unit(x, f"{name}/1x1", n1, 1), *parts, unit(pooled, f"{name}/pool_proj", proj, 1)
                ]  # fmt: skip
            else:
                parts.append(max_pool(x, 3, 2))
            x = torch.cat(parts, 1)
        return net.inner(x.mean((2, 3)), classifier, 1000)

    return run


def vgg(groups):
    def run(net, x):
        for group, count in enumerate(groups, start=1):
            for index in range(1, count + 1):
                x = net.conv(x, f"conv{group}_{index}", min(512, 32 * 2**group), 3, pad=1).relu()
            x = max_pool(x, 2, 2)
        x = net.inner(net.inner(x, "fc6", 4096).relu(), "fc7", 4096).relu()
        return net.inner(x, "fc8", 1000)

    return run


def alexnet(net, x):
    x = max_pool(lrn(net.conv(x, "conv1", 96, 11, 4).relu()), 3, 2)
    x = max_pool(lrn(net.conv(x, "conv2", 256, 5, pad=2, groups=2).relu()), 3, 2)
    x = net.conv(x, "conv3", 384, 3, pad=1).relu()
    x = net.conv(x, "conv4", 384, 3, pad=1, groups=2).relu()
    x = max_pool(net.conv(x, "conv5", 256, 3, pad=1, groups=2).relu(), 3, 2)
    x = net.inner(net.inner(x, "fc6", 4096).relu(), "fc7", 4096).relu()
    return net.inner(x, "fc8", 1000)


def nin(net, x):
    for name, filters, kernel in (("conv1", 192, 5), ("cccp1", 160, 1), ("cccp2", 96, 1)):
        x = net.conv(x, name, filters, kernel, pad=kernel // 2).relu()
    x = max_pool(x, 3, 2)
    for name, filters, kernel in (("conv2", 192, 5), ("cccp3", 192, 1), ("cccp4", 192, 1)):
        x = net.conv(x, name, filters, kernel, pad=kernel // 2).relu()
    x = mean_pool(x, 3, 2)
    for name, filters, kernel in (("conv3", 192, 3), ("cccp5", 192, 1), ("cccp6", 10, 1)):
        x = net.conv(x, name, filters, kernel, pad=kernel // 2).relu()
    return x.mean((2, 3))


# Side of the input; odd maps in front of pools, so that rounding up counts.
MODELS = {
    "bvlc_googlenet": (googlenet, 224),
    "ResNet-50": (resnet(50), 67),
    "ResNet-101": (resnet(101), 35),
    "ResNet-152": (resnet(152), 35),
    "VGG_ILSVRC_16_layers": (vgg((2, 2, 3, 3, 3)), 64),
    "VGG_ILSVRC_19_layers": (vgg((2, 2, 4, 4, 4)), 32),
    "bvlc_alexnet": (alexnet, 227),
    "BN-Inception": (bn_inception("fc"), 99),
    "TSN BN-Inception": (bn_inception("fc-action"), 35),
    "cifar10_nin": (nin, 32),
}


def _naming(model):
    return next(naming for naming in namings("caffe") if naming.model == model)


LARGE = ("ResNet-101", "ResNet-152", "VGG_ILSVRC_19_layers")


@pytest.mark.parametrize(
    "model", [pytest.param(model, marks=[pytest.mark.slow] * (model in LARGE)) for model in MODELS]
)
def test_blobs_and_logits_are_caffes(model):
    naming, (run, side) = _naming(model), MODELS[model]
    theirs = Caffe()
    images = torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        expected = run(theirs, images)
    network = replace_input(naming.network(), (3, side, side))
    found = entries(naming, network)
    shapes: Shapes = {entry.theirs: entry.shape for entry in found}
    shapes |= {entry.by: (1,) for entry in found if entry.by}
    assert shapes == {key: tuple(blob.shape) for key, blob in theirs.blobs.items()}

    net = build(network).eval()
    net.load_state_dict(to_ours(found, theirs.blobs))
    with torch.no_grad():
        logits = net(images if model == "cifar10_nin" else images.flip(1))  # OpenCV's order: blue first
    assert (logits - expected).abs().max() <= 1e-4 * expected.abs().max()
    again = to_ours(found, to_theirs(found, net.state_dict()))
    assert all(torch.equal(value, net.state_dict()[key]) for key, value in again.items())


def test_every_network_is_tried():
    assert {naming.model for naming in namings("caffe")} == MODELS.keys()


def test_resnet_50_keeps_the_bias_of_its_stem():
    """25,557,096 parameters: 64 more than without. `networks-resnet.md`, 3.3."""
    naming = _naming("ResNet-50")
    ours = [entry for entry in entries(naming) if "running" not in entry.ours]
    assert sum(torch.Size(entry.shape).numel() for entry in ours) == 25_557_096


@pytest.mark.parametrize("model", ["bvlc_googlenet", "VGG_ILSVRC_16_layers"])
def test_the_mean_is_taken_from_bytes(model):
    """(104, 117, 123) and (103.939, 116.779, 123.68), blue first, from 0 to 255 and not divided."""
    scale = _naming(model).scale
    mean = {"bvlc_googlenet": (123, 117, 104), "VGG_ILSVRC_16_layers": (123.68, 116.779, 103.939)}[model]
    byte = torch.tensor([200.0, 100.0, 50.0])
    found = (byte / 255 - torch.tensor(scale.mean)) / torch.tensor(scale.std)
    assert torch.allclose(found, byte - torch.tensor(mean))


def test_a_network_without_its_heads_lacks_their_blobs_alone():
    naming = _naming("bvlc_googlenet")
    bare = {entry.theirs for entry in entries(naming, replace(naming.network(), heads=()))}
    left = {entry.theirs for entry in entries(naming)} - bare
    assert {key.partition("/")[0] for key in left} == {"loss1", "loss2"} and len(left) == 12
