"""1202 layers: more than the data can use."""

from __future__ import annotations

from goingdeeper.costs.counts import cost
from goingdeeper.published.results import published_error
from goingdeeper.why.charts import Lines, curve
from goingdeeper.why.claims import measured
from goingdeeper.why.part import Part

DEPTHS = (20, 32, 44, 56, 110, 1202)


def arithmetic() -> Part:
    """What He et al. print in Table 6."""
    error = {}
    for depth in DEPTHS:
        found = published_error(f"cifar-resnet-{depth}-a")
        assert found and found.top1_error is not None
        error[depth] = found.top1_error
    chart = Lines(
        "depth-limit",
        "ResNets on CIFAR-10 (He et al. 2015, Table 6)",
        "layers",
        "test error, %",
        (curve("residual", DEPTHS, error.values()),),
        x_scale="log",
    )
    millions = cost("cifar-resnet-1202-a").params / 1e6
    return Part((measured("depth-limit", error[110], error[1202], millions),), (chart,))
