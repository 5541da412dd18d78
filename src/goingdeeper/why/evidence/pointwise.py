"""What a 1x1 convolution is, and whether it changes places with a pool."""

from __future__ import annotations

from goingdeeper.layers import AvgPool, Conv, Layer, MaxPool
from goingdeeper.why.charts import Bars, heights
from goingdeeper.why.claims import measured
from goingdeeper.why.part import Part
from goingdeeper.why.pieces import piece

CHANNELS, FILTERS, SIDE, IMAGES = 32, 16, 14, 4


def init(seed: int) -> Part:
    """Random weights and input of both signs; differences relative to the largest value."""
    import torch

    from goingdeeper.nn.build import build
    from goingdeeper.why.noise import noise

    shape = (CHANNELS, SIDE, SIDE)
    images = noise(seed, IMAGES, *shape)
    conv: Layer = Conv(FILTERS, 1, act=None)

    def off(found: torch.Tensor, expected: torch.Tensor) -> float:
        return float((found - expected).abs().max() / expected.abs().max())

    with torch.inference_mode():
        net = build(piece({"conv": conv}, shape), seed=seed).eval()
        made = net.until(images, "conv")
        weight = net.get_parameter("conv.conv.weight").flatten(1)
        connected = torch.nn.functional.linear(images.movedim(1, -1), weight).movedim(-1, 1)
        orders = {}
        for name, pool in (("max pool", MaxPool(3)), ("average pool", AvgPool(3))):
            one = build(piece({"pool": pool, "conv": conv}, shape), seed=seed).eval()
            other = build(piece({"conv": conv, "pool": pool}, shape), seed=seed).eval()
            orders[name] = off(other.until(images, "pool"), one.until(images, "conv"))
    chart = Bars(
        "pointwise",
        "A 1x1 convolution in front of a pool instead of behind it",
        "largest difference, relative",
        tuple(orders),
        (heights("difference", orders.values()),),
    )
    evidence = (measured("pointwise-fc", off(made, connected)), measured("pointwise-pool", *orders.values()))
    return Part(evidence, (chart,))
