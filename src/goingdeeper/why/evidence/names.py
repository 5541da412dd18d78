"""What is called what: two networks called Inception-v2, and a network's stages."""

from __future__ import annotations

from goingdeeper.catalogue import network
from goingdeeper.costs.counts import cost
from goingdeeper.stages import depths
from goingdeeper.why.charts import Bars, heights
from goingdeeper.why.claims import measured
from goingdeeper.why.part import Part

NETWORKS = ("bn-inception-released", "inception-v2-released-modules", "inception-v3")


def arithmetic() -> Part:
    macs = {name: cost(name).macs for name in NETWORKS}
    chart = Bars(
        "names",
        "Two networks that are called Inception-v2, and Inception-v3",
        "multiply-adds for one image",
        NETWORKS,
        (heights("multiply-adds", macs.values()),),
    )
    stages = len(set(depths(network("resnet-50")).values()))
    ratio = macs["inception-v2-released-modules"] / macs["bn-inception-released"]
    return Part((measured("names-v2", ratio), measured("names-stages", stages)), (chart,))
