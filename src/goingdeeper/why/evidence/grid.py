"""Smaller maps without a bottleneck: three ways to halve the grid."""

from __future__ import annotations

from goingdeeper.why.charts import Bars, heights
from goingdeeper.why.claims import measured
from goingdeeper.why.part import Part

SIDE, CHANNELS = 35, 320


def arithmetic() -> Part:
    """For a tap of the kernel, with the paper's d and k; half a side of 35 is taken as 17.5, as there."""
    d, k = SIDE, CHANNELS
    macs = {
        "convolve, then pool": d * d * k * 2 * k,
        "pool, then convolve": d * d / 4 * k * 2 * k,
        "side by side": d * d / 4 * k * k,
    }
    narrowest = {
        "convolve, then pool": d * d / 4 * 2 * k,
        "pool, then convolve": d * d / 4 * k,
        "side by side": d * d / 4 * 2 * k,
    }
    charts = (
        Bars(
            "grid",
            f"From {SIDE}x{SIDE}x{CHANNELS} to half the side and twice the channels",
            "multiply-adds for each tap of the kernel",
            tuple(macs),
            (heights("multiply-adds", macs.values()),),
        ),
        Bars(
            "grid-values",
            "The narrowest place on the way",
            "values that pass",
            tuple(narrowest),
            (heights("values", narrowest.values()),),
        ),
    )
    return Part((measured("grid", *macs.values()),), charts)
