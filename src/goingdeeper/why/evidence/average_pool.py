"""Average pooling in place of fully connected layers: the weights it saves."""

from __future__ import annotations

from goingdeeper.catalogue import network
from goingdeeper.costs.counts import cost, counts, total
from goingdeeper.layers import Conv, GlobalAvgPool, Linear, Network
from goingdeeper.trace import trace
from goingdeeper.why.charts import Bars, heights
from goingdeeper.why.claims import measured
from goingdeeper.why.part import Part
from goingdeeper.why.pieces import shape_in

NETWORKS = ("alexnet", "vgg-16", "googlenet", "inception-v3", "resnet-34-b", "resnet-50", "resnet-152")


def arithmetic() -> Part:
    net = network("googlenet")
    channels, height, wide = shape_in(net, "pool5")
    classifier = Linear(net.classes)
    direct = Network("direct", {"fc": classifier}, (), (channels, height, wide), net.classes)
    pooled = Network(
        "pooled", {"pool": GlobalAvgPool(), "fc": classifier}, (), (channels, height, wide), net.classes
    )
    shares = {name: _share(network(name)) for name in NETWORKS}
    evidence = (
        measured("average-pool-weights", cost(direct).weights, cost(pooled).weights),
        measured("average-pool-share", shares["resnet-34-b"], shares["vgg-16"]),
    )
    chart = Bars(
        "average-pool",
        "Weights in fully connected layers",
        "share of all weights, %",
        NETWORKS,
        (heights("share", shares.values()),),
    )
    return Part(evidence, (chart,))


def _share(net: Network) -> float:
    """Of the weights, in per cent, those of fully connected layers; heads left out."""
    steps = [step for step in trace(net) if not step.path.startswith("heads.")]
    connected = sum(counts(step).weights for step in steps if isinstance(step.layer, Linear))
    return 100 * connected / total(step for step in steps if isinstance(step.layer, Conv | Linear)).weights
