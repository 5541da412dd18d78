"""VGG: Simonyan and Zisserman, "Very deep convolutional networks" (2014), Table 1."""

from __future__ import annotations

from functools import partial

from goingdeeper.layers import (
    CLASSES,
    RELU,
    Conv,
    Draw,
    Dropout,
    Initialisation,
    Layer,
    Linear,
    MaxPool,
    Network,
)

conv = partial(Conv, bias=True)

# Table 1: the kernels of the convolutions in each group, between one 2x2 max pool and the next.
FILTERS = (64, 128, 256, 512, 512)
TABLE = {
    "vgg-11":   ((3,),   (3,),   (3, 3),       (3, 3),       (3, 3)),        # A
    "vgg-13":   ((3, 3), (3, 3), (3, 3),       (3, 3),       (3, 3)),        # B
    "vgg-16-c": ((3, 3), (3, 3), (3, 3, 1),    (3, 3, 1),    (3, 3, 1)),     # C
    "vgg-16":   ((3, 3), (3, 3), (3, 3, 3),    (3, 3, 3),    (3, 3, 3)),     # D
    "vgg-19":   ((3, 3), (3, 3), (3, 3, 3, 3), (3, 3, 3, 3), (3, 3, 3, 3)),  # E
}  # fmt: skip

# The paper draws A from N(0, 0.1) and starts the deeper ones from it; its later note (section 3.1) is this.
GLOROT = Draw("uniform", 1.0, "average")


def vgg(name: str) -> Network:
    layers: dict[str, Layer] = {}
    for group, (filters, kernels) in enumerate(zip(FILTERS, TABLE[name], strict=True), start=1):
        for index, kernel in enumerate(kernels, start=1):
            layers[f"conv{group}_{index}"] = conv(filters, kernel)
        layers[f"pool{group}"] = MaxPool(2, stride=2, padding=0)
    return Network(name, {
        **layers,
        "fc6": Linear(4096, act=RELU), "dropout6": Dropout(0.5),
        "fc7": Linear(4096, act=RELU), "dropout7": Dropout(0.5),
        "fc8": Linear(CLASSES),
    }, init=Initialisation(conv=GLOROT, linear=GLOROT))  # fmt: skip


NETWORKS = {name: partial(vgg, name) for name in TABLE}
