"""The CIFAR-10 maxout network: Goodfellow et al., "Maxout networks" (2013), the released configuration."""

from __future__ import annotations

from functools import partial

from goingdeeper.layers import (
    CLASSES,
    Conv,
    Dropout,
    Initialisation,
    Linear,
    Maxout,
    MaxPool,
    Network,
    uniform,
)

conv = partial(Conv, bias=True, act=Maxout(2))
down = partial(MaxPool, stride=2, padding=0, ceil=True)

INIT = Initialisation(conv=uniform(0.005), linear=uniform(0.005))


def maxout_cifar10() -> Network:
    """Three convolutional maxout layers and one of 500 units; dropout on the input of every layer.

    What is left of the images is not scaled up.
    """
    return Network("maxout-cifar10", {
        "dropout": Dropout(0.2, rescale=False),
        "conv1": conv( 96, 8, padding=4), "pool1": down(4), "dropout1": Dropout(0.5),
        "conv2": conv(192, 8, padding=3), "pool2": down(4), "dropout2": Dropout(0.5),
        "conv3": conv(192, 5, padding=3), "pool3": down(2), "dropout3": Dropout(0.5),
        "fc1": Linear(500, act=Maxout(5)), "dropout4": Dropout(0.5),
        "fc2": Linear(CLASSES),
    }, input=(3, 32, 32), classes=10, init=INIT)  # fmt: skip


NETWORKS = {"maxout-cifar10": maxout_cifar10}
