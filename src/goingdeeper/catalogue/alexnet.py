"""AlexNet: Krizhevsky et al., "ImageNet classification with deep convolutional neural networks" (2012)."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from goingdeeper import edits
from goingdeeper.layers import (
    CLASSES,
    LRN,
    RELU,
    Conv,
    Dropout,
    Initialisation,
    Layer,
    Linear,
    MaxPool,
    Network,
    Start,
    normal,
)

conv = partial(Conv, bias=True)
down = partial(MaxPool, 3, stride=2, padding=0)
# Section 3.3: k = 2, n = 5, alpha = 1e-4, beta = 0.75, where the sum is not divided by n.
norm = partial(LRN, size=5, alpha=5 * 1e-4, beta=0.75, k=2.0)

# Section 5: N(0, 0.01); biases 1 in conv2, conv4, conv5 and the hidden layers, 0 elsewhere.
INIT = Initialisation(
    conv=normal(0.01),
    linear=normal(0.01),
    apart={"conv[245]": Start(bias=1.0), "fc[67]": Start(bias=1.0)},
)


def alexnet() -> Network:
    """Figure 2: the two towers are two groups of channels in conv2, conv4 and conv5.

    The paper says 224x224; its 55x55 maps need 227x227.
    """
    return Network("alexnet", {
        "conv1": conv( 96, 11, stride=4, padding=0), "norm1": norm(), "pool1": down(),
        "conv2": conv(256, 5, groups=2), "norm2": norm(), "pool2": down(),
        "conv3": conv(384, 3),
        "conv4": conv(384, 3, groups=2),
        "conv5": conv(256, 3, groups=2), "pool5": down(),
        "fc6": Linear(4096, act=RELU), "dropout6": Dropout(0.5),
        "fc7": Linear(4096, act=RELU), "dropout7": Dropout(0.5),
        "fc8": Linear(CLASSES),
    }, input=(3, 227, 227), init=INIT)  # fmt: skip


def alexnet_ungrouped() -> Network:
    """The same widths in one tower."""

    def edit(layer: Layer) -> Layer:
        return replace(layer, groups=1) if isinstance(layer, Conv) else layer

    return edits.rename(edits.rewrite(alexnet(), edit), "alexnet-ungrouped")


NETWORKS = {"alexnet": alexnet, "alexnet-ungrouped": alexnet_ungrouped}
