"""The bottleneck against the basic block, and the cost of 152 layers."""

from __future__ import annotations

from goingdeeper.catalogue import network
from goingdeeper.costs.counts import cost, total
from goingdeeper.layers import Conv, Layer, Residual, pair
from goingdeeper.trace import find
from goingdeeper.why.charts import Bars, heights
from goingdeeper.why.claims import measured
from goingdeeper.why.part import Part
from goingdeeper.why.pieces import part_of

NETWORKS = ("vgg-16", "vgg-19", "resnet-34-a", "resnet-50", "resnet-101", "resnet-152")


def arithmetic() -> Part:
    basic, narrow = network("resnet-34-a"), network("resnet-50")
    weights = [total(part_of(net, "conv2_2")).weights for net in (basic, narrow)]
    threes = [_threes(find(net, "conv2_2")) for net in (basic, narrow)]
    macs = {name: cost(name).macs for name in NETWORKS}
    evidence = (
        measured("bottleneck-cost", *weights),
        measured("bottleneck-every", *threes),
        measured("bottleneck-vgg", *(macs["resnet-152"] / macs[name] for name in ("vgg-16", "vgg-19"))),
    )
    chart = Bars(
        "bottleneck",
        "One image of 224x224",
        "multiply-adds",
        NETWORKS,
        (heights("multiply-adds", macs.values()),),
    )
    return Part(evidence, (chart,))


def _threes(block: Layer) -> int:
    """The 3x3 convolutions of a block."""
    assert isinstance(block, Residual)
    return sum(isinstance(layer, Conv) and pair(layer.kernel) == (3, 3) for _, layer in block.body)
