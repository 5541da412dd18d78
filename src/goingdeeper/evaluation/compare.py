"""Whether the difference between two sets of answers about the same images is real."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from goingdeeper.evaluation.scores import Interval, wilson


@dataclass(frozen=True)
class Comparison:
    """Two sets of top-1 predictions of the same images; errors in per cent, differences in points.

    difference: the error of b minus that of a, below 0 where b errs less, with Newcombe's 95 % interval.
    p: McNemar's mid-p, which agrees with the interval more often than the exact p does; p_exact: that, which
    never claims a difference too often, at the price of overlooking more. better: named only where the
    interval leaves out 0; verdict: the same in words.
    """

    images: int
    both_wrong: int
    only_a_wrong: int
    only_b_wrong: int
    both_right: int
    a_error: float
    a_interval_95: Interval
    b_error: float
    b_interval_95: Interval
    difference: float
    interval_95: Interval
    p: float
    p_exact: float
    better: Literal["a", "b"] | None
    verdict: str


def compare(
    a_wrong: Iterable[bool], b_wrong: Iterable[bool], names: tuple[str, str] = ("A", "B")
) -> Comparison:
    """a_wrong, b_wrong: for each of the same images (one at least), in one order, whether it was mistaken.

    names: for the verdict. Raises ValueError where there are not as many of one as of the other.
    """
    pairs = [(bool(a), bool(b)) for a, b in zip(a_wrong, b_wrong, strict=True)]
    images = len(pairs)
    both, only_a, only_b = (pairs.count(pair) for pair in ((True, True), (True, False), (False, True)))
    difference = 100.0 * (only_b - only_a) / images
    low, high = newcombe(both, only_b, only_a, images - both - only_a - only_b)
    better: Literal["a", "b"] | None = "a" if low > 0 else "b" if high < 0 else None
    if better:
        first, second = names if better == "a" else names[::-1]
        verdict = f"{first} is better than {second}: the interval of the difference leaves out 0"
    else:
        verdict = "neither is shown to be better: the interval of the difference holds 0"
    return Comparison(
        images=images,
        both_wrong=both,
        only_a_wrong=only_a,
        only_b_wrong=only_b,
        both_right=images - both - only_a - only_b,
        a_error=100.0 * (both + only_a) / images,
        a_interval_95=wilson(both + only_a, images),
        b_error=100.0 * (both + only_b) / images,
        b_interval_95=wilson(both + only_b, images),
        difference=difference,
        interval_95=(low, high),
        p=mcnemar_mid_p(only_a, only_b),
        p_exact=mcnemar(only_a, only_b),
        better=better,
        verdict=verdict,
    )


def newcombe(both: int, only_first: int, only_second: int, neither: int) -> Interval:
    """The 95 % interval of first minus second, two proportions of the same images, in points.

    Newcombe 1998, Improved confidence intervals for the difference between binomial proportions based on
    paired data, Statistics in Medicine 17, 2635-2650, method 10: Wilson's intervals of the two, joined with
    their correlation phi, whose numerator is brought nearer to 0 by half the count.
    """
    images = both + only_first + only_second + neither
    first, second = both + only_first, both + only_second
    product = math.sqrt(first) * math.sqrt(images - first) * math.sqrt(second) * math.sqrt(images - second)
    covariance: float = both * neither - only_first * only_second
    if covariance > 0:
        covariance = max(covariance - images / 2, 0.0)
    phi = covariance / product if product else 0.0
    (low1, high1), (low2, high2) = wilson(first, images), wilson(second, images)
    p1, p2 = 100.0 * first / images, 100.0 * second / images
    below = _joined(p1 - low1, high2 - p2, phi)
    above = _joined(high1 - p1, p2 - low2, phi)
    return max(p1 - p2 - below, -100.0), min(p1 - p2 + above, 100.0)


def _joined(first: float, second: float, phi: float) -> float:
    return math.sqrt(max(first**2 - 2 * phi * first * second + second**2, 0.0))


def mcnemar(only_a: int, only_b: int) -> float:
    """McNemar's test: the exact two-sided p that the images only one of them gets wrong divide as they do.

    1 without any.
    """
    from scipy.stats import binomtest

    return float(binomtest(only_a, only_a + only_b).pvalue) if only_a + only_b else 1.0


def mcnemar_mid_p(only_a: int, only_b: int) -> float:
    """The same with half the probability of what was seen: Fagerland et al. 2013, BMC Medical Research
    Methodology 13:91, who find that it keeps the level while the exact test is needlessly conservative."""
    from scipy.stats import binom

    fewer, images = min(only_a, only_b), only_a + only_b
    # Taken from the exact p, what was seen would leave rounding's remains, even below 0.
    return min(1.0, float(2 * binom.cdf(fewer - 1, images, 0.5) + binom.pmf(fewer, images, 0.5)))
