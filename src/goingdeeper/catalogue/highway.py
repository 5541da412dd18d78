"""Highway networks: Srivastava et al., "Training very deep networks" (2015), on CIFAR-10."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from goingdeeper.layers import (
    CLASSES,
    HE,
    RELU,
    Conv,
    Dropout,
    GlobalAvgPool,
    Highway,
    Initialisation,
    Layer,
    Linear,
    MaxPool,
    Network,
    Sigmoid,
    Start,
    normal,
)

conv = partial(Conv, bias=True)

# The release. It asks for N(0, 0.05) in the first layer, too, but sets the wrong field: that gave N(0, 1).
INIT = Initialisation(
    conv=HE,
    linear=normal(0.05),
    apart={"*.gate": Start(bias=-2.0), "conv1_1": Start(weights=normal(0.05))},
)


def highway(filters: int, kernel: int) -> Highway:
    """Equation 3: the transform gate weighs the transformed input against the input itself."""
    return Highway(transform=conv(filters, kernel), gate=conv(filters, kernel, act=Sigmoid()))


def stage(number: int, filters: int, kernels: Sequence[int]) -> dict[str, Layer]:
    """An ordinary convolution, which changes the width, and highway layers of one kernel each."""
    layers: dict[str, Layer] = {f"conv{number}_1": conv(filters, 3)}
    for index, kernel in enumerate(kernels, start=2):
        layers[f"conv{number}_{index}"] = highway(filters, kernel)
    return layers


def stages(filters: Sequence[int], kernels: Sequence[Sequence[int]]) -> dict[str, Layer]:
    """Three stages on maps of 32, 16 and 8 pixels, with dropout on the image and behind each pool."""
    first, second, third = map(stage, (1, 2, 3), filters, kernels)
    return {
        "dropout": Dropout(0.2),
        **first, "pool1": MaxPool(2, stride=2, padding=0), "dropout1": Dropout(0.2),
        **second, "pool2": MaxPool(2, stride=2, padding=0), "dropout2": Dropout(0.2),
        **third,
    }  # fmt: skip


def averaged() -> dict[str, Layer]:
    """The head of the state-of-the-art comparison."""
    return {
        "conv4": conv(100, 1), "pool3": GlobalAvgPool(), "dropout3": Dropout(0.2),
        "fc": Linear(CLASSES),
    }  # fmt: skip


def fully_connected() -> dict[str, Layer]:
    """The head of the comparison with FitNets: theirs, with a ReLU (inferred)."""
    return {
        "pool3": MaxPool(8, stride=8, padding=0),
        "fc1": Linear(500, act=RELU),
        "fc2": Linear(CLASSES),
    }  # fmt: skip


# FitNet-19's widths, and the kernels of the highway layers.
NINETEEN = (32, 80, 128), (4 * [3], 5 * [3], 5 * [3])
# "Highway C": depth, alternating kernels and the count of parameters are published, the widths inferred.
THIRTY_TWO = (32, 64, 96), 3 * [[1, 3, 1, 3, 1, 3, 1, 3, 1]]

on_cifar = partial(Network, input=(3, 32, 32), classes=10, init=INIT)

NETWORKS = {
    "highway-19": lambda: on_cifar("highway-19", {**stages(*NINETEEN), **averaged()}),
    "highway-19-fc": lambda: on_cifar("highway-19-fc", {**stages(*NINETEEN), **fully_connected()}),
    "highway-32": lambda: on_cifar("highway-32", {**stages(*THIRTY_TWO), **averaged()}),
}
