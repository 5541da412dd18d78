"""A figure measured with several seeds: its mean, and how far that may be off."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist, fmean, pstdev, stdev


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
    """Of the mean of a few values: Student's t, two-sided, 95 %. Raises ValueError for fewer than two.

    Where one of them is not finite there is none: both ends are nan.
    """
    from scipy.stats import t

    if len(values) < 2:
        raise ValueError("one value has no interval")
    mean = fmean(values)
    if not math.isfinite(mean):
        return Interval(mean, math.nan, math.nan)
    reach = float(t.ppf(0.975, len(values) - 1)) * stdev(values) / math.sqrt(len(values))
    return Interval(mean, mean - reach, mean + reach)


def geometric(values: Sequence[float]) -> Interval:
    """Of the geometric mean of a few values, such as ratios: that of their logarithms.

    0 counts as the least number that there is.
    """
    logs = interval([math.log(max(value, sys.float_info.min)) for value in values])
    return Interval(*(math.exp(value) for value in (logs.mean, logs.low, logs.high)))


def over_images(differences: Sequence[float]) -> Interval:
    """Of the mean of differences that are paired by image, each from -1 to 1, in points: 100 times that.

    One image more is counted for either side, so that a handful which all speak for one side do not settle
    it. Bonett and Price 2012, Adjusted Wald confidence interval for a difference of binomial proportions
    based on paired data; here of shares, too, where each image was asked of several networks.
    """
    widened = [*differences, 1.0, -1.0]
    middle = fmean(widened)
    reach = NormalDist().inv_cdf(0.975) * pstdev(widened, middle) / math.sqrt(len(widened))
    return Interval(100 * fmean(differences), 100 * (middle - reach), 100 * (middle + reach))
