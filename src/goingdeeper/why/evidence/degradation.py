"""Deeper plain networks are worse, even on what they are trained on."""

from __future__ import annotations

from goingdeeper.published.results import table
from goingdeeper.why.charts import Lines, curve
from goingdeeper.why.claims import measured
from goingdeeper.why.part import Part


def arithmetic() -> Part:
    """What He et al. print."""
    error = {row.network: row.top1_error for row in table("resnet-table2") if row.top1_error is not None}
    names = ("plain-18", "plain-34", "resnet-18-a", "resnet-34-a")
    values = [error[name] for name in names]
    chart = Lines(
        "degradation-printed",
        "ImageNet, 10 crops (He et al. 2015, Table 2)",
        "layers",
        "top-1 error, %",
        (
            curve("plain", (18.0, 34.0), values[:2]),
            curve("residual", (18.0, 34.0), values[2:]),
        ),
    )
    return Part((measured("degradation-printed", *values),), (chart,))
