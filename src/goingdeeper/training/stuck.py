"""Says when a network does not learn: its loss stays at that of guessing."""

from __future__ import annotations

import math
from collections import deque

STEPS = 200
NEAR, FALL = 0.01, 0.002
"""Shares of ln(classes): how near the mean loss is to it, and how little the second half falls."""


class Plateau:
    """Watches the loss of each step; speaks once."""

    def __init__(self, classes: int) -> None:
        self.chance = math.log(classes) if classes > 1 else 0.0
        self.classes = classes
        self.losses: deque[float] = deque(maxlen=STEPS)
        self.said = False

    def after(self, loss: float, rate: float) -> str:
        """What there is to say after a step with this loss, mostly nothing."""
        self.losses.append(loss)
        if self.said or not self.chance or len(self.losses) < STEPS:
            return ""
        losses = list(self.losses)
        first, second = (sum(half) / len(half) for half in (losses[: STEPS // 2], losses[STEPS // 2 :]))
        near = abs(first + second - 2 * self.chance) < 2 * NEAR * self.chance
        if not near or first - second > FALL * self.chance:
            return ""
        self.said = True
        return (
            f"the loss has stayed at ln({self.classes}) = {self.chance:.3f}, that of guessing, "
            f"for {STEPS} steps; if it does not fall soon, try another rate "
            f"(--set rate={rate / 3:.2g} or {rate * 3:.2g}) or a network with batch norm"
        )
