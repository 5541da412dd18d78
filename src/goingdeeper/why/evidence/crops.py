"""Many crops of an image: how many, and what they gain."""

from __future__ import annotations

from goingdeeper.evaluation.protocols import plan, protocol
from goingdeeper.published.results import table
from goingdeeper.why.charts import Lines, curve
from goingdeeper.why.claims import measured
from goingdeeper.why.part import Part

SIDE, IMAGE = 224, (375, 500)
"""Of GoogLeNet's input, and of a usual photograph, in pixels."""


def arithmetic() -> Part:
    scheme = protocol("144crop")
    views = sum(view.times for view in plan(scheme, *IMAGE, SIDE).views) * (1 + scheme.mirror)
    error = errors()
    evidence = (
        measured("crops-count", views),
        measured("crops-gain", error[1, 10] - error[1, 1], error[1, 144] - error[1, 1]),
    )
    return Part(evidence, (_chart(),))


def errors() -> dict[tuple[int, int], float]:
    """GoogLeNet's top-5 errors by models and crops, per cent, as its paper prints them."""
    found = {}
    for row in table("googlenet-table3"):
        assert row.models and isinstance(row.crops, int) and row.top5_error is not None
        found[row.models, row.crops] = row.top5_error
    return found


def _chart() -> Lines:
    error = errors()
    crops = sorted({crops for _, crops in error})
    return Lines(
        "crops",
        "GoogLeNet on ILSVRC-2012, 50,000 validation images",
        "crops of an image",
        "top-5 error, %",
        tuple(
            curve(
                f"{models} model{'s' if models > 1 else ''}",
                crops,
                (error[models, count] for count in crops),
            )
            for models in (1, 7)
        ),
        x_scale="log",
    )
