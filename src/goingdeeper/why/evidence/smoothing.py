"""Label smoothing: the best logits, and the least loss."""

from __future__ import annotations

import math

from goingdeeper.why.charts import Lines, curve
from goingdeeper.why.claims import measured
from goingdeeper.why.part import Part

CLASSES, SMOOTHING = 1000, 0.1


def arithmetic() -> Part:
    gap = best_gap(CLASSES, SMOOTHING)
    gaps = [place / 10 for place in range(0, 201, 2)]
    chart = Lines(
        "smoothing",
        f"{CLASSES} classes, all wrong ones equally likely",
        "gap between the right logit and the others",
        "cross-entropy, nats",
        tuple(
            curve(name, gaps, (loss(one, CLASSES, smoothing) for one in gaps))
            for name, smoothing in (("no smoothing", 0.0), (f"smoothing of {SMOOTHING:g}", SMOOTHING))
        ),
    )
    return Part((measured("smoothing-gap", gap, loss(gap, CLASSES, SMOOTHING)),), (chart,))


def best_gap(classes: int, smoothing: float) -> float:
    """Where the softmax gives the smoothed targets: the log of the right one's share over another's."""
    other = smoothing / classes
    return math.log((1 - smoothing + other) / other)


def loss(gap: float, classes: int, smoothing: float) -> float:
    """Cross-entropy with smoothed targets of logits that are `gap` for the right class and 0 for others."""
    total = math.exp(gap) + classes - 1
    other = smoothing / classes
    return -(1 - smoothing + other) * (gap - math.log(total)) + other * (classes - 1) * math.log(total)
