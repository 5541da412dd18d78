"""GoogLeNet: Szegedy et al., "Going deeper with convolutions" (2014), Table 1 and Figures 2 and 3."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from goingdeeper import edits
from goingdeeper.layers import (
    CLASSES,
    LRN,
    RELU,
    XAVIER,
    AdaptiveAvgPool,
    AvgPool,
    BatchNorm,
    Chain,
    Concat,
    Conv,
    Dropout,
    GlobalAvgPool,
    Initialisation,
    Layer,
    Linear,
    MaxPool,
    Network,
    truncated,
)

conv = partial(Conv, bias=True)  # 2014: biases, no batch norm
down = partial(MaxPool, kernel=3, stride=2, padding=0, ceil=True)

# The paper gives no rule; this is the one of the BVLC replication.
INIT = Initialisation(conv=XAVIER, linear=XAVIER, bias=0.2)


def inception(n1x1: int, n3x3_reduce: int, n3x3: int, n5x5_reduce: int, n5x5: int, pool_proj: int) -> Concat:
    """Figure 2(b); the arguments are Table 1's columns, in its order."""
    return Concat({
        "1x1": conv(n1x1, 1),
        "3x3": {"reduce": conv(n3x3_reduce, 1), "conv": conv(n3x3, 3)},
        "5x5": {"reduce": conv(n5x5_reduce, 1), "conv": conv(n5x5, 5)},
        "pool": {"max": MaxPool(3), "proj": conv(pool_proj, 1)},
    })  # fmt: skip


def naive(module: Concat) -> Concat:
    """Figure 2(a): the same widths without the reductions; the pool passes every channel on."""

    def unreduced(branch: Layer) -> Layer:
        if not isinstance(branch, Chain):
            return branch
        return Chain(tuple((n, layer) for n, layer in branch.layers if n not in ("reduce", "proj")))

    return Concat(tuple((name, unreduced(branch)) for name, branch in module.branches))


def auxiliary() -> Chain:
    """Section 5's side classifier, on the output of 4a and of 4d."""
    return Chain({
        "pool": AvgPool(5, stride=3, padding=0),
        "conv": conv(128, 1),
        "fc1": Linear(1024, act=RELU),
        "dropout": Dropout(0.7),
        "fc2": Linear(CLASSES),
    })  # fmt: skip


def googlenet() -> Network:
    return Network("googlenet", {
        "conv1": conv(64, 7, stride=2), "pool1": down(), "norm1": LRN(),
        "conv2": {"reduce": conv(64, 1), "conv": conv(192, 3)}, "norm2": LRN(), "pool2": down(),
        "3a": inception( 64,  96, 128, 16,  32,  32),
        "3b": inception(128, 128, 192, 32,  96,  64), "pool3": down(),
        "4a": inception(192,  96, 208, 16,  48,  64),
        "4b": inception(160, 112, 224, 24,  64,  64),
        "4c": inception(128, 128, 256, 24,  64,  64),
        "4d": inception(112, 144, 288, 32,  64,  64),
        "4e": inception(256, 160, 320, 32, 128, 128), "pool4": down(),
        "5a": inception(256, 160, 320, 32, 128, 128),
        "5b": inception(384, 192, 384, 48, 128, 128),
        "pool5": GlobalAvgPool(), "dropout": Dropout(0.4), "fc": Linear(CLASSES),
    }, heads={"4a": auxiliary(), "4d": auxiliary()}, init=INIT)  # fmt: skip


def googlenet_separable_stem() -> Network:
    """The stem that Table 1's 2.7K parameters and 34M operations of conv1 fit (inferred)."""
    stem = Chain({
        "depthwise": Conv(24, 7, stride=2, groups=3, act=None),
        "pointwise": conv(64, 1),
    })  # fmt: skip
    return edits.rename(edits.replace_layer(googlenet(), "conv1", stem), "googlenet-separable-stem")


def googlenet_naive() -> Network:
    """GoogLeNet with Figure 2(a)'s modules stacked: what the reductions save it from."""

    def edit(layer: Layer) -> Layer:
        return naive(layer) if isinstance(layer, Concat) else layer

    return edits.rename(edits.rewrite(googlenet(), edit), "googlenet-naive")


def googlenet_torchvision() -> Network:
    """The form that public weights are for, converted from TensorFlow-Slim's inception_v1.

    Batch norm instead of biases and LRN, 3x3 where the paper has 5x5 (the addresses stay), a 2x2 last max
    pool, other dropout; the heads pool adaptively.
    """
    norm = BatchNorm(eps=1e-3)

    def edit(layer: Layer) -> Layer:
        match layer:
            case Conv(kernel=5):
                return replace(layer, kernel=3)
            case Dropout():
                return replace(layer, rate=0.2)
            case _:
                return layer

    network = edits.with_batch_norm(edits.without(edits.rewrite(googlenet(), edit), LRN), norm)
    network = edits.replace_layer(network, "pool4", down(kernel=2))
    head = Chain({**dict(auxiliary().layers), "pool": AdaptiveAvgPool(4), "conv": Conv(128, 1, norm=norm)})
    init = Initialisation(conv=truncated(0.01), linear=truncated(0.01))
    return Network("googlenet-torchvision", network.layers, {"4a": head, "4d": head}, init=init)


def bn_googlenet() -> Network:
    """A row of Szegedy et al. 2015, Table 3, described no further: batch norm for biases and LRN."""
    network = edits.with_batch_norm(edits.without(googlenet(), LRN), BatchNorm(eps=1e-3))
    return Network("bn-googlenet", network.layers)


NETWORKS = {
    "bn-googlenet": bn_googlenet,
    "googlenet": googlenet,
    "googlenet-separable-stem": googlenet_separable_stem,
    "googlenet-naive": googlenet_naive,
    "googlenet-torchvision": googlenet_torchvision,
}
