"""Receptive fields against the built network: a row of not-a-numbers reaches whatever sees it."""

import pytest
import torch

from goingdeeper import catalogue
from goingdeeper.edits import widen, without_heads
from goingdeeper.layers import (
    CLASSES,
    LRN,
    AdaptiveAvgPool,
    AvgPool,
    BatchNorm,
    Concat,
    Conv,
    Dropout,
    GlobalAvgPool,
    Highway,
    Linear,
    MaxPool,
    Network,
    PReLU,
    Residual,
    Sigmoid,
    SpatialPyramid,
    ZeroPad,
)
from goingdeeper.nn.build import build
from goingdeeper.trace import replace_input, trace

conv = Conv(4, 3, norm=BatchNorm())
fork = Concat({"1x3": Conv(2, (1, 3)), "3x1": Conv(2, (3, 1)), "1x1": Conv(1, 1)})
end = {"pool": GlobalAvgPool(), "fc": Linear(CLASSES)}


def gate(kernel):
    return Highway({"a": Conv(4, kernel, act=PReLU())}, Conv(4, 1, act=Sigmoid()))


def tiny(layers, side):
    return Network("tiny", {**layers, "fc": Linear(CLASSES)}, input=(2, side, side), classes=3)


CASES = {
    # A 3x3, a 5x5 highway on the same map, 2x2/2, a highway with a 1x1 transform, and a 3x3: 7, 8, 8, 12.
    "highway": (
        tiny({"c": conv, "h1": gate(5), "p": MaxPool(2, 2, 0), "h2": gate(1), "d": conv}, 32),
        {"h1": (7, 7), "p": (8, 8), "h2": (8, 8), "d": (12, 12)},
    ),
    # A carried input sees less than the transform, and a gate may see more than it.
    "gate": (tiny({"c": conv, "h": Highway(Conv(4, 1), Conv(4, 7, act=Sigmoid()))}, 24), {"h": (9, 9)}),
    # Figure 7 of the Inception-v3 paper: the forks within a branch see the most.
    "fork": (
        tiny({"c": conv, "m": Concat({
            "1x1": Conv(2, 1),
            "3x3": {"reduce": Conv(2, 1), "fork": fork},
            "twice": {"conv": conv, "fork": fork},
            "flat": {"1x7": Conv(2, (1, 7)), "5x1": Conv(2, (5, 1))},
            "pool": {"average": AvgPool(3), "proj": Conv(2, 1)},
        }), "l": LRN()}, 24),
        {"m.3x3.fork.1x3": (3, 5), "m.3x3.fork.3x1": (5, 3), "m.3x3": (5, 5), "m.twice": (7, 7),
         "m.flat": (7, 9), "m": (7, 9), "l": (7, 9)},
    ),
    # Unpadded, so that the parts lie within the map: 42 - 2 = 40 values, 20 behind the pool.
    "pyramid": (
        tiny({"c": Conv(4, 3, padding=0), "p": MaxPool(2, 2, 0), "s": SpatialPyramid((3, 1))}, 42),
        {"p": (4, 4), "s": (42, 42)},
    ),
    "adaptive": (
        tiny({"c": Conv(4, 3, padding=0), "a": AdaptiveAvgPool(4), "d": Dropout(0.5)}, 18),
        {"a": (6, 6), "d": (6, 6)},
    ),
    "residual": (
        tiny({"c": conv, "r": Residual({"a": Conv(6, 3, 2), "b": Conv(6, 3)}, ZeroPad(6, 2)), **end}, 32),
        {"r.shortcut": (3, 3), "r": (9, 9)},
    ),
}  # fmt: skip

# Layer by layer: 7x7/2, max pools 3x3/2, a 3x3, then the 5x5 and 3x3 of modules at distances of 8 pixels.
GOOGLENET = {
    "conv1": 7,
    "pool1": 11,
    "conv2": 19,
    "pool2": 27,
    "3a.1x1": 27,
    "3a.3x3": 43,
    "3a.5x5": 59,
    "3a": 59,
}


def measured(network, addresses):
    """Rows and columns of the input that the middle values of the layers at the addresses depend on."""
    model = build(network).eval()
    _, height, width = network.input
    images = torch.zeros(height + width, *network.input)
    for row in range(height):
        images[row, :, row] = torch.nan
    for column in range(width):
        images[height + column, :, :, column] = torch.nan
    with torch.no_grad():
        _, found = model.tap(images, addresses)
    sizes = {}
    for address, values in found.items():
        middle = values[:, :, values.shape[2] // 2, values.shape[3] // 2] if values.ndim == 4 else values
        reached = middle.isnan().any(1)
        sizes[address] = int(reached[:height].sum()), int(reached[height:].sum())
    return sizes


@pytest.mark.parametrize("name", CASES)
def test_receptive_fields_by_hand_and_by_measurement(name):
    network, expected = CASES[name]
    fields = {step.path: step.field.size for step in trace(network)}
    assert {path: fields[path] for path in expected} == expected
    assert measured(network, expected) == expected


def test_receptive_fields_of_googlenet():
    network = replace_input(widen(without_heads(catalogue.network("googlenet")), 1 / 16), (3, 160, 160))
    fields = {step.path: step.field.size for step in trace(network)}
    expected = {path: (pixels, pixels) for path, pixels in GOOGLENET.items()}
    assert {path: fields[path] for path in expected} == expected
    assert measured(network, expected) == expected


def test_receptive_fields_of_highway_19():
    network = replace_input(widen(catalogue.network("highway-19"), 1 / 16), (3, 128, 128))
    # 3x3 layers: five on the image, six at a distance of 2 pixels, six at 4, with 2x2 pools between.
    expected = {
        "conv1_5": (11, 11),
        "pool1": (12, 12),
        "conv2_6": (36, 36),
        "pool2": (38, 38),
        "conv3_6": (86, 86),
    }
    fields = {step.path: step.field.size for step in trace(network)}
    assert {path: fields[path] for path in expected} == expected
    assert measured(network, expected) == expected
