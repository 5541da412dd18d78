"""Several networks together: what they gain, and what is left of it beside crops."""

from __future__ import annotations

from goingdeeper.why.charts import Bars, heights
from goingdeeper.why.claims import measured
from goingdeeper.why.evidence.crops import errors
from goingdeeper.why.part import Part


def arithmetic() -> Part:
    error = errors()
    networks, crops, both = (error[1, 1] - error[case] for case in ((7, 1), (1, 144), (7, 144)))
    chart = Bars(
        "ensembles",
        "GoogLeNet: what is gained over one network and one crop",
        "points of top-5 error",
        ("7 networks", "144 crops", "both", "the two gains added"),
        (heights("gain", (networks, crops, both, networks + crops)),),
    )
    return Part((measured("ensembles-gain", -networks, -both),), (chart,))
