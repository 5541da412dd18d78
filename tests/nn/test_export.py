"""torch.export takes every kind of layer, with any batch size, and its program gives the same logits."""

from __future__ import annotations

import pytest
import torch
from torch.export import Dim, export

from goingdeeper.layers import (
    CLASSES,
    CONTAINERS,
    LEAVES,
    LRN,
    RELU,
    AdaptiveAvgPool,
    AvgPool,
    BatchNorm,
    Bias,
    Chain,
    Concat,
    Conv,
    Dropout,
    GlobalAvgPool,
    Highway,
    Identity,
    Layer,
    Linear,
    Maxout,
    MaxPool,
    Network,
    PReLU,
    Residual,
    Sigmoid,
    Slice,
    SpatialPyramid,
    ZeroPad,
)
from goingdeeper.nn.build import build

KINDS: dict[str, Layer] = {
    "conv": Conv(5, 3, stride=2, groups=1, bias=True, norm=BatchNorm()),
    "grouped": Conv(8, 3, groups=4),
    "uneven": Conv(5, 4, padding=(0, 1, 2, 1)),
    "maxout": Conv(5, 3, norm=BatchNorm(), act=Maxout(2)),
    "prelu": Conv(5, 3, act=PReLU()),
    "shared-slope": Conv(5, 3, act=PReLU(shared=True)),
    "sigmoid": Conv(5, 3, act=Sigmoid()),
    "max": MaxPool(3, 2, ceil=True),
    "max-uneven": MaxPool(3, 2, padding=(0, 1, 0, 1)),
    "mean": AvgPool(3, 2, count_padding=False),
    "mean-uneven": AvgPool(3, 2, padding=(0, 1, 0, 1), count_padding=False),
    "global": GlobalAvgPool(),
    "adaptive": AdaptiveAvgPool(4),
    "adaptive-dividing": AdaptiveAvgPool(7),
    "pyramid": SpatialPyramid((7, 3, 2, 1)),
    "lrn": LRN(),
    "linear": Linear(6, act=Maxout(3)),
    "dropout": Dropout(0.5, rescale=False),
    "identity": Identity(),
    "zeros": ZeroPad(9, 2, "both"),
    "slice": Slice(1, 2, act=RELU),
    "bias": Bias(),
    "concat": Concat({"a": Conv(3, 1), "b": {"pool": MaxPool(3), "conv": Conv(2, 3)}}),
    "residual": Residual({"conv": Conv(8, 3, stride=2, act=None)}, ZeroPad(8, 2)),
    "highway": Highway(Conv(4, 3), Conv(4, 3, bias=True, act=Sigmoid())),
}


def test_every_kind_is_here():
    assert {type(layer) for layer in KINDS.values()} | {Chain} == {*LEAVES, *CONTAINERS}


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("name", KINDS)
def test_a_kind_is_exported_as_it_is(name, strict):
    layers = {"it": KINDS[name], "fc": Linear(CLASSES)}
    net = build(Network("one", layers, {"it": Linear(CLASSES)}, (4, 14, 14), 3)).eval()
    program = export(net, (torch.randn(2, 4, 14, 14),), dynamic_shapes=({0: Dim("batch")},), strict=strict)
    for count in (1, 5):
        images = torch.randn(count, 4, 14, 14)
        with torch.no_grad():
            torch.testing.assert_close(program.module()(images), net(images), rtol=1e-5, atol=1e-6)
