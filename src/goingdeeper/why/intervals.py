"""A figure measured with several seeds: its mean, and how far that may be off."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev


@dataclass(frozen=True)
class Interval:
    """mean, and the interval of 95 % around it."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        """`0.35 (0.21 to 0.49)`"""
        return f"{self.mean:.3g} ({self.low:.3g} to {self.high:.3g})"


def interval(values: Sequence[float]) -> Interval:
    """Of the mean of a few values: Student's t, two-sided, 95 %. Raises ValueError for fewer than two."""
    from scipy.stats import t

    if len(values) < 2:
        raise ValueError("one value has no interval")
    mean = fmean(values)
    reach = float(t.ppf(0.975, len(values) - 1)) * stdev(values) / math.sqrt(len(values))
    return Interval(mean, mean - reach, mean + reach)


def geometric(values: Sequence[float]) -> Interval:
    """Of the geometric mean of a few positive values, such as ratios: that of their logarithms."""
    logs = interval([math.log(value) for value in values])
    return Interval(*(math.exp(value) for value in (logs.mean, logs.low, logs.high)))
