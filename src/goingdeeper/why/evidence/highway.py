"""Highway layers: shut gates, and gates as they start."""

from __future__ import annotations

from goingdeeper.catalogue import network
from goingdeeper.layers import Highway
from goingdeeper.trace import trace
from goingdeeper.why.charts import Lines, curve
from goingdeeper.why.claims import measured
from goingdeeper.why.part import Part
from goingdeeper.why.pieces import piece

NETWORK = "highway-19"
IMAGES = 4


def init(seed: int) -> Part:
    """A layer of the published network with its initial weights, on noise."""
    import torch

    from goingdeeper.nn.build import build
    from goingdeeper.why.noise import noise

    net = network(NETWORK)
    step = next(step for step in trace(net) if isinstance(step.layer, Highway))
    channels, height, wide = step.shape_in
    start = next(start for pattern, start in net.init.apart if pattern.endswith("gate"))
    assert start.bias is not None
    layer = build(piece({"layer": step.layer}, (channels, height, wide)), seed=seed).eval()
    images = noise(seed, IMAGES, channels, height, wide)
    bias = layer.get_parameter("layer.gate.conv.bias")
    opened = {}
    with torch.no_grad():
        for value in (-torch.inf, *range(-8, 9), start.bias):
            bias.fill_(value)
            _, found = layer.tap(images, ["layer.gate", "layer"])
            opened[value] = float(found["layer.gate"].median())
            if value == -torch.inf:
                shut = float((found["layer"] - images).abs().max())
        bias.fill_(torch.inf)
        transformed = layer.tap(images, ["layer"])[1]["layer"]
        layer.get_parameter("layer.gate.conv.weight").zero_()
        bias.zero_()
        half = layer.tap(images, ["layer"])[1]["layer"]
        off = float((2 * half - (transformed + images)).abs().max())
    chart = Lines(
        "highway",
        f"The gate of {NETWORK}'s first highway layer at initialisation, on noise",
        "bias of the gate",
        "median of the gate: 0 passes the input on, 1 the transform",
        (curve("gate", range(-8, 9), (opened[value] for value in range(-8, 9))),),
        level=(opened[start.bias], f"as it starts, bias {start.bias:g}"),
    )
    return Part((measured("highway-gates", shut, off, opened[start.bias]),), (chart,))
