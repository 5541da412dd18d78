"""Shortcuts A, B and C: parameters and errors."""

from __future__ import annotations

from goingdeeper.catalogue import network
from goingdeeper.costs.counts import cost
from goingdeeper.layers import ZeroPad
from goingdeeper.published.results import table
from goingdeeper.trace import trace
from goingdeeper.why.charts import Bars, heights
from goingdeeper.why.claims import measured
from goingdeeper.why.part import Part
from goingdeeper.why.pieces import piece

NETWORKS = ("plain-34", "resnet-34-a", "resnet-34-b", "resnet-34-c")


def arithmetic() -> Part:
    params = [cost(name).params for name in NETWORKS]
    error = {row.network: row.top1_error for row in table("resnet-table3") if row.top1_error is not None}
    values = tuple(error[name] for name in NETWORKS)
    chart = Bars(
        "shortcuts",
        "34 layers on ImageNet, 10 crops (He et al. 2015, Table 3)",
        "top-1 error, %",
        NETWORKS,
        (heights("error", values),),
    )
    evidence = (measured("shortcuts-params", *params), measured("shortcuts-error", *values))
    return Part(evidence, (chart,))


def init(seed: int) -> Part:
    """Option A's shortcut where ResNet-34's maps shrink, beside every second value with zeros behind."""
    import torch

    from goingdeeper.nn.build import build
    from goingdeeper.why.noise import noise

    net = network("resnet-34-a")
    step = next(step for step in trace(net) if isinstance(step.layer, ZeroPad))
    channels, height, wide = step.shape_in
    shape = (channels, height, wide)
    images = noise(seed, 4, *shape)
    with torch.inference_mode():
        found = build(piece({"around": step.layer}, shape), seed=seed).until(images, "around")
        every_second = images[:, :, ::2, ::2]
        expected = torch.cat([every_second, torch.zeros_like(every_second)], 1)
    return Part((measured("shortcuts-subsampling", float((found - expected).abs().max())),))
