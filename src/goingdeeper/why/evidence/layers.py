"""How deep and how wide GoogLeNet is."""

from __future__ import annotations

from goingdeeper.catalogue import network
from goingdeeper.costs.counts import cost
from goingdeeper.layers import AvgPool, Chain, Concat, Conv, GlobalAvgPool, Layer, Linear, MaxPool, Residual
from goingdeeper.why.charts import Bars, heights
from goingdeeper.why.claims import measured
from goingdeeper.why.part import Part

NETWORKS = ("alexnet", "vgg-16", "vgg-19", "googlenet", "inception-v3", "resnet-34-a", "resnet-152")


def arithmetic() -> Part:
    layers = network("googlenet").layers
    modules = sum(isinstance(layer, Concat) for _, layer in layers)
    deep = {name: longest(network(name).layers) for name in NETWORKS}
    params = {name: cost(name).params for name in NETWORKS}
    evidence = (
        measured("layers-depth", modules, deep["googlenet"], longest(layers, pools=True)),
        measured("layers-wider", deep["googlenet"], deep["vgg-19"], params["vgg-19"] / params["googlenet"]),
    )
    charts = (
        Bars(
            "layers",
            "Depth",
            "layers with weights on the longest path",
            NETWORKS,
            (heights("layers", deep.values()),),
        ),
        Bars(
            "layers-params",
            "Size",
            "parameters",
            NETWORKS,
            (heights("parameters", params.values()),),
        ),
    )
    return Part(evidence, charts)


def longest(layers: tuple[tuple[str, Layer], ...], *, pools: bool = False) -> int:
    """Layers with weights on the longest path. pools: those between modules count, too."""
    return sum(_deep(layer) for _, layer in layers) + (
        sum(isinstance(layer, MaxPool | AvgPool | GlobalAvgPool) for _, layer in layers) if pools else 0
    )


def _deep(layer: Layer) -> int:
    match layer:
        case Conv() | Linear():
            return 1
        case Chain():
            return sum(_deep(inner) for _, inner in layer.layers)
        case Concat():
            return max(_deep(inner) for _, inner in layer.branches)
        case Residual():
            return max(sum(_deep(inner) for _, inner in layer.body), _deep(layer.shortcut))
        case _:
            return 0
