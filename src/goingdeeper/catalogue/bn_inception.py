"""BN-Inception: Ioffe and Szegedy, "Batch normalization" (2015), the table of its appendix, in four readings.

The table prints 576 channels for 4c and 4d where its own pool projections of 128 make 608. The released graph
has projections of 96 there; the ports of the Caffe model read the table to the letter.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from goingdeeper import edits
from goingdeeper.layers import (
    CLASSES,
    AvgPool,
    BatchNorm,
    Chain,
    Concat,
    Conv,
    Draw,
    Dropout,
    GlobalAvgPool,
    Initialisation,
    Layer,
    Linear,
    MaxPool,
    Network,
    Sides,
    Start,
    truncated,
)

conv = partial(Conv, norm=BatchNorm(eps=1e-3))
down = partial(MaxPool, 3, stride=2, padding=0, ceil=True)
average: dict[str, Layer] = {"average": AvgPool(3, count_padding=False)}
maximum: dict[str, Layer] = {"max": MaxPool(3)}

# As released: He's rule, truncated (1.3 makes up for the variance that the cut takes), but fixed deviations
# for the separable stem and for the 1x1 layers in front of 3x3 ones and behind pools.
RULE = Draw("truncated", 1.3 * 2)
INIT = Initialisation(
    conv=RULE,
    linear=RULE,
    apart={
        "conv1.*": Start(weights=truncated(1.0)),
        "conv2.reduce": Start(weights=truncated(0.1)),
        "*.reduce": Start(weights=truncated(0.09)),
        "*.proj": Start(weights=truncated(0.1)),
    },
)

# "Separable": depthwise with a channel multiplier of 8, nothing between the two.
SEPARABLE = Chain({
    "depthwise": Conv(24, 7, stride=2, groups=3, act=None),
    "pointwise": conv(64, 1),
})  # fmt: skip
PLAIN = conv(64, 7, stride=2)

# TensorFlow's padding at stride 2 on even maps: a pixel less above and to the left.
SAME: dict[object, Sides] = {3: (0, 1, 0, 1), 7: (2, 3, 2, 3)}


def inception(
    n1x1: int,
    n3x3_reduce: int,
    n3x3: int,
    double_reduce: int,
    double: int,
    pool: dict[str, Layer],
    proj: int,
) -> Concat:
    """A module that keeps the size of the map; the arguments are the table's columns, in its order."""
    return Concat({
        "1x1": conv(n1x1, 1),
        "3x3": {"reduce": conv(n3x3_reduce, 1), "conv": conv(n3x3, 3)},
        "double3x3": {"reduce": conv(double_reduce, 1), "conv1": conv(double, 3), "conv2": conv(double, 3)},
        "pool": {**pool, "proj": conv(proj, 1)},
    })  # fmt: skip


def reduction(n3x3_reduce: int, n3x3: int, double_reduce: int, double: int) -> Concat:
    """A module of stride 2: no 1x1 branch, and the pool passes all its channels on."""
    return Concat({
        "3x3": {"reduce": conv(n3x3_reduce, 1), "conv": conv(n3x3, 3, stride=2)},
        "double3x3": {
            "reduce": conv(double_reduce, 1), "conv1": conv(double, 3), "conv2": conv(double, 3, stride=2),
        },
        "pool": down(),
    })  # fmt: skip


def bn_inception(name: str, stem: Layer, proj_4cd: int) -> Network:
    """The table, with the first layer and the pool projections of 4c and 4d that a reading gives it."""
    return Network(name, {
        "conv1": stem, "pool1": down(),
        "conv2": {"reduce": conv(64, 1), "conv": conv(192, 3)}, "pool2": down(),
        "3a": inception( 64,  64,  64,  64,  96, average,  32),
        "3b": inception( 64,  64,  96,  64,  96, average,  64),
        "3c": reduction(     128, 160,  64,  96),
        "4a": inception(224,  64,  96,  96, 128, average, 128),
        "4b": inception(192,  96, 128,  96, 128, average, 128),
        "4c": inception(160, 128, 160, 128, 160, average, proj_4cd),
        "4d": inception( 96, 128, 192, 160, 192, average, proj_4cd),
        "4e": reduction(     128, 192, 192, 256),
        "5a": inception(352, 192, 320, 160, 224, average, 128),
        "5b": inception(352, 192, 320, 192, 224, maximum, 128),
        "pool5": GlobalAvgPool(), "fc": Linear(CLASSES),
    }, init=INIT)  # fmt: skip


def released() -> Network:
    """TensorFlow-Slim's inception_v2: no batch norm in the stem, no gamma, dropout, "SAME" padding."""

    def edit(layer: Layer) -> Layer:
        if not isinstance(layer, Conv):
            return layer
        padding = SAME[layer.kernel] if layer.stride == 2 else None
        return replace(layer, norm=layer.norm and replace(layer.norm, scale=False), padding=padding)

    stem = Chain({**dict(SEPARABLE.layers), "pointwise": Conv(64, 1, bias=True)})
    network = edits.rewrite(bn_inception("bn-inception-released", stem, proj_4cd=96), edit)
    *layers, classifier = network.layers
    return replace(network, layers=(*layers, ("dropout", Dropout(0.2)), classifier))


def caffe() -> Network:
    """The port from Caffe: a plain stem, biases in front of batch norm, padded taps in the averages."""

    def edit(layer: Layer) -> Layer:
        match layer:
            case Conv():
                return replace(layer, bias=True, norm=BatchNorm())
            case AvgPool():
                return replace(layer, count_padding=True)
            case _:
                return layer

    return edits.rewrite(bn_inception("bn-inception-caffe", PLAIN, proj_4cd=128), edit)


READINGS: dict[str, tuple[Layer, int]] = {
    "bn-inception-table-literal": (SEPARABLE, 128),
    "bn-inception-plain-stem": (PLAIN, 96),
}
NETWORKS = {
    **{name: partial(bn_inception, name, *reading) for name, reading in READINGS.items()},
    "bn-inception-released": released,
    "bn-inception-caffe": caffe,
}
